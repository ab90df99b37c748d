# SPDX-License-Identifier: BSD-3-Clause
"""What everything stands on; knows nothing of networks."""
