# SPDX-License-Identifier: BSD-3-Clause
"""The spec of a training run, written into its folder, and training from a spec."""
