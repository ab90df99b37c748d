# SPDX-License-Identifier: BSD-3-Clause
"""What can be wrong with what is taken from others, or given to them."""

from __future__ import annotations


class ExchangeError(ValueError):
    """A network that a format cannot express, or a file that nervure cannot read."""


class CheckpointError(ValueError):
    """A checkpoint that is none, holds code, is damaged, or does not fit."""


def damaged(where: str, fact: str) -> CheckpointError:
    """The error of a checkpoint that is not as it was saved."""
    return CheckpointError(
        f"[{where}] damaged: {fact}; expected a checkpoint as it was saved; get it "
        "again"
    )
