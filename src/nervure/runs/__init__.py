# SPDX-License-Identifier: BSD-3-Clause
"""Runs: from specs and files to networks that train."""
