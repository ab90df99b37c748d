# SPDX-License-Identifier: BSD-3-Clause
"""What can be wrong with what is taken from others, or given to them."""

from __future__ import annotations

import importlib
from typing import Any


class ExchangeError(ValueError):
    """A network that a format cannot express, or a file that nervure cannot read."""


def require(package: str, extra: str) -> Any:
    """The library of an extra.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"[nervure] {package} cannot be imported ({error}); expected it to be "
            f"installed; run: pip install 'nervure[{extra}]'"
        ) from error
