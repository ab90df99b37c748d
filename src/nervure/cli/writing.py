# SPDX-License-Identifier: BSD-3-Clause
"""Columns to files: CSV, Parquet and NPZ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nervure.base.extras import needed
from nervure.base.files import replacing
from nervure.serving.answers import Columns, as_csv

FORMATS = {".csv": "csv", ".parquet": "parquet", ".npz": "npz"}


def format_of(out: Path | None) -> str:
    """The format that a file's name asks for; CSV where there is no file.

    Raises:
        ValueError: it ends in something else.
    """
    kind = "csv" if out is None else FORMATS.get(out.suffix.lower())
    if kind is None:
        raise ValueError(
            f"[{out}] ends in {out.suffix if out else ''!r}; expected one of "
            f"{', '.join(FORMATS)}; rename the file"
        )
    return kind


def write(columns: Columns, out: Path, kind: str) -> None:
    """Write columns to a file, atomically.

    Raises:
        WriteError: the file cannot be written; an earlier one is untouched.
    """
    with replacing(out) as temporary:
        if kind == "parquet":
            _copy(columns, temporary, out.name)
        elif kind == "npz":
            with open(temporary, "wb") as file:
                np.savez_compressed(file, **columns)  # pyright: ignore
        else:
            temporary.write_text(as_csv(columns), encoding="utf-8", newline="")


def _copy(columns: Columns, path: Path, where: str) -> None:
    duckdb = needed("duckdb", where)
    quoted = str(path).replace("'", "''")
    with duckdb.connect() as connection:
        connection.register("columns", columns)
        try:
            connection.execute(f"COPY columns TO '{quoted}' (FORMAT parquet)")
        except duckdb.IOException as error:
            raise OSError(str(error)) from error
