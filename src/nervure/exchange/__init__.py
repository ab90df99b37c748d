# SPDX-License-Identifier: BSD-3-Clause
"""Networks to and from the formats of others."""
