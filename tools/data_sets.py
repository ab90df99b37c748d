# SPDX-License-Identifier: BSD-3-Clause
"""Write the data sets that come with the package, from scikit-learn's copies of them.

    python tools/data_sets.py

They are kept as small whole numbers: grey levels, and tenths of a centimetre.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, load_iris

FOLDER = Path(__file__).resolve().parents[1] / "src" / "nervure" / "data" / "sets"


def main() -> None:
    digits, iris = load_digits(), load_iris()
    sets = {
        "digits": (digits.images, digits.target),
        "iris": (np.rint(10 * iris.data), iris.target),
    }
    for name, (inputs, classes) in sets.items():
        arrays = {"X": inputs.astype(np.uint8), "y": classes.astype(np.uint8)}
        np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main()
