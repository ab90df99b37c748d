# SPDX-License-Identifier: BSD-3-Clause
"""Diagnosis: what is wrong with a training, by all that can be looked at."""
