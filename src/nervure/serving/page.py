# SPDX-License-Identifier: BSD-3-Clause
"""The page to try a model by hand: one file, the same for every model.

What it shows of the model it asks the server for, and puts on itself as text; nothing
of a model is ever read as HTML.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib.resources import files


@functools.cache
def page() -> str:
    """The whole file."""
    return files("nervure.serving").joinpath("page.html").read_text("utf-8")


@functools.cache
def policy() -> str:
    """The Content-Security-Policy: the page's own style and script, and no other."""
    style, script = (_hash(kind) for kind in ("style", "script"))
    return (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; "
        "connect-src 'self'; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _hash(kind: str) -> str:
    (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", page(), re.DOTALL)
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
