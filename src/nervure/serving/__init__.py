# SPDX-License-Identifier: BSD-3-Clause
"""Serving: what a saved model answers, to whom it may concern and over HTTP."""
