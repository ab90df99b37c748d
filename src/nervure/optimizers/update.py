# SPDX-License-Identifier: BSD-3-Clause
"""A whole optimizer step over named parameters: what the engine's sweep does, readable.

The order is: clip by value, clip by the norm of all, add the penalties' gradient,
decay, update by the formula, limit the columns' norms. Runs under NumPy and JAX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nervure.optimizers._rule import Array, Slots, UpdateRule
from nervure.regularizers import Regularizer

Arrays = Mapping[str, Array]
State = Mapping[str, Slots]


@dataclass(frozen=True)
class Setting:
    """How the optimizer treats a parameter (see `nervure.layers._layer.Parameter`)."""

    decays: bool = True
    trainable: bool = True
    learning_rate_multiplier: float = 1.0


def begin(rule: UpdateRule, xp: Any, parameters: Arrays) -> dict[str, Slots]:
    """The slots before the first step: zeros.

    >>> import numpy as np
    >>> from nervure.optimizers import Adam
    >>> [slot.tolist() for slot in begin(Adam(), np, {"b": np.ones(2)})["b"]]
    [[0.0, 0.0], [0.0, 0.0]]
    """
    return {
        name: tuple(xp.zeros_like(w) for _ in rule.slots)
        for name, w in parameters.items()
    }


def enter(
    rule: UpdateRule, xp: Any, parameters: Arrays, state: State
) -> tuple[dict[str, Array], dict[str, Slots]]:
    """From the parameters to the points where gradients are taken."""
    both = {name: rule.enter(xp, w, state[name]) for name, w in parameters.items()}
    return {k: w for k, (w, _) in both.items()}, {k: s for k, (_, s) in both.items()}


def leave(
    rule: UpdateRule, xp: Any, parameters: Arrays, state: State
) -> tuple[dict[str, Array], dict[str, Slots]]:
    """Back to the parameters, exactly."""
    both = {name: rule.leave(xp, w, state[name]) for name, w in parameters.items()}
    return {k: w for k, (w, _) in both.items()}, {k: s for k, (_, s) in both.items()}


def update(
    rule: UpdateRule,
    xp: Any,
    parameters: Arrays,
    gradients: Arrays,
    state: State,
    learning_rate: Any,
    step: Any,
    *,
    settings: Mapping[str, Setting] | None = None,
    regularizer: Regularizer | None = None,
) -> tuple[dict[str, Array], dict[str, Slots]]:
    """Parameters and slots after one step, between `enter` and `leave`.

    ``step`` counts updates from 1. Parameters without a setting get the default one;
    those that are not trainable keep their values and stand outside the norm.

    >>> import numpy as np
    >>> from nervure.optimizers import SGD
    >>> w = {"w": np.array([1.0])}
    >>> w, _ = update(SGD(), np, w, {"w": np.array([2.0])}, {"w": ()}, 0.1, 1)
    >>> w["w"].tolist()
    [0.8]
    """
    known = settings or {}
    each = {name: known.get(name, Setting()) for name in parameters}
    moving = [name for name in parameters if each[name].trainable]
    clipped = clip(rule, xp, {name: gradients[name] for name in moving})
    after, slots_after = dict(parameters), dict(state)
    for name in moving:
        setting = each[name]
        rate = learning_rate * setting.learning_rate_multiplier
        w, g, slots = parameters[name], clipped[name], state[name]
        penalty = regularizer if setting.decays else None
        if penalty is not None:
            g = g + penalty.gradient(xp, w)
        if setting.decays and rule.weight_decay:
            w, slots = rule.decay(xp, w, slots, rate * rule.weight_decay)
        w, slots = rule.formula(xp, w, g, slots, rate, step)
        if penalty is not None and penalty.strengths().max_norm:
            w, slots = rule.leave(xp, w, slots)
            w, slots = rule.enter(xp, penalty.constrain(xp, w), slots)
        after[name], slots_after[name] = w, slots
    return after, slots_after


def clip(rule: UpdateRule, xp: Any, gradients: Arrays) -> dict[str, Array]:
    """Gradients, clipped by value and then by the norm of all of them together."""
    bounded = dict(gradients)
    if rule.clip_value is not None:
        bound = rule.clip_value
        bounded = {name: xp.clip(g, -bound, bound) for name, g in bounded.items()}
    if rule.clip_norm is None or not bounded:
        return bounded
    norm = xp.sqrt(sum(xp.sum(g * g) for g in bounded.values()))
    scale = rule.clip_norm / xp.maximum(norm, rule.clip_norm)
    return {name: g * scale for name, g in bounded.items()}
