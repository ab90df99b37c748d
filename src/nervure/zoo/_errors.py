# SPDX-License-Identifier: BSD-3-Clause
"""What can be wrong with a checkpoint."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A checkpoint that is none, holds code, is damaged, or does not fit."""


def damaged(where: str, fact: str) -> CheckpointError:
    return CheckpointError(
        f"[{where}] damaged: {fact}; expected a checkpoint as it was saved; get it "
        "again"
    )
