# SPDX-License-Identifier: BSD-3-Clause
"""Weights from checkpoints of PyTorch and from safetensors, by name or by shape."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy.typing as npt

from nervure.base.words import is_table, short, unknown
from nervure.exchange._axes import TORCH_WORDS, flattened, torch_shape, turned
from nervure.exchange._names import SCHEMES, Scheme
from nervure.exchange._tensors import Tensors, read_tensors
from nervure.exchange._types import are_floats, as_floats, word_of
from nervure.exchange.errors import CheckpointError
from nervure.graph.parameters import Segment
from nervure.layers import Embedding, Learned, Shape
from nervure.network.network import Network

Array = npt.NDArray[Any]
Match = Literal["names", "shapes"] | Mapping[str, str]

_AS_THEY_ARE = (Embedding, Learned)
"""Layers whose parameters lie as torch's do."""
_MOST_LINES = 20
_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class WeightReport:
    """What of a checkpoint a network took.

    ``taken`` are the tensors by the names of parameters; ``missing`` parameters keep
    what they had; ``unused`` tensors fit nowhere; ``misfits`` have the name of a
    parameter and another shape, or hold no floating-point numbers.
    """

    taken: Mapping[str, str]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    misfits: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{len(self.taken)} of {len(self.taken) + len(self.missing)} taken"]
        for word in ("missing", "unused", "misfits"):
            found: tuple[str, ...] = getattr(self, word)
            if found:
                more = len(found) - _MOST_LINES
                rest = f", and {more} more" if more > 0 else ""
                lines.append(f"{word}: {', '.join(found[:_MOST_LINES])}{rest}")
        return "\n".join(lines)


def load_weights(
    net: Network, path: str | os.PathLike[str], *, match: Match = "names"
) -> WeightReport:
    """Give a network the weights of a ``.pth`` or ``.safetensors`` file in PyTorch's
    layout; nothing in the file is executed.

    Weights are turned to channels-last and ``(inputs, units)``; a dense layer behind a
    flattened map has its rows put in order. What does not fit stays as it was, and the
    report names it.

    Args:
        match: ``"names"``: the tensor ``stem.weight`` is the weight of layer ``stem``,
            ``norm.weight`` and ``norm.running_var`` gamma and variance of a norm; the
            zoo's residual networks also find the names of torchvision, timm and
            Hugging Face's transformers;
            ``"shapes"``: each parameter takes the next tensor of its shape that is not
            called another kind of parameter, in the file's order (of a safetensors
            file, which has none, that of the names, numbers in them being numbers); or
            names of our layers with what stands before the dot in theirs.

    Returns:
        What was taken, and what was left on both sides.

    Raises:
        CheckpointError: the file cannot be read, is damaged, or nothing in it fits.
        ValueError: a mapping names a layer that there is not.

    >>> import tempfile, numpy as np, nervure as nv
    >>> from safetensors.numpy import save_file
    >>> net = nv.Network([nv.Input(3), nv.Dense(2, name="fc")], seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/theirs.safetensors"
    ...     save_file({"fc.weight": np.ones((2, 3), np.float32)}, path)
    ...     print(nv.load_weights(net, path))
    1 of 2 taken
    missing: fc.bias
    """
    where, tensors = os.fspath(path), read_tensors(path)
    if match == "shapes":
        pairs = dict(_by_shape(net, tensors))
    else:
        pairs = dict(_by_name(net, tensors, match))
    report = _report(net, tensors, pairs)
    if not report.taken:
        ours = _such_as(segment.name for segment in net.layout.segments)
        raise CheckpointError(
            f"[{where}] none of its {len(tensors):,} tensors fits the network (such as "
            f"{_such_as(tensors)} for {ours}); expected weights of its layers; use "
            'match="shapes", or a mapping of names'
        )
    for segment in net.layout.segments:
        if segment.name in report.taken:
            _put(net, segment, tensors[report.taken[segment.name]])
    return report


def _such_as(names: Any) -> str:
    return short(next(iter(names), "none"))


# -- which tensor goes where -----------------------------------------------------------


def _by_name(net: Network, tensors: Tensors, match: Any) -> Iterator[tuple[str, str]]:
    """Parameters and tensors whose names agree, whatever their shapes."""
    if match == "names":
        found = [list(_named(net, tensors, scheme)) for scheme in SCHEMES]
        yield from max(found, key=len)
        return
    names = _checked(net, match)
    yield from _named(net, tensors, lambda layer: names.get(layer, layer))


def _named(net: Network, tensors: Tensors, theirs: Scheme) -> Iterator[tuple[str, str]]:
    for segment in net.layout.segments:
        layer, _, word = segment.name.rpartition(".")
        own = theirs(layer)
        for key in (f"{own}.{TORCH_WORDS.get(word, word)}", f"{own}.{word}"):
            if key in tensors:
                yield segment.name, key
                break


def _checked(net: Network, match: Any) -> Mapping[str, str]:
    if not is_table(match):
        raise ValueError(
            f'[load_weights] match = {match!r}; expected "names", "shapes" or names of '
            "layers and of theirs; use one of these"
        )
    layers = list(dict.fromkeys(s.name.rpartition(".")[0] for s in net.layout.segments))
    for layer in match:
        if layer not in layers:
            raise ValueError(unknown("load_weights", "layer", str(layer), layers))
    return match


def _by_shape(net: Network, tensors: Tensors) -> Iterator[tuple[str, str]]:
    """Each parameter takes the next tensor of its shape and kind that is left.

    Of a norm all four parameters have one shape: their words keep them apart.
    """
    left: dict[Shape, list[str]] = {}
    for name, tensor in tensors.items():
        if are_floats(tensor) and not name.endswith(_COUNTER):
            left.setdefault(tensor.shape, []).append(name)
    for segment in net.layout.segments:
        names = left.get(_their_shape(net, segment), [])
        word = segment.name.rpartition(".")[2]
        own = TORCH_WORDS.get(word, word)
        taken = next((name for name in names if _kind(name) in (own, "")), None)
        if taken is not None:
            names.remove(taken)
            yield segment.name, taken


def _kind(name: str) -> str:
    """The kind of parameter that a tensor is by its name, or nothing."""
    word = name.rpartition(".")[2]
    own = TORCH_WORDS.get(word, word)
    return own if own in TORCH_WORDS.values() else ""


def _report(net: Network, tensors: Tensors, pairs: Mapping[str, str]) -> WeightReport:
    taken: dict[str, str] = {}
    misfits: list[str] = []
    for segment in net.layout.segments:
        if segment.name not in pairs:
            continue
        key = pairs[segment.name]
        tensor, wanted = tensors[key], _their_shape(net, segment)
        if tensor.shape != wanted:
            misfits.append(f"{key} of shape {tensor.shape} for {wanted}")
        elif not are_floats(tensor):
            misfits.append(f"{key} of type {word_of(tensor.dtype)}")
        else:
            taken[segment.name] = key
    named = {*pairs.values()}
    return WeightReport(
        taken,
        tuple(s.name for s in net.layout.segments if s.name not in taken),
        tuple(n for n in tensors if n not in named and not n.endswith(_COUNTER)),
        tuple(misfits),
    )


# -- how it lies -----------------------------------------------------------------------


def _their_shape(net: Network, segment: Segment) -> Shape:
    layer = net.graph.nodes[segment.node].layer
    return (
        segment.shape if isinstance(layer, _AS_THEY_ARE) else torch_shape(segment.shape)
    )


def _put(net: Network, segment: Segment, tensor: Array) -> None:
    node = net.graph.nodes[segment.node]
    numbers = as_floats(tensor)
    if not isinstance(node.layer, _AS_THEY_ARE):
        numbers = turned(numbers, flattened(net.graph, node))
    view = segment.view(net.values)
    view[...] = numbers.reshape(view.shape)
