# SPDX-License-Identifier: BSD-3-Clause
"""Files as tables: unpacked, decoded, cut into rows and fields, typed."""
