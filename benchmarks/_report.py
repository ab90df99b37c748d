# SPDX-License-Identifier: BSD-3-Clause
"""Results as tables: plain on the terminal, Markdown for the README.

``python benchmarks/_report.py results.json [more.json ...]``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _nets import GOALS, SHARE_GOAL
from peers import PEERS, TITLES

Table = list[list[str]]


# -- ratios ------------------------------------------------------------------------


def ratios(name: str, net: dict[str, Any]) -> dict[str, float]:
    """How many times faster nervure is: than every peer, and than the fastest one."""
    if "nervure" not in net["peers"]:
        return {}
    own = net["peers"]["nervure"]["median"]
    others = {p: v["median"] / own for p, v in net["peers"].items() if p != "nervure"}
    return {**others, "fastest": min(others.values())} if others else {}


def best_product(result: dict[str, Any]) -> float:
    """GFLOP/s of the best large product, over the libraries and both measurements."""
    tries = [value for pair in result["products"].values() for value in pair]
    return max((v for v in tries if isinstance(v, float)), default=float("nan"))


def share(result: dict[str, Any], peer: str) -> float | None:
    """Share of that product which a peer reaches in training the large net."""
    net = result["nets"].get("large", {"peers": {}})
    if peer not in net["peers"]:
        return None
    rate = net["gflop per epoch"] / net["peers"][peer]["median"]
    return rate / best_product(result)


# -- cells -------------------------------------------------------------------------


def _times(net: dict[str, Any], peer: str) -> list[str]:
    """Median, quartiles, ratio to nervure, loss, variant of one peer on one net."""
    if peer in net["missing"]:
        return [TITLES[peer], "missing", "", "", "", net["missing"][peer][:60]]
    if peer not in net["peers"]:
        return [TITLES[peer], "not asked", "", "", "", ""]
    shown = net["peers"][peer]
    low, median, high = shown["quartiles"]
    own = net["peers"].get("nervure", {}).get("median")
    loss = next(v for k, v in shown.items() if k.startswith("loss after"))
    return [
        TITLES[peer],
        f"{median:.4f}",
        f"{low:.4f}-{high:.4f}",
        f"{median / own:.2f}x" if own else "",
        f"{loss:.4f}",
        shown["variant"],
    ]


def _against_goals(name: str, net: dict[str, Any]) -> str:
    """The ratios that there are goals for; a missed goal stands there as plainly."""
    found = ratios(name, net)
    titles = {"fastest": "fastest peer", **TITLES}
    shown = (
        f"{titles[peer]} {found[peer]:.1f}x (goal {goal:g}x)"
        for peer, goal in GOALS.get(name, {}).items()
        if peer in found
    )
    return ", ".join(shown)


# -- plain tables ------------------------------------------------------------------


def plain(result: dict[str, Any]) -> str:
    """The terminal's view of any of the benchmarks."""
    return {
        "dense_training": _plain_training,
        "whole_process": _plain_rows,
        "accuracy": _plain_rows,
        "convolution": _plain_passes,
        "sequences": _plain_passes,
    }[result["benchmark"]](result)


def conclude(result: dict[str, Any], file: Path | None) -> None:
    """Show the report of a benchmark, and write every number to a JSON file."""
    print("\n" + plain(result))
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=2) + "\n")


def _plain_training(result: dict[str, Any]) -> str:
    heads = ["peer", "s/epoch", "quartiles", "ratio", "loss", "variant"]
    blocks = []
    for name, net in result["nets"].items():
        rows = [_times(net, peer) for peer in PEERS]
        goals = _against_goals(name, net)
        blocks.append(f"{net['title']}\n{aligned([heads, *rows])}\n{goals}")
    return "\n\n".join([*blocks, _plain_products(result)])


def _plain_passes(result: dict[str, Any]) -> str:
    best = best_product(result)
    blocks = [
        f"{net['title']}\n{aligned(_rows_of_passes(net, best))}"
        for net in result["nets"].values()
    ]
    return "\n\n".join([*blocks, aligned(_product_rows(result))])


def _rows_of_passes(net: dict[str, Any], best: float) -> Table:
    """A line for every peer: what it took, beside nervure's goals."""
    own = net["peers"].get(net["own"], {}).get("median")
    rows = [["peer", "s/pass", "quartiles", "ratio", "GFLOP/s", "peak MB", "variant"]]
    for peer, shown in net["peers"].items():
        low, median, high = shown["quartiles"]
        rate = net["gflop per pass"] / median
        ratio = f"{median / own:.2f}x" if own else ""
        share = f"{rate:.0f} ({rate / best:.0%})"
        if peer != net["own"]:
            ratio += f" (goal {net['goal']:g}x)"
        elif net["share"] is not None:
            share += f" (goal {net['share']:.0%})"
        spread, peak = f"{low:.4f}-{high:.4f}", f"{shown['peak MB']:.0f}"
        shown = [TITLES[peer], f"{median:.4f}", spread, ratio, share, peak]
        rows.append([*shown, net["peers"][peer]["variant"]])
    for peer, why in net["missing"].items():
        rows.append([TITLES[peer], "missing", "", "", "", "", why[:60]])
    return rows


def _product_rows(result: dict[str, Any]) -> Table:
    rows = [["best float32 product", "GFLOP/s"]]
    for library, tries in result["products"].items():
        found = [v for v in tries if isinstance(v, float)]
        rows.append([library, f"{max(found):.0f}" if found else f"missing: {tries[0]}"])
    return rows


def _plain_products(result: dict[str, Any]) -> str:
    lines = [aligned(_product_rows(result))]
    for peer in PEERS:
        reached = share(result, peer)
        if reached is not None:
            goal = f" (goal {SHARE_GOAL:.0%})" if peer == "nervure" else ""
            lines.append(f"large net, share of it: {TITLES[peer]} {reached:.0%}{goal}")
    return "\n".join(lines)


def _plain_rows(result: dict[str, Any]) -> str:
    return "\n\n".join(
        f"{title}\n{aligned(rows)}" for title, rows in result["tables"].items()
    )


def aligned(rows: Table) -> str:
    """Columns padded to the widest cell; the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join(cells).rstrip()


# -- Markdown ----------------------------------------------------------------------


def markdown(result: dict[str, Any]) -> str:
    """The README's table of one benchmark."""
    if result["benchmark"] == "dense_training":
        return _markdown_training(result)
    parts = [
        f"**{title}**\n\n{piped(rows)}" for title, rows in result["tables"].items()
    ]
    return "\n\n".join(parts)


def _markdown_training(result: dict[str, Any]) -> str:
    peers = [peer for peer in PEERS if peer != "nervure"]
    heads = ["net", "nervure, s/epoch", "fastest peer", *(TITLES[p] for p in peers)]
    rows = [heads]
    for name, net in result["nets"].items():
        own = net["peers"].get("nervure", {}).get("median")
        found = ratios(name, net)
        cells = [f"{found[p]:.1f}×" if p in found else "-" for p in ("fastest", *peers)]
        rows.append([net["title"], f"{own:.4f}" if own else "-", *cells])
    lines = [piped(rows), "", _caption(result)]
    reached = share(result, "nervure")
    if reached is not None:
        lines[-1] += (
            f" The large net reaches {reached:.0%} of the machine's best float32 "
            f"matrix product ({best_product(result):.0f} GFLOP/s)."
        )
    return "\n".join(lines)


def _caption(result: dict[str, Any]) -> str:
    """What the numbers are, in one paragraph."""
    versions: dict[str, str] = {}
    for net in result["nets"].values():
        for shown in net["peers"].values():
            versions |= shown["versions"]
    versions.pop("keras backend", None)
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    words = {"mnist": "MNIST", "synthetic": "synthetic data"}
    data = " ".join(words.get(word, word) for word in result["data"].split())
    return (
        "`python benchmarks/dense_training.py` prints how many times faster an epoch "
        f"of nervure is; here {result['rows']:,} rows of "
        f"{data}, {result['threads']} cores, medians of {result['rounds']} alternating "
        f"rounds on {result['machine']['processor']}; {names}."
    )


def piped(rows: Table) -> str:
    """A Markdown table; the first row is the head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for name in sys.argv[1:]:
        print(markdown(json.loads(Path(name).read_text())), end="\n\n")


if __name__ == "__main__":
    main()
