# SPDX-License-Identifier: BSD-3-Clause
"""The engine on its way along one sequence, step by step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from nervure.executors._executor import Executor, Floats
from nervure.executors.native import KEPT, NativeExecutor, engine
from nervure.executors.plan import Room, engine_plan
from nervure.graph.graph import Graph
from nervure.graph.node import Node
from nervure.layers._layer import Kept
from nervure.layers.formula import Formula


@dataclass(frozen=True)
class Drawing:
    """How a code is drawn from what a network says (see `nervure.generate`)."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0


class Stepper:
    """Reads one sequence of codes in the engine; each step costs one step.

    Made by `stepper_of`.
    """

    def __init__(self, native: Any, shares: bool) -> None:
        self._engine, self._shares = native, shares

    def read(self, codes: Sequence[int]) -> Floats:
        """What the network says after these codes, ``(outputs,)``."""
        self._engine.write(list(codes), 0, 1.0, 0, 1.0, 0, 0, self._shares)
        return self._engine.output()

    def write(
        self, codes: Sequence[int], count: int, how: Drawing, first: int
    ) -> tuple[list[int], bool]:
        """Read these codes, then draw up to ``count``, and read each but the last.

        ``first`` is the number of the first that is drawn. The second result is False
        where the next one cannot be drawn: the scores are not finite.
        """
        drawn, finite = self._engine.write(
            list(codes),
            count,
            how.temperature,
            how.top_k or 0,
            1.0 if how.top_p is None else how.top_p,
            how.seed & (2**64 - 1),
            first,
            self._shares,
        )
        return drawn, finite


def fits(graph: Graph) -> bool:
    """Whether every layer goes step by step in the engine."""
    nodes = graph.nodes
    return not any(isinstance(n.layer, Formula) or _kept(n) is None for n in nodes)


@contextmanager
def stepper_of(executor: Executor, shares: bool) -> Generator[Stepper]:
    """A stepper at the beginning of a sequence; it is kept for the next one.

    Args:
        executor: of a model of one input of codes and one output.
        shares: whether the output gives probabilities, and not their logarithms.
    """
    assert isinstance(executor, NativeExecutor)
    idle = executor.steppers  # one in use is not among them: threads have their own
    native = idle.pop() if idle else _made(executor)
    native.restart()
    try:
        yield Stepper(native, shares)
    finally:
        idle.append(native)
        del idle[KEPT:]


def _made(executor: NativeExecutor) -> Any:
    model = executor.model
    graph = model.graph
    one_step = Room([np.ones(1, np.int64) for _ in graph.clocks])
    plan = executor.planning.plan("infer", 1, None, one_step)
    fields = engine_plan(graph, model.layout, plan, model.frozen, frozenset())
    for node in fields["nodes"]:
        if "stateful" in node["attributes"]:  # states go on by themselves here
            node["attributes"]["stateful"] = 0
    kept = [_kept(node) or "" for node in graph.nodes]
    kind = engine().Stepper32 if model.dtype == np.float32 else engine().Stepper64
    return kind(fields, kept, model.values)


def _kept(node: Node) -> Kept | None:
    """What a node needs of earlier steps: nothing where it goes along a fixed axis."""
    return "" if any(node.times) else node.layer.kept
