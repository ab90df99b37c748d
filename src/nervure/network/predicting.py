# SPDX-License-Identifier: BSD-3-Clause
"""From raw rows to predictions in the user's terms, for whatever gives outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import Ragged
from nervure.executors import Data, Rows
from nervure.graph.graph import Graph
from nervure.graph.objective import Objective
from nervure.network.conformal import Conformal
from nervure.network.finite import tell_not_finite
from nervure.network.targets import records_of

Array = npt.NDArray[Any]


class Inference(Protocol):
    """The part of an executor that gives outputs and costs of rows."""

    def outputs(self, data: Data, *, batch_size: int | None = None) -> list[Rows]:
        """What comes out for every row."""
        ...

    def row_costs(
        self, data: Data, objective: Objective
    ) -> tuple[list[Rows], npt.NDArray[np.float64]]:
        """Outputs and the cost of every row."""
        ...


class Reader(Protocol):
    """What reads rows and targets: a `Network`, or an `Ensemble` of them."""

    @property
    def graph(self) -> Graph: ...
    @property
    def dtype(self) -> str: ...
    def arrays(self, X: Any) -> tuple[Rows, ...]: ...
    def targets(self, y: Any, objective: Objective | None = None) -> list[Rows]: ...
    def objective(
        self, loss: object = None, loss_weights: object = None
    ) -> Objective: ...


class Predictor(Reader, Protocol):
    """What predicts."""

    @property
    def preprocessing(self) -> Preprocessing | None: ...
    @property
    def conformal(self) -> Conformal | None: ...
    def executor(self, name: str = "native") -> Inference: ...
    def exact(self, exact: bool = True) -> Predictor: ...


def encoded(model: Predictor, X: Any) -> Data:
    """Raw rows as the network takes them."""
    record = model.preprocessing
    if record is None:
        return Data(model.arrays(X))
    return ready(model, record, record.encode(X))


def ready(model: Reader, record: Preprocessing, inputs: Any) -> Data:
    """Rows that the record has encoded as the network takes them."""
    return Data(model.arrays(inputs), scales=(record.scale_of(inputs),))


def decoded(model: Predictor, outputs: Sequence[Rows]) -> list[Rows]:
    """Outputs in the user's terms: amounts in the units of the targets."""
    record = model.preprocessing
    if record is None or record.task != "regression":
        return list(outputs)
    pairs = zip(records_of(model.graph, record), outputs, strict=True)
    return [
        _each(y, lambda rows, own=own: own.decode_targets(rows.reshape(len(rows), -1)))
        for own, y in pairs
    ]


def predict(model: Predictor, X: Any) -> Any:
    """Outputs for raw rows (see `Network.predict`)."""
    found = decoded(model, model.executor().outputs(encoded(model, X)))
    tell_not_finite(found)
    return alone([rectangular(y) for y in found])


def alone(found: list[Any]) -> Any:
    """The output, or the list of them where there are several."""
    return found[0] if len(found) == 1 else found


def predict_classes(model: Predictor, X: Any) -> Any:
    """The most probable class of each raw row (see `Network.predict_classes`)."""
    found = predict(model, X)
    if isinstance(found, list):
        raise ValueError(
            f"[network] {len(model.graph.outputs)} outputs; expected one for "
            "predict_classes; use net.predict(X)[i].argmax(axis=1)"
        )
    node = model.graph.nodes[model.graph.outputs[0]]
    if node.clock is None:
        return _classes(model, cast(Array, found))
    rows = found if isinstance(found, Ragged) else Ragged.of_array(found)
    return rectangular(_each(rows, lambda steps: _classes(model, steps)))


def _classes(model: Predictor, p: Array) -> Array:
    flat = p.reshape(len(p), -1)
    index = flat.argmax(axis=1) if flat.shape[1] > 1 else flat[:, 0] > 0.5
    index = index.astype(np.int64)
    if model.preprocessing is None:
        return index
    return model.preprocessing.decode_classes(index)


def _each(rows: Rows, call: Callable[[Array], Array]) -> Any:
    """What a function of rows gives, of the steps of sequences."""
    if isinstance(rows, Ragged):
        return rows.with_values(call(rows.values))
    return call(rows)


def rectangular(found: Rows) -> Any:
    """Sequences of one length as an array ``(rows, time, ...)``; else what is given."""
    if not isinstance(found, Ragged) or found.longest != found.lengths.min():
        return found
    return found.packed().reshape(len(found), found.longest, *found.values.shape[1:])
