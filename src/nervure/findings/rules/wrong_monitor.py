# SPDX-License-Identifier: BSD-3-Clause
"""wrong-monitor: what is followed says nothing of other rows."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Change, Patch
from nervure.optimizers import ReduceOnPlateau, UpdateRule

PAGE = Page(
    code="wrong-monitor",
    title="The wrong value is monitored",
    cause="A value of the training rows decides, though rows were held out for that.",
    remedy="Leave monitor out: it is then the validation loss.",
    what="""
        Early stopping waits for the training loss, which falls for ever; the best epoch
        is the one that has learned its own rows best. A learning rate that waits for a
        plateau waits for the wrong one.
        """,
    why="The name of the value in the history lacks `validation_`.",
    helps='- leave `monitor` out, or write monitor = "validation_loss".',
    measured="""
        `early_stopping` or `reduce_on_plateau` names a value of the training rows, and
        there are held-out rows.
        """,
    sources=("Prechelt, *Early stopping - but when?* (1998)",),
)
LIVE = True


def check(case: Case) -> Finding | None:
    if case.facts is None or not case.facts.held_out:
        return None
    found = _followed(case)
    wrong = {
        key: name for key, name in found.items() if not name.startswith("validation_")
    }
    if not wrong:
        return None
    key, name = next(iter(wrong.items()))
    changes = tuple(Change(key, name, None) for key, name in wrong.items())
    return Finding(
        PAGE,
        "warning",
        f"{key} is {name!r}, of rows that are trained on; {case.facts.held_out} rows "
        "are held out",
        {"monitor": name, "held_out": case.facts.held_out},
        strength=0.9,
        patch=Patch(changes),
    )


def _followed(case: Case) -> dict[str, str]:
    """The values that are named, by their keys."""
    training, found = case.training, dict[str, str]()
    if training.early_stopping and training.early_stopping.monitor:
        key = "training.early_stopping.monitor"
        found[key] = training.early_stopping.monitor
    rule = training.optimizer
    rate = rule.learning_rate if isinstance(rule, UpdateRule) else None
    if isinstance(rate, ReduceOnPlateau) and rate.monitor:
        found["training.optimizer.learning_rate.monitor"] = rate.monitor
    return found
