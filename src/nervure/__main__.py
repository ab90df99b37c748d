# SPDX-License-Identifier: BSD-3-Clause
"""``python -m nervure`` is the command ``nervure``."""

from nervure.cli import main

if __name__ == "__main__":
    main()
