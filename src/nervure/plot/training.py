# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a training: its history, and what its sampled steps say of the layers."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.words import short, unknown
from nervure.findings.signs import Signs
from nervure.network.quantities import BINS, LOWEST
from nervure.plot import axes as places
from nervure.record import Record
from nervure.training.curves import plot as curves
from nervure.training.history import History
from nervure.training.run import Run

Floats = npt.NDArray[np.float64]

MEASURES = {
    "delta": "error signal $|dC/dz|$ of a row",
    "gradient": "gradient of the weights",
    "ratio": "size of a step beside that of the weights",
}
"""What can be drawn as the speed of learning: of layers, or of their weights."""

HISTOGRAMS = {
    "a": ("a_histogram", "layers"),
    "delta": ("delta_histogram", "layers"),
    "gradient": ("gradient_histogram", "parameters"),
    "weight": ("norm_histogram", "parameters"),
}
"""Of what a record keeps distributions, and whose they are."""

MOST_PANELS = 16


def history(found: Any, axes: Any = None) -> Any:
    """Draw what was measured after every epoch, a panel per measure.

    Args:
        found: a run, its history or record, or the folder of one.
        axes: as many axes as there are measures.

    >>> import nervure as nv
    >>> run = nv.fit(nv.Network([nv.Input(1), nv.Dense(1)]), [[0.0], [1.0]],
    ...              [0.0, 1.0], epochs=3, progress=False)
    >>> [panel.get_ylabel() for panel in nv.plot.history(run)]
    ['loss', 'r2', 'learning rate']
    """
    if isinstance(found, Run):
        return curves(found.history, found.best_epoch, axes)
    if isinstance(found, Mapping):
        return curves(History(cast(Mapping[str, list[float]], found)), -1, axes)
    record = _record(found)
    series = record.columns("epochs")
    del series["epoch"]
    known = History({name: values.tolist() for name, values in series.items()})
    return curves(known, int(record.latest("end").get("best_epoch", -1)), axes)


def learning_speed(found: Any, ax: Any = None, *, measure: str = "delta") -> Any:
    """Draw how fast every layer learns, over the steps: the earlier, the darker.

    Args:
        found: a run with telemetry, its record, or the folder of one.
        measure: "delta", the error signal dC/dz of a row (root mean square); or of the
            weights "gradient", its norm, and "ratio", that of a step beside theirs.

    Source: Nielsen, *Neural Networks and Deep Learning* (2015), chapter 5, whose speed
    of learning is the norm of delta.
    """
    if measure not in MEASURES:
        raise ValueError(unknown("plot", "measure", measure, MEASURES))
    record = _sampled(found)
    names, values = _by_layer(found, measure)
    ax = places.one("plot.learning_speed", ax)
    colours, labels = places.colours(len(names)), places.named(names)
    for i, label in enumerate(labels):
        line = np.where(values[:, i] > 0, values[:, i], math.nan)
        ax.plot(record.steps, line, color=colours[i], label=label)
    ax.set_yscale("log")
    ax.set_xlabel("steps")
    ax.set_ylabel(MEASURES[measure])
    ax.legend(fontsize="small")
    return ax


def gradient_flow(found: Any, ax: Any = None) -> Any:
    """Draw the error signal from layer to layer, at the beginning and at the end.

    The root mean square of dC/dz of a row, its median over a few samples; the band is
    all there was. A line that falls to the left says that first layers learn slowly.

    Args:
        found: a run with telemetry, its record, or the folder of one.
    """
    names, values = _by_layer(found, "delta")
    ax = places.one("plot.gradient_flow", ax)
    across = np.arange(len(names))
    with np.errstate(all="ignore"):
        ax.fill_between(
            across,
            np.nanmin(values, axis=0),
            np.nanmax(values, axis=0),
            alpha=0.15,
            color="grey",
            label="all steps",
        )
        few = min(5, -(-len(values) // 2))
        for some, label in ((values[:few], "first steps"), (values[-few:], "last")):
            ax.plot(across, np.nanmedian(some, axis=0), marker="o", label=label)
    ax.set_yscale("log")
    ax.set_xticks(across, names, rotation=45 if len(names) > 4 else 0, ha="right")
    ax.set_ylabel(MEASURES["delta"])
    ax.legend(fontsize="small")
    return ax


def distributions(found: Any, axes: Any = None, *, of: str = "a") -> Any:
    """Draw how magnitudes are distributed in every layer, step by step.

    A column of tiles for each sampled step with histograms, the darker the more values;
    the lowest row holds zeros too.

    Args:
        found: a run with telemetry, its record, or the folder of one.
        of: "a" (outputs of layers), "delta" (dC/dz), "gradient" or "weight".
    """
    if of not in HISTOGRAMS:
        raise ValueError(unknown("plot", "quantity", of, HISTOGRAMS))
    column, whose = HISTOGRAMS[of]
    record = _sampled(found)
    events = [event for event in record.of("step") if column in event]
    names: tuple[str, ...] = getattr(record, whose)
    known = [i for i in range(len(names)) if events and events[0][column][i]]
    if not known:
        raise ValueError(
            f"[plot.distributions] the record keeps no histograms of {of}; expected "
            "sampled steps with some; train for more steps"
        )
    shown = known[:: -(-len(known) // MOST_PANELS)]
    panels = places.several("plot.distributions", axes, len(shown), (2.6, 2.4))
    steps = [str(event["step"]) for event in events]
    counts = [np.array([e[column][i] for e in events], np.float64) for i in shown]
    filled = np.flatnonzero(sum(one.sum(axis=0) for one in counts))
    for panel, i, own in zip(panels, shown, counts, strict=True):
        _draw_histograms(panel, own)
        panel.set_ylim(filled[0] - 1, filled[-1] + 1)
        panel.set_title(names[i], fontsize="small")
        panel.set_xticks(range(len(steps)), steps, rotation=90, fontsize="x-small")
        panel.set_xlabel("step", fontsize="small")
    return panels


def _draw_histograms(panel: Any, counts: Floats) -> None:
    """Shares of the counts ``(samples, bins)`` as tiles, magnitudes upwards."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    look = {"cmap": "Blues", "vmin": 0, "vmax": max(shares.max(), 1e-9)}
    panel.imshow(shares.T, origin="lower", aspect="auto", **look)
    bins = range(0, BINS, 4)
    edges = [k + 0.5 for k in bins]  # bin k ends there
    panel.set_yticks(edges, [f"$2^{{{k + LOWEST}}}$" for k in bins], fontsize="small")


def _by_layer(found: Any, measure: str) -> tuple[list[str], Floats]:
    """Names of the layers with weights, first to last, and a quantity of each."""
    graph = found.network.graph if isinstance(found, Run) else None
    record = _sampled(found)
    signs = Signs(record, graph)
    of_layers = measure == "delta"
    values = signs.layers(measure) if of_layers else signs.parameters(measure)
    if not of_layers:
        return [record.parameters[w.column] for w in signs.weighted], values
    rows = {w.layer: w.row for w in signs.weighted}  # some have two weights
    return list(rows), values[:, list(rows.values())]


def _record(found: Any) -> Record:
    if isinstance(found, Run):
        return found.record
    if isinstance(found, Record):
        return found
    if isinstance(found, str | os.PathLike):
        return Record.read(cast(str, found))
    raise TypeError(
        f"[plot] {short(found)}; expected a run, its record, or the folder of one; "
        "pass one of them"
    )


def _sampled(found: Any) -> Record:
    """The record, which must have sampled steps."""
    record = _record(found)
    if not record.of("step"):
        raise ValueError(
            "[plot] the record has no sampled steps; expected a run with telemetry; "
            "train with telemetry=True, or with directory="
        )
    return record
