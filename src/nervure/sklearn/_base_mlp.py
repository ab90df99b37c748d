# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""What MLPClassifier and MLPRegressor share: fit and forward pass."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nervure.data.sparse import Sparse, is_sparse
from nervure.executors import Data
from nervure.network.finite import tell_not_finite
from nervure.optimizers import LBFGS, Optimizer
from nervure.regularizers import L2
from nervure.sklearn._compat import (
    Interval,
    Options,
    StrOptions,
    check_sample_weight,
    fit_context,
    is_plain,
    validate_data,
)
from nervure.sklearn._descent import Descent, make_solver
from nervure.sklearn._followed import Follower
from nervure.sklearn._perceptron import Perceptron
from nervure.sklearn._quasi_newton import FullCost, minimize
from nervure.training.settings import Settings

Array = npt.NDArray[Any]

LARGEST_AUTO_BATCH = 200

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large"
    " values and need to be preprocessed."
)


def steps_by_batches(estimator: Any) -> bool:
    if estimator.solver not in ("sgd", "adam"):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


class BaseMLP(BaseEstimator):
    """What the classifier and the regressor share."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "telemetry": [None, "boolean"],
    }

    # What the classifier and the regressor declare.
    _output_activation: Callable[[], str]
    _validate_input: Callable[[Any, Any, bool, bool], tuple[Any, Array]]
    _count_outputs: Callable[[Array], int]
    _score_of: Callable[[Array, Array, Any], float]

    hidden_layer_sizes: Any
    activation: str
    solver: str
    alpha: float
    batch_size: Any
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: bool
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    telemetry: bool | None

    def _store(self, given: dict[str, Any]) -> None:
        """Keep the arguments of ``__init__``, and nothing else."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    # -- begin ----------------------------------------------------------------------

    def _hidden_sizes(self) -> list[int]:
        given = self.hidden_layer_sizes
        sizes = list(given) if hasattr(given, "__iter__") else [given]
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _initialize(self, sizes: Sequence[int], dtype: npt.DTypeLike) -> None:
        """Weights from the random state, as scikit-learn draws them (Glorot)."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._output_activation()
        self._perceptron = self._make_perceptron(sizes, dtype)
        self._own_arrays()
        factor = 2.0 if self.activation == "logistic" else 6.0
        draw = self._random_state.uniform
        pairs = zip(self.coefs_, self.intercepts_, strict=True)
        for (fan_in, fan_out), (coef, intercept) in zip(
            pairwise(sizes), pairs, strict=True
        ):
            bound = np.sqrt(factor / (fan_in + fan_out))
            coef[...] = draw(-bound, bound, (fan_in, fan_out))
            intercept[...] = draw(-bound, bound, fan_out)
        if self.solver == "lbfgs":
            return
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        scored = bool(self.early_stopping)
        self.validation_scores_: Any = [] if scored else None
        self.best_validation_score_: Any = -np.inf if scored else None
        self.best_loss_: Any = None if scored else np.inf

    def _make_perceptron(
        self, sizes: Sequence[int], dtype: npt.DTypeLike
    ) -> Perceptron:
        return Perceptron(sizes, self.activation, self.out_activation_, dtype)

    def _own_arrays(self) -> None:
        self.coefs_ = list(self._perceptron.coefs)
        self.intercepts_ = list(self._perceptron.intercepts)

    def _current(self, dtype: npt.DTypeLike | None = None) -> Perceptron:
        """The network of `coefs_` and `intercepts_`, whoever made them."""
        known: Perceptron | None = self.__dict__.get("_perceptron")
        right_type = known is None or dtype is None or known.values.dtype == dtype
        if known and right_type and known.holds(self.coefs_, self.intercepts_):
            return known
        wanted = dtype or np.result_type(*self.coefs_, np.float32)
        sizes = [len(coef) for coef in self.coefs_] + [self.coefs_[-1].shape[1]]
        self._perceptron = self._make_perceptron(sizes, wanted)
        self._perceptron.adopt(self.coefs_, self.intercepts_)
        return self._perceptron

    # -- fit ------------------------------------------------------------------------

    def _fit(
        self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False
    ) -> Any:
        hidden = self._hidden_sizes()
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._validate_input(X, y, incremental, first)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        self.n_outputs_ = self._count_outputs(y)
        self._random_state = check_random_state(self.random_state)
        quasi_newton = self.solver == "lbfgs"
        dtype = np.float64 if quasi_newton else None
        if first:
            sizes = [X.shape[1], *hidden, self.n_outputs_]
            self._initialize(sizes, dtype or X.dtype)
        perceptron = self._current(dtype)
        self._own_arrays()
        self._check_outputs(perceptron)
        X = X.tocsr() if is_sparse(X) else X
        if quasi_newton:
            self._fit_lbfgs(perceptron, X, y, sample_weight)
        else:
            self._fit_stochastic(perceptron, X, y, sample_weight, incremental)
        if not np.isfinite(perceptron.values).all():
            raise ValueError(NOT_FINITE)
        return self

    def _check_outputs(self, perceptron: Perceptron) -> None:
        made = perceptron.net.graph.output_shapes[0][0]
        if made != self.n_outputs_:
            raise ValueError(
                f"y has {self.n_outputs_} outputs, but the model was fitted with {made}"
            )

    def _cost_weights(self, y: Array, weights: Any) -> Any:
        """What the rows weigh in the loss."""
        return weights

    def _data(self, perceptron: Perceptron, X: Array, y: Array, weights: Any) -> Data:
        dtype = np.int32 if y.ndim == 1 else perceptron.values.dtype
        target = np.ascontiguousarray(y, dtype=dtype)
        weights = self._cost_weights(y, weights)
        if weights is not None:
            weights = np.ascontiguousarray(weights, dtype=np.float64)
        return Data((_rows(X),), (target,), weights)

    def _reported(self, cost: float, penalty: float = 0.0) -> float:
        """The loss as scikit-learn reports it: where squared, a mean over outputs."""
        outputs = self.n_outputs_ if self.out_activation_ == "identity" else 1
        return cost / outputs + penalty

    def _fit_lbfgs(
        self, perceptron: Perceptron, X: Array, y: Array, weights: Any
    ) -> None:
        data = self._data(perceptron, X, y, weights)
        cost = FullCost(perceptron, perceptron.objective(), data, self.alpha)
        follower = self._follower(perceptron, data, None, LBFGS(), data.rows)
        follower.begin_iterations(self.max_iter)

        def after(point: npt.NDArray[np.float64], value: float) -> None:
            perceptron.values[:] = point
            follower.iteration(value)

        found, self.n_iter_ = minimize(cost, perceptron.values.copy(), self, after)
        perceptron.values[:] = found.x
        self.findings_ = follower.end(self.n_iter_)
        penalty = cost.penalty(found.x)
        self.loss_ = self._reported(float(found.fun) - penalty, penalty)

    def _fit_stochastic(
        self,
        perceptron: Perceptron,
        X: Array,
        y: Array,
        weights: Any,
        incremental: bool,
    ) -> None:
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = make_solver(self, perceptron)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        held = None
        if self.early_stopping:
            X, y, weights, held = self._split(X, y, weights)
        data = self._data(perceptron, X, y, weights)
        size = self._rows_per_batch(X.shape[0])
        follower = self._follower(
            perceptron,
            data,
            None if held is None else self._data(perceptron, *held),
            self._optimizer.rule,
            size,
            part=incremental,
        )
        follower.begin(self.max_iter * -(-data.rows // size))
        descent = Descent(
            perceptron,
            perceptron.objective(),
            data,
            self._optimizer,
            size,
            float(self.alpha),
            follower.telemetry,
        )
        best = perceptron.values.copy() if held else None
        epochs = (descent, perceptron, X.shape[0], held, best, incremental)
        try:
            self._epochs(*epochs, follower)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        finally:
            self.findings_ = follower.end(self._optimizer.steps)
        if best is not None:
            perceptron.values[:] = best

    def _follower(
        self,
        perceptron: Perceptron,
        data: Data,
        held: Data | None,
        rule: Optimizer,
        size: int,
        part: bool = False,
    ) -> Follower:
        """What looks at this fit; at parts of a training nothing does."""
        settings = Settings(
            perceptron.objective(),
            rule,
            epochs=self.max_iter,
            batch_size=size,
            regularizer=L2(self.alpha / size) if self.alpha else None,
            shuffle=self.shuffle,
        )
        verbose = bool(self.verbose)
        seeing = not part and (verbose if self.telemetry is None else self.telemetry)
        return Follower(
            perceptron, data, held, settings, seeing=seeing, verbose=verbose
        )

    def _split(self, X: Array, y: Array, weights: Any) -> tuple[Any, Any, Any, Any]:
        """Training rows, and the rows that early stopping looks at."""
        arrays = [X, y] if weights is None else [X, y, weights]
        parts = train_test_split(
            *arrays,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=y if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        train, held = parts[0::2], parts[1::2]
        if len(held[1]) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset."
            )
        if weights is None:
            return train[0], train[1], None, (*held, None)
        return train[0], train[1], train[2], tuple(held)

    def _rows_per_batch(self, samples: int) -> int:
        if self.batch_size == "auto":
            return min(LARGEST_AUTO_BATCH, samples)
        if self.batch_size > samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than "
                "sample size. It is going to be clipped",
                stacklevel=5,
            )
        return int(np.clip(self.batch_size, 1, samples))

    def _epochs(
        self,
        descent: Descent,
        perceptron: Perceptron,
        samples: int,
        held: Any,
        best: Any,
        incremental: bool,
        follower: Follower,
    ) -> None:
        order = np.arange(samples)
        self.n_iter_ = 0
        for _ in range(1 if incremental else self.max_iter):
            order = self._shuffled(order)
            cost, penalty = descent.epoch(order)
            self._end_of_epoch(self._reported(cost, penalty), samples)
            follower.epoch(self.loss_, self._optimizer.steps, descent.costs)
            finite = math.isfinite(self.loss_)
            if not finite:
                perceptron.values[:] = np.nan
            self._note_progress(perceptron, held, best)
            if not finite:
                return self._diverged(held is not None)
            self._optimizer.end_epoch(self.t_)
            if self._no_improvement_count > self.n_iter_no_change:
                if self._optimizer.stops(self._patience_words(), self.verbose):
                    return None
                self._no_improvement_count = 0
        if not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _shuffled(self, order: Array) -> Array:
        """The next order; draws as `sklearn.utils.shuffle` does."""
        if not self.shuffle:
            return order
        index = np.arange(len(order))
        self._random_state.shuffle(index)
        return order[index]

    def _end_of_epoch(self, loss: float, samples: int) -> None:
        self.n_iter_ += 1
        self.loss_ = loss
        self.t_ += samples
        self.loss_curve_.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")

    def _note_progress(self, perceptron: Perceptron, held: Any, best: Any) -> None:
        """Count epochs without improvement; keep the best weights in ``best``."""
        if held is None:
            worse = self.loss_ > self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
        else:
            score = self._validation_score(perceptron, *held)
            self.validation_scores_.append(score)
            if self.verbose:
                print(f"Validation score: {score:f}")
            worse = score < self.best_validation_score_ + self.tol
            if score > self.best_validation_score_:
                self.best_validation_score_ = score
                best[:] = perceptron.values
        self._no_improvement_count = self._no_improvement_count + 1 if worse else 0

    def _validation_score(
        self, perceptron: Perceptron, X: Array, y: Array, weights: Any
    ) -> float:
        output = perceptron.outputs(_rows(X))
        if not np.isfinite(output).all():
            return math.nan
        return self._score_of(output, y, weights)

    def _diverged(self, stopping: bool) -> None:
        if not stopping:
            raise ValueError(NOT_FINITE)
        warnings.warn(
            f"Stochastic Optimizer: the loss became infinite or NaN in iteration "
            f"{self.n_iter_}. The weights of the best validation score are kept; "
            "lower learning_rate_init or scale the data.",
            ConvergenceWarning,
            stacklevel=6,
        )

    def _patience_words(self) -> str:
        what = "Validation score" if self.early_stopping else "Training loss"
        return (
            f"{what} did not improve more than tol={self.tol:f} for "
            f"{self.n_iter_no_change} consecutive epochs."
        )

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the model to data.

        Args:
            X: array or sparse matrix ``(rows, features)``.
            y: classes or values, ``(rows,)`` or ``(rows, outputs)``.
            sample_weight: weights of the rows.

        Returns:
            The estimator.
        """
        return self._fit(X, y, sample_weight)

    # -- predict --------------------------------------------------------------------

    def _outputs(self, X: Any) -> Array:
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)
        if not is_plain(self, X):
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
            if X.dtype.kind != "f" or X.dtype.itemsize not in (4, 8):
                X = X.astype(np.float64)
        y = self._current().outputs(_rows(X))
        tell_not_finite([y], type(self).__name__)
        return y

    # -- as data --------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(cast(dict[str, Any], super().__getstate__()))
        state.pop("_perceptron", None)  # made again of the weights
        return state


def _rows(X: Any) -> Any:
    """Rows as the engine takes them: sparse ones as they lie."""
    return Sparse.of(X) if is_sparse(X) else np.ascontiguousarray(X)
