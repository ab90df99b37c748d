# SPDX-License-Identifier: BSD-3-Clause
"""What can be wrong with what is taken from others, or given to them."""

from __future__ import annotations


class ExchangeError(ValueError):
    """A network that a format cannot express, or a file that nervure cannot read."""
