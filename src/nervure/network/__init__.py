# SPDX-License-Identifier: BSD-3-Clause
"""Networks: a graph and its parameters, which run, predict and are saved."""
