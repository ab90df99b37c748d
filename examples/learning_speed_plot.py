# SPDX-License-Identifier: BSD-3-Clause
"""The picture of deep_sigmoid.py: learning speed of every layer, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

COLOURS = ("#b3341f", "#d9822b", "#4f9aa8", "#1f4e79")  # first to fourth layer


def draw(found: Mapping[int, Sequence[Sequence[float]]], file: str) -> None:
    """One panel per depth, one line per hidden layer; the same scale everywhere."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        wanted = 'pip install "nervure[plot]"'
        raise SystemExit(f"[plot] no matplotlib; --plot needs it; {wanted}") from None
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True)
    for panel, (hidden, curves) in zip(panels, found.items(), strict=True):
        for layer in range(hidden):
            speeds = [epoch[layer] for epoch in curves]
            panel.semilogy(speeds, color=COLOURS[layer], label=f"layer {layer + 1}")
        panel.set_title(f"{hidden} hidden layer{'s' * (hidden > 1)}", fontsize=10)
        panel.set_xlabel("epochs")
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("learning speed |dC/db|")
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    figure.savefig(file, dpi=150)
