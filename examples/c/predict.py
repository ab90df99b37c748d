# SPDX-License-Identifier: BSD-3-Clause
"""libnervure from another language, here by ctypes: no nervure is imported.

    python predict.py libnervure.so model.nervure rows.bin

prints what predict.c prints. R, Julia, Go, Rust and Java declare the same functions.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence

import numpy as np

Floats = ctypes.POINTER(ctypes.c_float)


def library(path: str) -> ctypes.CDLL:
    """The library, its functions declared."""
    found = ctypes.CDLL(path)
    model, which = ctypes.c_void_p, ctypes.c_size_t
    load = (ctypes.c_char_p, ctypes.POINTER(model))
    arrays = ctypes.POINTER(Floats)
    for name, result, given in (
        ("version", ctypes.c_char_p, ()),
        ("error", ctypes.c_char_p, ()),
        ("load", ctypes.c_int, load),
        ("load_within", ctypes.c_int, (load[0], ctypes.c_int64, load[1])),
        ("free", None, (model,)),
        ("predict", ctypes.c_int, (model, ctypes.c_int64, arrays, arrays)),
        ("set_threads", ctypes.c_int, (model, ctypes.c_int)),
        *(
            (f"{end}_{name}", result, (model, which))
            for end in ("input", "output")
            for name, result in (
                ("name", ctypes.c_char_p),
                ("rank", ctypes.c_size_t),
                ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("size", ctypes.c_int64),
            )
        ),
        ("inputs", ctypes.c_size_t, (model,)),
        ("outputs", ctypes.c_size_t, (model,)),
    ):
        function = getattr(found, f"nervure_{name}")
        function.restype, function.argtypes = result, given
    return found


class Model:
    """A network of a plan file."""

    def __init__(self, lib: ctypes.CDLL, path: str, most_bytes: int = 0) -> None:
        self._lib, self._model = lib, ctypes.c_void_p()
        place = ctypes.byref(self._model)
        name = path.encode()
        if most_bytes:
            self._check(lib.nervure_load_within(name, most_bytes, place))
        else:
            self._check(lib.nervure_load(name, place))
        self.inputs = self._ends("input", lib.nervure_inputs(self._model))
        self.outputs = self._ends("output", lib.nervure_outputs(self._model))

    def __del__(self) -> None:
        self._lib.nervure_free(self._model)

    def predict(self, *inputs: np.ndarray, threads: int = 0) -> list[np.ndarray]:
        """Every output for some rows of each input."""
        rows = len(inputs[0])
        shapes = [(rows, *shape) for shape in self.inputs.values()]
        if [x.shape for x in inputs] != shapes:
            raise ValueError(f"inputs are {shapes}")
        given = [np.ascontiguousarray(x, np.float32) for x in inputs]
        found = [np.empty((rows, *s), np.float32) for s in self.outputs.values()]
        self._check(self._lib.nervure_set_threads(self._model, threads))
        self._check(
            self._lib.nervure_predict(self._model, rows, _of(given), _of(found))
        )
        return found

    def _ends(self, end: str, count: int) -> dict[str, tuple[int, ...]]:
        def of(name: str, which: int) -> object:
            return getattr(self._lib, f"nervure_{end}_{name}")(self._model, which)

        return {
            of("name", i).decode(): tuple(of("shape", i)[: of("rank", i)])
            for i in range(count)
        }

    def _check(self, code: int) -> None:
        if code != 0:
            raise ValueError(self._lib.nervure_error().decode(errors="replace"))


def _of(arrays: Sequence[np.ndarray]) -> ctypes.Array:
    return (Floats * len(arrays))(*(a.ctypes.data_as(Floats) for a in arrays))


def main() -> None:
    """Print the largest number of each row, and where it stands."""
    lib, path, rows = sys.argv[1:]
    model = Model(library(lib), path)
    (shape,) = model.inputs.values()
    x = np.fromfile(rows, np.float32).reshape(-1, *shape)
    for row in model.predict(x)[0].reshape(len(x), -1):
        print(row.argmax(), f"{row.max():.4f}")


if __name__ == "__main__":
    main()
