# SPDX-License-Identifier: BSD-3-Clause
"""Data: reading sources, encoding tables, and checking arrays.

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nervure.base.lazy import loader

if TYPE_CHECKING:
    from nervure.data._dataset import Dataset, make_dataset
    from nervure.data._encode_table import UnknownCategoryWarning
    from nervure.data._errors import DataError
    from nervure.data._raw import Raw
    from nervure.data.alphabet import letters
    from nervure.data.arrays import as_inputs, as_targets
    from nervure.data.builtin import BUILTIN
    from nervure.data.download import cache_folder
    from nervure.data.encodings import Encodings
    from nervure.data.fitting import fit_preprocessing
    from nervure.data.idx import read_idx
    from nervure.data.preprocessing import Preprocessing
    from nervure.data.ragged import Ragged, as_sequences, chunks
    from nervure.data.series.records import Series
    from nervure.data.sources import load, prepare, read, row_names
    from nervure.data.splitting import split

__all__ = [
    "BUILTIN",
    "DataError",
    "Dataset",
    "Encodings",
    "Preprocessing",
    "Ragged",
    "Raw",
    "Series",
    "UnknownCategoryWarning",
    "as_inputs",
    "as_sequences",
    "as_targets",
    "cache_folder",
    "chunks",
    "fit_preprocessing",
    "letters",
    "load",
    "make_dataset",
    "prepare",
    "read",
    "read_idx",
    "row_names",
    "split",
]

_HOMES = {
    "BUILTIN": ".builtin",
    "DataError": "._errors",
    "Dataset": "._dataset",
    "Encodings": ".encodings",
    "Preprocessing": ".preprocessing",
    "Ragged": ".ragged",
    "Raw": "._raw",
    "Series": ".series.records",
    "UnknownCategoryWarning": "._encode_table",
    "as_inputs": ".arrays",
    "as_sequences": ".ragged",
    "as_targets": ".arrays",
    "cache_folder": ".download",
    "chunks": ".ragged",
    "fit_preprocessing": ".fitting",
    "letters": ".alphabet",
    "load": ".sources",
    "make_dataset": "._dataset",
    "prepare": ".sources",
    "read": ".sources",
    "read_idx": ".idx",
    "row_names": ".sources",
    "split": ".splitting",
}

__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
