# SPDX-License-Identifier: BSD-3-Clause
"""Ensembles: several networks whose outputs are averaged."""
