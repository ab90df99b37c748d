# SPDX-License-Identifier: BSD-3-Clause
"""Telemetry: steps and epochs looked at while training, for the record."""

from __future__ import annotations

from nervure.training.telemetry.telemetry import Off, Telemetry

__all__ = ["Off", "Telemetry"]
