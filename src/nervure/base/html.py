# SPDX-License-Identifier: BSD-3-Clause
"""What notebooks show of objects: small tables, without colours of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(
    head: Sequence[object], rows: Iterable[Sequence[object]], numbers: int = 0
) -> str:
    """A table; the last ``numbers`` columns to the right.

    >>> html_table(["a", "b"], [["<x>", 1]], numbers=1).count("&lt;x&gt;")
    1
    """
    left = len(head) - numbers

    def line(cells: Sequence[object], tag: str) -> str:
        sides = ("left" if i < left else "right" for i in range(len(cells)))
        pairs = zip(cells, sides, strict=True)
        made = (
            f'<{tag} style="text-align:{side}">{escape(str(cell))}</{tag}>'
            for cell, side in pairs
        )
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"


def html_lines(lines: Iterable[str]) -> str:
    """Lines of text, one below the other."""
    return f"<div>{'<br>'.join(escape(line) for line in lines)}</div>"
