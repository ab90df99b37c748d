# SPDX-License-Identifier: BSD-3-Clause
"""Tensors of torchvision's networks put into ours: names, axes, faults.

Torch has the axes of a convolution's weight as (out, in, height, width), ours are
(height, width, in, out); of a dense one as (out, in), ours (in, out). A dense layer
behind a flattened map reads channel by channel there, pixel by pixel here.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy.typing as npt

from nervure.base.plain import Faults, Place
from nervure.base.words import short
from nervure.exchange._axes import TORCH_WORDS, flattened, torch_shape, turned
from nervure.exchange._tensors import Tensors, read_tensors
from nervure.exchange._types import FLOATS, are_floats, as_floats, word_of
from nervure.exchange.errors import CheckpointError
from nervure.graph.graph import Graph
from nervure.graph.node import Node
from nervure.graph.parameters import Layout, Segment, initialize
from nervure.layers import Shape
from nervure.network.network import Network

Array = npt.NDArray[Any]
TorchNames = Mapping[str, str]
"""Torchvision's name for each of our layers."""

_COUNTER = ".num_batches_tracked"


class Published(Protocol):
    """An architecture, as far as its checkpoints go."""

    auxiliary: ClassVar[tuple[str, ...]]

    @property
    def name(self) -> str: ...
    def torch_names(self) -> TorchNames: ...


@dataclass(frozen=True)
class Match:
    """A parameter and the tensor that it takes; None where it begins anew."""

    segment: Segment
    tensor: Array | None
    flattened: Shape | None


@dataclass(frozen=True)
class Checkpoint:
    """Tensors of a file, and the names that an architecture's layers have there."""

    where: str
    tensors: Tensors
    names: TorchNames
    auxiliary: tuple[str, ...]

    @property
    def classes(self) -> int | None:
        """As many as the file's classifier tells apart, if it has one."""
        head = self.tensors.get(f"{self.names['head']}.weight")
        return None if head is None or head.ndim != 2 else int(head.shape[0])

    def network(self, graph: Graph, aux: bool, seed: int, dtype: str) -> Network:
        """The network of a graph with these weights.

        Raises:
            CheckpointError: see `match`; nothing was allocated yet.
        """
        skipped = () if aux else self.auxiliary
        found = match(graph, self.names, self.tensors, self.where, skipped)
        net = Network.from_graph(graph, seed=seed, dtype=dtype, begin=False)
        fill(net, found, seed)
        return net


def tensors_for(architecture: Published, weights: str | os.PathLike[str]) -> Checkpoint:
    """The file of an architecture's weights, opened.

    Raises:
        CheckpointError: torchvision has no such architecture, or see `read_tensors`.
    """
    where, names = os.fspath(weights), architecture.torch_names()
    if not names:
        raise CheckpointError(
            f"[{where}] weights for {architecture.name!r}; expected an architecture "
            "that torchvision publishes; leave weights= out, or use nv.load for a file "
            "that net.save wrote"
        )
    return Checkpoint(where, read_tensors(weights), names, architecture.auxiliary)


def match(
    graph: Graph,
    names: TorchNames,
    tensors: Tensors,
    where: str,
    skipped: Sequence[str] = (),
) -> list[Match]:
    """What each parameter takes; ``skipped`` begins names that may be left over.

    Classifiers for another number of classes take nothing.

    Raises:
        CheckpointError: missing, left over and differing tensors, one line each.
    """
    at = Faults(where).at()
    segments = Layout.of(graph).segments
    keys = {s.name: _key(graph, names, s) for s in segments}
    if not any(key in tensors for key in keys.values()):
        raise CheckpointError(
            f"[{where}] holds {_such_as(tensors)}; expected {_such_as(keys.values())}; "
            "use the checkpoint of this architecture"
        )
    found: list[Match] = []
    for segment in segments:
        node = graph.nodes[segment.node]
        wanted = torch_shape(segment.shape)
        tensor = _checked(tensors, keys[segment.name], wanted, node, at)
        found.append(Match(segment, tensor, flattened(graph, node)))
    known = set(keys.values())
    for name in sorted(set(tensors) - known):
        if name.endswith(_COUNTER) or name.startswith(tuple(skipped)):
            continue
        at.key(name).bad("no such tensor in the network")
    if at.faults.lines:
        at.bad("checkpoint and network differ; use the checkpoint of this architecture")
    at.faults.raise_as(CheckpointError)
    return found


def _key(graph: Graph, names: TorchNames, segment: Segment) -> str:
    """Torchvision's name for a parameter."""
    group = graph.nodes[segment.node].group
    return f"{names[group]}.{TORCH_WORDS[segment.parameter.name]}"


def _such_as(names: Iterable[str]) -> str:
    first = [short(name) for name in itertools.islice(names, 2)]
    return f"tensors such as {', '.join(first)}" if first else "no tensors"


def _checked(
    tensors: Tensors, key: str, wanted: Shape, node: Node, at: Place
) -> Array | None:
    """The tensor of this name and shape, or None for a classifier that is replaced."""
    tensor = tensors.get(key)
    if tensor is None:
        at.key(key).bad(f"missing; expected shape {wanted}")
    elif tensor.shape != wanted:
        if _is_head(node) and tensor.shape[1:] == wanted[1:]:
            return None
        at.key(key).bad(f"found shape {tensor.shape}; expected {wanted}")
    elif not are_floats(tensor):
        kind = word_of(tensor.dtype)
        at.key(key).bad(f"found numbers of type {kind}; expected {FLOATS}")
    return tensor


def _is_head(node: Node) -> bool:
    return node.group == "head" or node.group.endswith(".head")


def fill(net: Network, found: Sequence[Match], seed: int) -> None:
    """Put the tensors into the network; what takes none begins by the seed."""
    own = [one.segment for one in found if one.tensor is None]
    initialize(Layout(tuple(own), net.layout.size), seed, net.values)
    for one in found:
        if one.tensor is not None:
            view = one.segment.view(net.values)
            view[...] = turned(as_floats(one.tensor), one.flattened).reshape(view.shape)
