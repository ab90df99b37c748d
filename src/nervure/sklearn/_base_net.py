# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""What the estimators of any network share."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, check_X_y

from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import Ragged, one_each
from nervure.data.records import Amounts, Classes
from nervure.data.sparse import Sparse, is_sparse
from nervure.executors import Data
from nervure.graph.codes import check_codes
from nervure.network.finite import tell_not_finite
from nervure.network.inputs import check_categories
from nervure.network.network import Network
from nervure.network.saving import to_bytes
from nervure.optimizers import optimizer as find_optimizer
from nervure.runs.loading import from_bytes
from nervure.sklearn._architecture import Entrance, Head, given_loss, make_network
from nervure.sklearn._callbacks import CallbackSupport, EpochTasks
from nervure.sklearn._compat import (
    Interval,
    StrOptions,
    check_sample_weight,
    is_plain,
    validate_data,
)
from nervure.sklearn._parameters import NestedParameters
from nervure.sklearn._sequences import (
    check_reads_sequences,
    checked_sequences,
    holds_sequences,
    misfit,
    sequences_of,
)
from nervure.sklearn._state import state_from_data, state_to_data
from nervure.sklearn._table_encoder import (
    TableEncoder,
    encoded,
    fitted_encoder,
    wants_encoding,
)
from nervure.sklearn._training import ONE_EPOCH, Course, train, train_on
from nervure.spec.for_sequences import layers_for
from nervure.training.run import Run
from nervure.training.state import State

Array = npt.NDArray[Any]


def steps_by_batches(estimator: Any) -> bool:
    """Whether the optimizer takes steps, so that `partial_fit` can go on."""
    rule = find_optimizer(estimator.optimizer)
    if not rule.stepwise:
        raise AttributeError(
            f"partial_fit needs an optimizer that takes steps; {rule.kind} does not."
        )
    return True


class BaseNet(NestedParameters, CallbackSupport, BaseEstimator):
    """Fit, predict and pickle of an estimator with a `network_`."""

    layers: Any
    loss: Any
    optimizer: Any
    epochs: int
    batch_size: Any
    early_stopping: Any
    validation_fraction: float
    callbacks: Sequence[Any]
    metrics: Sequence[Any]
    regularizer: Any
    shuffle: bool
    dtype: str
    executor: str
    n_threads: int | None
    warm_start: bool
    random_state: Any
    verbose: bool
    table_encoder: Any = None
    telemetry: bool | None = None

    network_: Network
    table_encoder_: TableEncoder
    _task: str
    _numeric = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "shuffle": ["boolean"],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "n_threads": [None, Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "telemetry": [None, "boolean"],
        "table_encoder": [StrOptions({"auto"}), TableEncoder, None],
    }

    def _store(self, given: dict[str, Any]) -> None:
        """Keep the arguments of ``__init__``, and nothing else."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    # -- to be declared by the estimators -------------------------------------------

    def _learn_target(self, y: Any) -> None:
        """Learn classes and outputs from the target of a first fit."""
        raise NotImplementedError

    def _head(self) -> Head:
        raise NotImplementedError

    def _encoded(self, y: Any) -> Array:
        """The target as `nervure.fit` takes it."""
        raise NotImplementedError

    def _checked_target(self, y: Any) -> Array:
        raise NotImplementedError

    def _target_record(self) -> Classes | Amounts:
        """What the network's outputs stand for, in its model file."""
        raise NotImplementedError

    def _row_weights(self, y: Any, sample_weight: Any) -> Any:
        return sample_weight

    def _weights_of_classes(self, y: Any) -> Array | None:
        """What each class weighs in the loss; None: as much as any other."""
        return None

    # -- fit ------------------------------------------------------------------------

    def _rows(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array]:
        """Rows and target, checked as scikit-learn does and words it."""
        if reset:
            self.__dict__.pop("table_encoder_", None)
            self.__dict__.pop("_shape", None)
        if self._are_sequences(X, reset):
            X, y = checked_sequences(self, X, y, reset=reset)
            return self._shaped(X, reset), self._checked_target(y)
        if reset and wants_encoding(self.table_encoder, X):
            self.table_encoder_ = fitted_encoder(self, X)
        if "table_encoder_" in self.__dict__:
            X, y = check_X_y(
                encoded(self, X, reset=reset),
                y,
                multi_output=True,
                y_numeric=self._numeric,
            )
            return X, self._checked_target(y)
        X, y = validate_data(
            self,
            X,
            y,
            multi_output=True,
            y_numeric=self._numeric,
            reset=reset,
            **_taken(X),
        )
        return self._shaped(_plain(X), reset), self._checked_target(y)

    def _are_sequences(self, X: Any, reset: bool) -> bool:
        """Whether rows are sequences, or are to be, as those of the first fit were."""
        if reset:
            return holds_sequences(X, self.layers)
        shape = self.__dict__.get("_shape", ())
        return bool(shape) and (shape[0] is None or holds_sequences(X))

    def _shaped(self, X: Any, reset: bool) -> Any:
        """The rows, if they have the shape of those of the first fit."""
        if reset:
            self._shape = X.shape[1:]
        shape = self.__dict__.get("_shape", X.shape[1:])
        if X.shape[1:] != shape:
            raise ValueError(misfit(X.shape[1:], shape))
        return X

    def _begin(self, X: Array) -> None:
        """A new network, whose seed also keys shuffling, dropout and split."""
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        dtype = self._float_type(X)
        encoder = self.__dict__.get("table_encoder_")
        begin = Entrance(X.shape[1:], () if encoder is None else encoder.codes_)
        head, layers = self._head(), self.layers
        if layers is None and isinstance(X, Ragged):
            layers = layers_for(X, head.outputs, head.activation)
        self.network_ = make_network(layers, begin, head, self._seed, dtype)
        if isinstance(X, Ragged):
            check_reads_sequences(self.network_)
        if encoder is not None:
            record = Preprocessing(encoder.record_, self._target_record())
            check_categories(self.network_.graph, record)
            self.network_.preprocessing = record

    def _float_type(self, X: Array) -> str:
        """Of the network; pixels of one byte are read as they are."""
        if self.dtype != "auto":
            return self.dtype
        return "float32" if X.dtype == np.uint8 else X.dtype.name

    def _course(self, X: Array, y: Array, sample_weight: Any, eval_set: Any) -> Course:
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        weights = self._row_weights(y, sample_weight)
        classes = self._weights_of_classes(y)
        held = self._held(eval_set)
        losses = self._losses()
        return Course(X, self._encoded(y), weights, classes, held, self._seed, losses)

    def _losses(self) -> dict[str, Any]:
        """Losses and their weights, where the network gives more than the target."""
        return {}

    def _held(self, eval_set: Any) -> Any:
        """Own validation data: ``(X, y)`` or ``(X, y, weights)``, also in a list."""
        if eval_set is None:
            return None
        if isinstance(eval_set, list) and len(eval_set) == 1:
            eval_set = eval_set[0]
        if not isinstance(eval_set, tuple | list) or len(eval_set) not in (2, 3):
            raise ValueError(
                "[eval_set] expected (X, y) or (X, y, sample_weight); give one pair"
            )
        X, y = self._rows(eval_set[0], eval_set[1], reset=False)
        given = eval_set[2] if len(eval_set) == 3 else None
        return X, self._encoded(y), self._row_weights(y, given)

    def _fit(self, X: Any, y: Any, sample_weight: Any, eval_set: Any) -> Any:
        fresh = not (self.warm_start and "network_" in self.__dict__)
        X, y = self._rows(X, y, reset=fresh)
        if fresh:
            self._learn_target(y)
            self._begin(X)
        course = self._course(X, y, sample_weight, eval_set)
        tasks = EpochTasks.of(self, X, y)
        run = train(self, self.network_, course, tasks.callbacks)
        self.__dict__.pop("_state", None)
        self._note(run)
        tasks.end()
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, eval_set: Any) -> Any:
        fresh = "network_" not in self.__dict__
        X, y = self._rows(X, y, reset=fresh)
        if fresh:
            if "_task" not in self.__dict__:
                self._learn_target(y)
            self._begin(X)
        course = self._course(X, y, sample_weight, eval_set)
        state: State | None = self.__dict__.get("_state")
        run, self._state = train_on(self, self.network_, course, (), state)
        self._note(run)
        return self

    def _note(self, run: Run) -> None:
        self.history_ = {name: list(values) for name, values in run.history.items()}
        self.loss_curve_ = self.history_["loss"]
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ = run.epoch
        self.best_epoch_ = run.best_epoch
        self.findings_ = run.findings if run.record.of("step") else []
        self.stopped_ = None if run.stopped == ONE_EPOCH else run.stopped

    # -- predict --------------------------------------------------------------------

    def _outputs(self, X: Any) -> Array:
        """What the network gives, ``(rows, outputs)``."""
        X = self._inputs(X)
        return self._run(self.network_, X)

    def _inputs(self, X: Any) -> Array:
        """Rows to predict for, checked."""
        if "network_" not in self.__dict__:
            check_is_fitted(self, "network_")
        if "table_encoder_" in self.__dict__:
            return encoded(self, X)
        if self._are_sequences(X, reset=False):
            return self._shaped(sequences_of(X), reset=False)
        if not is_plain(self, X):
            checked = validate_data(self, X, reset=False, **_taken(X))
            X = self._shaped(_plain(checked), reset=False)
        return X

    def _run(self, net: Network, X: Any) -> Array:
        if isinstance(X, Ragged):
            (rows,) = net.arrays(X)
        else:
            shape = net.graph.input_shapes[0]
            rows = X if len(shape) == 1 else X.reshape(len(X), *shape)
            check_codes(net.graph.codes, (rows,), ("X",))
        (y,) = net.executor(self.executor).outputs(Data((rows,)))
        tell_not_finite([y], type(self).__name__)
        return one_each(y, type(self).__name__).reshape(len(y), -1)

    # -- as data --------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """The network as the bytes of a model file: numbers and names, no code."""
        state = dict(super().__getstate__())
        if "network_" in state:
            state["network_"] = to_bytes(state["network_"])
        if "_state" in state:
            state["_state"] = state_to_data(state["_state"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "network_" in state:
            network: Any = from_bytes(state["network_"])
            state["network_"] = network
        if "_state" in state:
            state["_state"] = state_from_data(state["_state"], state["network_"])
        super().__setstate__(state)

    def _given_loss(self) -> Any:
        return given_loss(self.loss)


def _taken(X: Any) -> dict[str, Any]:
    """What `validate_data` is to let pass: sparse rows, and arrays of images."""
    if getattr(X, "ndim", 2) > 2:
        return {"allow_nd": True, "dtype": (np.float32, np.float64, np.uint8)}
    return {"accept_sparse": ["csr", "csc"], "dtype": (np.float64, np.float32)}


def _plain(X: Any) -> Any:
    """Rows as the engine takes them: sparse ones as they lie."""
    return Sparse.of(X) if is_sparse(X) else X
