# SPDX-License-Identifier: BSD-3-Clause
"""Graphs: nodes in order, shapes, parameters, losses, and how files hold them."""
