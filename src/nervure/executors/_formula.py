# SPDX-License-Identifier: BSD-3-Clause
"""Layers that only Python knows, as the engine calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import Ragged
from nervure.graph.node import Node
from nervure.layers import LayerError, Pass
from nervure.layers.formula import Formula

Array = npt.NDArray[Any]


class FormulaCall:
    """The formula of a node, and its derivatives: arrays of rows in, flat arrays out.

    ``gives_steps`` says that it gives as many values as its first input has steps.
    """

    def __init__(self, node: Node, parameters: Mapping[str, Array]) -> None:
        assert isinstance(node.layer, Formula)
        self._node, self._layer, self._parameters = node, node.layer, parameters
        self.gives_steps = node.layer.sequences > 0 and node.layer.keeps_time

    def __call__(
        self,
        forward: bool,
        inputs: Sequence[Array],
        lengths: Sequence[Sequence[int]],
        output: Array | None,
        delta: Array | None,
        key: tuple[bool, int, int],
    ) -> Any:
        node, layer = self._node, self._layer
        along = len(node.times)
        rows = [
            Ragged(x, own) if i < along else None
            for i, (x, own) in enumerate(zip(inputs, lengths, strict=True))
        ]
        shapes = node.seen
        seen = [
            (x if own is None else own.to_array()).reshape(*_leading(x, own), *shape)
            for x, own, shape in zip(inputs, rows, shapes, strict=True)
        ]
        known = tuple(None if own is None else own.lengths for own in rows[:along])
        info = Pass(key[0], key[1], key[2], node.random_key, lengths=known)
        first = rows[0] if self.gives_steps else None
        if forward:
            found = layer.formula(np, self._parameters, *seen, info=info)
            return self._flat(found, first, inputs[0].dtype)
        assert output is not None
        assert delta is not None
        shape = layer.output_shape(*shapes)
        y, d = (_padded(x, first, shape) for x in (output, delta))
        by_input, by_name = layer.backward(self._parameters, seen, y, d, info)
        self._check(by_input, by_name)
        return (
            [
                None if g is None else self._flat(g, own, x.dtype)
                for g, own, x in zip(by_input, rows, inputs, strict=True)
            ],
            [
                self._flat(by_name[p.name], None, delta.dtype)
                if p.name in by_name
                else None
                for p in node.parameters
            ],
        )

    @staticmethod
    def _flat(found: Any, rows: Ragged | None, dtype: np.dtype[Any]) -> Array:
        array = np.asarray(found, dtype)
        if rows is not None:
            array = array[np.arange(rows.longest) < rows.lengths[:, None]]
        return np.ascontiguousarray(array).reshape(-1)

    def _check(self, by_input: Any, by_name: Any) -> None:
        if len(by_input) != len(self._node.inputs):
            raise LayerError(
                f"[{self._node.name}] backward gave {len(by_input)} arrays for "
                f"{len(self._node.inputs)} inputs; expected one for each, or None; "
                "return ([...], {...})"
            )


def _leading(x: Array, rows: Ragged | None) -> tuple[int, ...]:
    return (len(x),) if rows is None else (len(rows), rows.longest)


def _padded(x: Array, rows: Ragged | None, shape: tuple[int, ...]) -> Array:
    if rows is None:
        return x.reshape(len(x), *shape)
    return rows.with_values(x).to_array().reshape(len(rows), rows.longest, *shape)
