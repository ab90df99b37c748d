# SPDX-License-Identifier: BSD-3-Clause
"""Page: what is to be said of a kind of finding, in the program and in docs/findings.

Each rule has its page beside it, so that thresholds and words cannot part.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

HOME = "https://github.com/nervure/nervure/blob/main/docs/findings"


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
        """Where the page stands."""
        return f"{HOME}/{self.code}.md"

    def markdown(self, picture: bool = True) -> str:
        """The page as docs/findings holds it, perhaps with a picture of an example."""
        parts = (
            ("", self.what),
            ("Why it happens", self.why),
            ("What helps", self.helps),
            ("How it is recognized", self.measured),
            ("Sources", "\n".join(f"- {source}" for source in self.sources)),
        )
        lines = [f"# {self.title}", f"`{self.code}`"]
        lines.append(f"**{self.cause}** {self.remedy}")
        for title, text in parts:
            if text:
                shown = [_picture(self)] if picture else []
                lines += [f"## {title}"] if title else shown
                lines.append(inspect.cleandoc(text))
        return "\n\n".join(lines) + "\n"


def _picture(page: Page) -> str:
    return f"![{page.title}: an example]({page.code}.svg)"
