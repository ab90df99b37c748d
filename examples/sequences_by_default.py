# SPDX-License-Identifier: BSD-3-Clause
"""What is chosen for sequences where nobody wrote a network, and what it is worth.

Images are cut to the rows that have ink, so that they are sequences of different
lengths, and given as a Parquet file with a column of lists, as to ``nervure train``.
Beside the default stands what one would try first without a network along time: mean,
deviation, least, largest, first and last step and the length, by logistic regression.
SOURCE is a folder of MNIST (its first 6,000 images), by default ../shared/data/mnist,
or ``digits``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nervure as nv

IMAGES = 6_000
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"


def load(source: str | Path) -> tuple[list[Any], Any]:
    """Images as sequences of the rows that have ink, and their digits."""
    data = nv.data.load(source)
    images, digits = data.inputs[:IMAGES, :, :, 0], data.targets[:IMAGES]
    return [inked(image) for image in images], digits


def inked(image: Any) -> Any:
    rows = np.flatnonzero(image.any(axis=1))
    return image[rows[0] : rows[-1] + 1]


def write(path: Path, sequences: list[Any], digits: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    lists = [sequence.tolist() for sequence in sequences]
    parquet.write_table(pa.table({"rows": lists, "digit": digits}), path)


def features(sequence: Any) -> Any:
    steps = sequence.astype(float)
    ends = steps.min(axis=0), steps.max(axis=0), steps[0], steps[-1]
    return np.concatenate([steps.mean(axis=0), steps.std(axis=0), *ends, [len(steps)]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = BESIDE if BESIDE.is_dir() else "digits"
    parser.add_argument("source", nargs="?", default=beside)
    sequences, digits = load(parser.parse_args().source)
    test = np.arange(len(digits)) % 5 == 4
    train = [s for s, held in zip(sequences, test, strict=True) if not held]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write(path, train, digits[~test])
        data = nv.data.load(path, target="digit", held_out=0.1)
    spec = nv.tabular.default(data)
    run = nv.fit_spec(spec, data, progress=False)
    found = run.network.predict_classes(sequences)
    default = np.mean(found[test] == digits[test])
    rows = np.array([features(sequence) for sequence in sequences])
    simple = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2_000))
    baseline = simple.fit(rows[~test], digits[~test]).score(rows[test], digits[test])
    lengths = [len(sequence) for sequence in sequences]
    print(f"{len(train):,} sequences of {min(lengths)} to {max(lengths)} steps")
    print(f"by default: {default:.1%} of {test.sum():,} others")
    print(f"logistic regression of features: {baseline:.1%}")


if __name__ == "__main__":
    main()
