# SPDX-License-Identifier: BSD-3-Clause
"""Page: what is to be said of a kind of finding, in the program and in docs/findings.

Each rule has its page beside it, so that thresholds and words cannot part.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

FOLDER = "docs/findings"


@dataclass(frozen=True)
class Page:
    """What is to be said of a kind of finding.

    Attributes:
        code: its name, fixed for all versions.
        title: the same in words.
        cause, remedy: one sentence each.
        what: what it is, and how it looks.
        why: why it happens.
        helps: what helps, most likely first.
        measured: thresholds, and what they were chosen by.
        sources: literature.
        explains: codes of what it brings about, which are told after it.
        fixable: whether a patch of the spec can undo it.
    """

    code: str
    title: str
    cause: str
    remedy: str
    what: str
    why: str = ""
    helps: str = ""
    measured: str = ""
    sources: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """Where the page stands; `nervure doctor CODE` prints it too."""
        return f"{FOLDER}/{self.code}.md"

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Titles and texts: what it is (no title), why, what helps, and more."""
        several = (
            ("", self.what),
            ("Why it happens", self.why),
            ("What helps", self.helps),
            ("How it is recognized", self.measured),
            ("Sources", "\n".join(f"- {source}" for source in self.sources)),
        )
        return [(title, inspect.cleandoc(text)) for title, text in several if text]

    def markdown(self, picture: bool = False) -> str:
        """The page as docs/findings holds it, perhaps with a picture of an example."""
        lines = [f"# {self.title}", f"`{self.code}`"]
        lines.append(f"**{self.cause}** {self.remedy}")
        lines += [f"![{self.title}: an example]({self.code}.svg)"] if picture else []
        for title, text in self.parts:
            lines += [f"## {title}", text] if title else [text]
        return "\n\n".join(lines) + "\n"
