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


def damaged_keras(where: str, fact: str) -> ExchangeError:
    """The error of a Keras model that is not as it was saved."""
    return ExchangeError(
        f"[{where}] damaged: {fact}; expected a file as Keras saved it; get it again"
    )


def in_one_line(error: BaseException, most: int) -> str:
    """What a library says of a fault, which may be long.

    >>> in_one_line(ValueError("no\\n  such file"), 7)
    'no such'
    """
    return " ".join(str(error).split())[:most]
