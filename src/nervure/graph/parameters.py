# SPDX-License-Identifier: BSD-3-Clause
"""All parameters of a network in one flat array, and the views into it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.words import unknown
from nervure.graph.graph import Graph
from nervure.initializers import Fans, fans_of
from nervure.layers import Parameter, Shape

ALIGNMENT = 64
"""Bytes: a cache line and a vector register of the widest instruction set."""

_GRAIN = 16
"""Elements: every segment begins on a cache line in float32 and float64."""

LARGEST_SEED = 2**64 - 1
"""Seeds key Philox generators with 64 bits."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Segment:
    """One parameter's place in the flat array; ``others`` have it too, tied."""

    name: str
    node: int
    parameter: Parameter
    offset: int
    others: tuple[int, ...] = ()

    @property
    def nodes(self) -> tuple[int, ...]:
        """Every node that has the parameter."""
        return (self.node, *self.others)

    @property
    def shape(self) -> Shape:
        return self.parameter.shape

    @property
    def size(self) -> int:
        return math.prod(self.parameter.shape)

    def view(self, flat: Floats) -> Floats:
        """The parameter's part of a flat array, in its shape."""
        return flat[self.offset : self.offset + self.size].reshape(self.shape)


@dataclass(frozen=True)
class Layout:
    """Places of all parameters: segments in layer order and the flat array's size."""

    segments: tuple[Segment, ...]
    size: int

    @classmethod
    def of(cls, graph: Graph) -> Layout:
        segments: dict[str, Segment] = {}
        offset = 0
        for i, node in enumerate(graph.nodes):
            for name, parameter in zip(
                node.parameter_names, node.parameters, strict=True
            ):
                if name in segments:  # tied: its owner stands before
                    known = segments[name]
                    segments[name] = replace(known, others=(*known.others, i))
                    continue
                segments[name] = segment = Segment(name, i, parameter, offset)
                offset += -(-segment.size // _GRAIN) * _GRAIN
        return cls(tuple(segments.values()), max(offset, _GRAIN))

    def of_node(self, node: int) -> tuple[Segment, ...]:
        """In the order of the node's parameters: what is tied comes first there too."""
        return self._by_node.get(node, ())

    @cached_property
    def _by_node(self) -> Mapping[int, tuple[Segment, ...]]:
        found: dict[int, list[Segment]] = {}
        for segment in self.segments:
            for node in segment.nodes:
                found.setdefault(node, []).append(segment)
        return {node: tuple(segments) for node, segments in found.items()}

    @property
    def count(self) -> int:
        """Number of parameters, stored state included."""
        return sum(segment.size for segment in self.segments)


def aligned_zeros(size: int, dtype: npt.DTypeLike) -> Floats:
    """A flat array of zeros that begins on a cache line."""
    item = np.dtype(dtype).itemsize
    raw = np.zeros(size * item + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * item].view(dtype)


def initialize(layout: Layout, seed: int, flat: Floats) -> None:
    """Give every parameter its beginning, keyed by the seed and its own name.

    A parameter begins the same whatever other layers the network has.
    """
    for segment in layout.segments:
        key = np.array([seed, zlib.crc32(segment.name.encode())], dtype=np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        parameter = segment.parameter
        fans = Fans(*parameter.fans) if parameter.fans else fans_of(parameter.shape)
        segment.view(flat)[...] = parameter.initializer.sample(
            parameter.shape, fans, generator
        )


def put(value: npt.ArrayLike, place: Floats, name: str) -> None:
    """Copy an array into the parameters' memory, which stays where it is.

    Raises:
        ValueError: it holds no numbers, or has another shape.
    """
    try:
        array = np.asarray(value, place.dtype)
    except (TypeError, ValueError):
        raise ValueError(
            f"[parameters] {name!r} is given {value!r:.60}; expected numbers of "
            f"shape {place.shape}; give an array of them"
        ) from None
    if array.shape != place.shape:
        raise ValueError(
            f"[parameters] {name!r} is given shape {array.shape}; expected "
            f"{place.shape}; reshape it"
        )
    place[...] = array


class ParameterViews(Mapping[str, Floats]):
    """Parameters by name, each a view: writing into it changes the network.

    ``parameters["dense.weight"] = array`` copies the array into the view.
    """

    def __init__(self, layout: Layout, flat: Floats) -> None:
        self._views = {s.name: s.view(flat) for s in layout.segments}

    def __getitem__(self, name: str) -> Floats:
        if name not in self._views:
            raise KeyError(unknown("parameters", "parameter", name, self._views))
        return self._views[name]

    def __setitem__(self, name: str, value: npt.ArrayLike) -> None:
        put(value, self[name], name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {v.shape}" for name, v in self._views.items())
        return f"<parameters: {shapes}>"
