# SPDX-License-Identifier: BSD-3-Clause
"""Findings: what a record, a spec and data say is wrong with a training."""
