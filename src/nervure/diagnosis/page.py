# SPDX-License-Identifier: BSD-3-Clause
"""Page: a diagnosis as one HTML file that needs nothing else."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.diagnosis.charts import Line, lines, style, tiles
from nervure.findings.case import Case
from nervure.findings.finding import Finding

MOST_LAYERS = 40
"""Lines or rows of a chart; of more layers evenly spaced ones are shown."""


def page(
    title: str, findings: Sequence[Finding], case: Case, missing: Sequence[str]
) -> str:
    """The whole file."""
    own = files("nervure.diagnosis").joinpath("page.css").read_text("utf-8")
    count = sum(f.severity != "note" for f in findings)
    notes = len(findings) - count
    said = (
        f"{count} finding{'s' if count != 1 else ''}" if count else "Nothing is wrong"
    )
    said += f", {notes} note{'s' if notes != 1 else ''}" if notes else ""
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="soft">{_text(said)}</p>',
        *(_finding(one) for one in findings),
        _skills(case),
        *_pictures(case),
        _left_out(missing),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{style()}{own}</style></head><body>"
        f"{''.join(parts)}</body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _finding(one: Finding) -> str:
    where = f"<p>{_text('Layers: ' + ', '.join(one.layers))}</p>" if one.layers else ""
    since = [f"{n} {v}" for n, v in (("epoch", one.epoch), ("step", one.step)) if v]
    began = f"<p>Since {_text(', '.join(since))}.</p>" if since else ""
    patch = ""
    if one.patch is not None:
        patch = f"<pre>{_text(chr(10).join(one.patch.lines))}</pre>"
    evidence = _evidence(one.evidence)
    return (
        f'<section class="finding {one.severity}">'
        f'<h3><span class="badge">{one.severity}</span>{_text(one.page.title)} '
        f"<code>{one.code}</code></h3>"
        f"<p>{_text(_sentence(one.seen))}</p>{where}{began}"
        f"<p>{_text(one.cause)} <strong>{_text(one.remedy)}</strong></p>{patch}"
        f"<details><summary>Evidence</summary>{evidence}</details>"
        f"<details><summary>What it is, and what helps</summary>{_explained(one)}"
        "</details></section>"
    )


def _explained(one: Finding) -> str:
    """The page of its kind, as far as it is written for readers of a report."""
    parts: list[str] = []
    for title, text in one.page.parts:
        parts += [f"<h4>{_text(title)}</h4>"] if title else []
        parts += [_paragraph(part) for part in text.split("\n\n")]
    return "".join(parts)


def _paragraph(text: str) -> str:
    """Markdown of pages: a paragraph or a list, with code in backticks."""
    words = re.sub(r"`([^`]*)`", r"<code>\1</code>", _text(text))
    words = re.sub(r"\*([^*]*)\*", r"<em>\1</em>", words)
    if not words.startswith("- "):
        return f"<p>{words}</p>"
    items = words[2:].split("\n- ")
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _evidence(known: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><td>{_text(name)}</td><td>{_text(_number(value))}</td></tr>"
        for name, value in known.items()
    ]
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _number(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    return "-" if value is None else str(value)


def _skills(case: Case) -> str:
    """What the net does beside simple models."""
    known = {
        "rows that it was trained on": case.own,
        "rows held out": case.held_out,
        "linear regression, on rows it has not seen": case.deep.get("linear", math.nan),
        "kernel regression": case.deep.get("kernel", math.nan),
    }
    rows = [
        f"<tr><td>{_text(name)}</td><td>{_number(value)}</td></tr>"
        for name, value in known.items()
        if not math.isnan(value)
    ]
    if not rows:
        return ""
    return (
        "<h2>How good it is</h2><p class='soft'>Skill: 0 for the best constant answer, "
        "1 for none but right ones.</p>"
        f"<div class='scroll'><table>{''.join(rows)}</table></div>"
    )


def _left_out(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    items = "".join(f"<li>{_text(text)}</li>" for text in missing)
    return f"<h2>Not looked at</h2><ul>{items}</ul>"


# -- charts ---------------------------------------------------------------------------


def _pictures(case: Case) -> list[str]:
    drawn = charts(case)
    return ["<h2>What was measured</h2>", *drawn.values()] if drawn else []


def charts(case: Case) -> dict[str, str]:
    """Figures by name: ``loss``, ``metrics``, and with sampled steps ``signal``,
    ``pace``, ``dead``, ``saturated``, ``echo`` and ``heads``; those of which nothing is
    known are missing.
    """
    drawn = [*_history(case), *_layers(case)]
    return {name: figure for name, figure in drawn if figure}


def _history(case: Case) -> Iterable[tuple[str, str]]:
    record = case.record
    epochs = [float(e) + 1 for e in record.epochs]
    series = [
        Line(name, epochs, record[name].tolist())
        for name in ("loss", "validation_loss")
        if name in record
    ]
    if series and math.isfinite(case.chance):
        series.append(Line("guessing", [epochs[0], epochs[-1]], [case.chance] * 2))
    positive = all(v > 0 for line in series for v in line.y if math.isfinite(v))
    yield "loss", lines(series, title="Loss", x="epoch", y="loss", log=positive)
    names = [
        n
        for n in record.names
        if n.endswith(("accuracy", "r2")) and not n.startswith("_")
    ]
    shown = [Line(n, epochs, record[n].tolist()) for n in names]
    yield "metrics", lines(shown, title="Metrics", x="epoch", y="")


def _layers(case: Case) -> Iterable[tuple[str, str]]:
    signs, record = case.signs, case.record
    if not signs.samples or not signs.weighted:
        return
    steps = record.steps.astype(float).tolist()
    some = _evenly(len(signs.weighted))
    names = [signs.weighted[i].layer for i in some]
    rows = [signs.weighted[i].row for i in some]
    delta = signs.layers("delta")[:, rows]
    ratio = signs.parameters("ratio")[:, some]
    for name, values, title, y in (
        ("signal", delta, "Error signal of each layer", "rms of dC/dz"),
        ("pace", ratio, "Updates beside the weights", "update / weight"),
    ):
        series = [
            Line(n, steps, v.tolist()) for n, v in zip(names, values.T, strict=True)
        ]
        yield name, lines(series, title=title, x="step", y=y, log=True)
    places = [f"{int(step)}" for step in steps]
    for name, title in (
        ("dead", "Share of dead units"),
        ("saturated", "Share of saturated sums"),
    ):
        values = signs.layers(name)
        known = [i for i in range(values.shape[1]) if not np.isnan(values[:, i]).all()]
        known = [known[i] for i in _evenly(len(known))]
        shown = np.nan_to_num(values[:, known].T)
        labels = [record.layers[i] for i in known]
        if known:
            yield name, tiles(shown, labels, title=title, x="step", places=places)
    yield "echo", _echo(case, steps)
    yield "heads", _heads(case, steps)


def _heads(case: Case, steps: list[float]) -> str:
    """How widely the heads of attention look."""
    record = case.record
    if "head_entropy" not in record:
        return ""
    shown = [record.heads[i] for i in _evenly(len(record.heads))]
    values = record["head_entropy"][:, _evenly(len(record.heads))]
    title = "Entropy of attention, as a share of the largest"
    return _along(shown, values, steps, title, "entropy", log=False)


def _echo(case: Case, steps: list[float]) -> str:
    """How a small change of the first state grows along time."""
    values = case.signs.layers("echo")
    title = "A small change of the first state, at the last step"
    return _along(case.record.layers, values, steps, title, "times as large", log=True)


def _along(
    names: Sequence[str],
    values: npt.NDArray[Any],
    steps: list[float],
    title: str,
    y: str,
    log: bool,
) -> str:
    """Lines over those of the steps at which there are numbers."""
    some = [i for i, row in enumerate(values) if not np.isnan(row).all()]
    at = [steps[i] for i in some]
    series = [
        Line(name, at, [float(v) for v in column[some]])
        for name, column in zip(names, values.T, strict=True)
        if not np.isnan(column).all()
    ]
    return lines(series, title=title, x="step", y=y, log=log)


def _evenly(count: int) -> list[int]:
    if count <= MOST_LAYERS:
        return list(range(count))
    return np.linspace(0, count - 1, MOST_LAYERS).round().astype(int).tolist()
