# SPDX-License-Identifier: BSD-3-Clause
"""Forecasts of series: what comes after the last value, intervals, and errors."""
