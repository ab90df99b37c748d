# SPDX-License-Identifier: BSD-3-Clause
"""The command line: parse, call, print."""

from __future__ import annotations


def main() -> None:
    """The command ``nervure``."""
    import sys

    from nervure.cli.app import run

    sys.exit(run(sys.argv[1:]))
