# SPDX-License-Identifier: BSD-3-Clause
"""The command line: parse, call, print."""

from __future__ import annotations


def main() -> None:
    """The command ``nervure``; Ctrl-C ends it with 130, also while it is loaded."""
    import sys

    try:
        from nervure.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)
