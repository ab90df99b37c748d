# SPDX-License-Identifier: BSD-3-Clause
"""What columns mean: numbers and dates in people's writing, row numbers, the task."""
