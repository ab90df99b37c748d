# SPDX-License-Identifier: BSD-3-Clause
"""Series: tables with a time column as windows of what was known at each time."""
