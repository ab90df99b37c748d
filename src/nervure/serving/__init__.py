# SPDX-License-Identifier: BSD-3-Clause
"""Serving: what a saved model answers about rows, in columns and over HTTP."""
