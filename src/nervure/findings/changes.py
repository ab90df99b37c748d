# SPDX-License-Identifier: BSD-3-Clause
"""Changes: patches of a spec that several rules propose."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from nervure.base import plain
from nervure.findings.case import Case
from nervure.findings.patch import Change, Patch
from nervure.graph.node import Entry, layer_to_dict
from nervure.optimizers import Schedule, UpdateRule

RATE = "training.optimizer.learning_rate"

SAFE_RATES = {"sgd": 0.05, "gradient_descent": 0.1, "adagrad": 0.01, "adadelta": 1.0}
"""Learning rates that are seldom far off; 2e-3 for Adam and its like."""

BATCH, STEPS = 32, 600


def patch(*changes: Change | None) -> Patch | None:
    """The changes as a patch; None where there is none, or one is unknown."""
    known = [change for change in changes if change is not None]
    return Patch(tuple(known)) if known and len(known) == len(changes) else None


def setting(case: Case, name: str, after: Any) -> Change:
    """Another value of a key of [training]."""
    return Change(f"training.{name}", plain.write(getattr(case.training, name)), after)


def field(case: Case, layer: str, name: str, after: Any) -> Change | None:
    """Another value of a layer's field, None for its default; None if it is so."""
    key, entry = case.key(layer, name), case.entry(layer)
    if key is None or entry is None or not hasattr(entry.layer, name):
        return None
    before = plain.write(getattr(entry.layer, name), path=name)
    return None if before == after else Change(key, before, after)


def fields(case: Case, layers: Iterable[str], name: str, after: Any) -> list[Change]:
    """The same for those of the layers that have the field, at another value."""
    found = (field(case, layer, name, after) for layer in layers)
    return [change for change in found if change is not None]


def removed(case: Case, layer: str) -> Change | None:
    """A layer taken out of the spec."""
    key, entry = case.key(layer), case.entry(layer)
    if key is None or entry is None:
        return None
    return Change(key, layer_to_dict(entry.layer), None, "remove")


def inserted(case: Case, before: str, table: dict[str, Any]) -> Change | None:
    """A layer put before another one; only into a chain, where names join nothing."""
    key = case.key(before)
    if key is None or not is_chain(case.spec.layers):
        return None
    return Change(key, None, table, "insert")


def appended(case: Case, table: dict[str, Any]) -> Change | None:
    """A layer put at the end of a chain."""
    if not case.spec.layers or not is_chain(case.spec.layers):
        return None
    return Change(f"layer.{len(case.spec.layers)}", None, table, "insert")


def is_chain(entries: Sequence[Entry]) -> bool:
    """Whether every layer reads the one before it."""
    return not any(entry.inputs for entry in entries)


def rate(case: Case, factor: float) -> Patch | None:
    """The learning rate times a factor, or what a range test found on that side."""
    rule = case.training.optimizer
    if not isinstance(rule, UpdateRule):
        return None
    return patch(_rate_to(rule, _tested(case, factor) or case.rate * factor))


def _tested(case: Case, factor: float) -> float | None:
    """What a range test found, if it is lower or higher, as the factor is.

    It says little of attention, which learns late: a hundred steps show nothing.
    """
    found = None if case.record.heads else case.trials.get("rate")
    fits = found is not None and (found < case.rate) == (factor < 1)
    return float(found) if found is not None and fits else None


def rate_advice(case: Case, change: Patch | None) -> str:
    """What a patch says of the learning rate, in a sentence; nothing if it does not."""
    found = [c for c in change.changes if c.key.startswith(RATE)] if change else []
    if not found or not isinstance(found[0].after, float):
        return ""
    after = found[0].after
    word = "Lower" if after < case.rate else "Raise"
    steps = f"{word} the learning rate from {case.rate:.3g} to {after:g}"
    if _tested(case, after / case.rate) is not None:
        return f"{steps}, as a range test suggests."
    times = max(case.rate / after, after / case.rate)
    return f"{steps}, {times:.3g} times; nv.find_learning_rate tells more."


def clipped(case: Case) -> list[Change]:
    """A bound of the gradient's norm, where the optimizer has none."""
    rule = case.training.optimizer
    if not isinstance(rule, UpdateRule) or rule.clip_norm is not None:
        return []
    return [Change("training.optimizer.clip_norm", None, 1.0)]


def batches(case: Case, size: int) -> Patch:
    """Batches of another size, and epochs enough for `STEPS` steps."""
    changes = [setting(case, "batch_size", size)]
    rows = case.facts.rows if case.facts else 0
    wanted = -(-STEPS // max(1, -(-rows // size)))
    if rows and case.training.epochs < wanted:
        changes.append(setting(case, "epochs", wanted))
    return Patch(tuple(changes))


def _rate_to(rule: UpdateRule, after: float) -> Change:
    after = float(f"{after:.2g}")
    current = rule.learning_rate
    if not isinstance(current, Schedule):
        return Change(RATE, current, after)
    for name in ("start", "peak", "value"):
        known = {f.name for f in dataclasses.fields(current)}
        if name in known and isinstance(getattr(current, name), float | int):
            return Change(f"{RATE}.{name}", float(getattr(current, name)), after)
    return Change(RATE, plain.write(current), after)


def safe_rate(case: Case) -> float:
    """A learning rate for the optimizer that is seldom far off."""
    rule = case.training.optimizer
    plain_sgd = rule.kind == "sgd" and getattr(rule, "momentum", 0.0) > 0
    return SAFE_RATES.get(rule.kind, 2e-3) * (0.2 if plain_sgd else 1.0)
