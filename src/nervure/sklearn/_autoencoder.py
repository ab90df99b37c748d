# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""AutoencoderTransformer: rows to a code of few numbers and back."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from nervure.autoencoder.autoencoder import Autoencoder
from nervure.layers import Dense, Input, Layer
from nervure.network.autoencoding import Term, arguments_of, targets_of
from nervure.sklearn._architecture import Head
from nervure.sklearn._base_net import BaseNet
from nervure.sklearn._compat import Interval, TagsMixin, fit_context, validate_data

Array = npt.NDArray[Any]

HIDDEN = 64
"""Nodes between features and code where no layers are given."""


def _is_variational(estimator: Any) -> bool:
    """Whether codes follow a distribution that can be drawn from."""
    if estimator.beta is None:
        raise AttributeError("sample needs a variational autoencoder: set beta=1.0")
    return True


class AutoencoderTransformer(
    TagsMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNet
):
    """Learns a code from which the rows can be made again.

    Encoder and decoder are trained as one network whose target is its input, as by
    `nervure.Autoencoder`.

    Args:
        n_components: numbers in the code.
        encoder: layers before the one that gives the code; by default one hidden layer.
        decoder: layers between the code and the one that gives the features.
        noise, masking, l1, sparsity, contraction, beta: denoising, sparse, contractive
            and variational ones, as in `nervure.Autoencoder`; of sparse ones by
            ``sparsity`` the code is logistic.
        loss, optimizer, epochs, batch_size, early_stopping, validation_fraction,
        callbacks, metrics, regularizer, shuffle, dtype, executor, n_threads,
        warm_start, random_state, verbose, telemetry: as in `NeuralNetRegressor`.

    Attributes:
        network_, encoder_, decoder_: the whole network, and its two parts.
        autoencoder_: the `nervure.Autoencoder` of the whole network.
        history_, loss_curve_, n_iter_, findings_, n_features_in_, feature_names_in_

    Source: Hinton and Salakhutdinov, *Science* 313 (2006), 504-507.

    >>> from sklearn.datasets import load_iris
    >>> X, _ = load_iris(return_X_y=True)
    >>> model = AutoencoderTransformer(2, epochs=20, random_state=0).fit(X)
    >>> model.transform(X).shape, model.inverse_transform(model.transform(X)).shape
    ((150, 2), (150, 4))
    """

    _own_tags = frozenset({"sparse"})
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseNet._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "masking": [Interval(Real, 0, 1, closed="left")],
        "l1": [Interval(Real, 0, None, closed="left")],
        "sparsity": [None, tuple, list],
        "contraction": [Interval(Real, 0, None, closed="left")],
        "beta": [None, Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 2,
        *,
        encoder: Any = None,
        decoder: Any = None,
        noise: float = 0.0,
        masking: float = 0.0,
        l1: float = 0.0,
        sparsity: tuple[float, float] | None = None,
        contraction: float = 0.0,
        beta: float | None = None,
        loss: Any = None,
        optimizer: Any = "adam",
        epochs: int = 100,
        batch_size: Any = "auto",
        early_stopping: Any = None,
        validation_fraction: float = 0.1,
        callbacks: Any = (),
        metrics: Any = (),
        regularizer: Any = None,
        shuffle: bool = True,
        dtype: str = "auto",
        executor: str = "native",
        n_threads: int | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
        telemetry: bool | None = None,
    ) -> None:
        self._store(locals())

    # -- the target is the input ----------------------------------------------------

    def _rows(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array]:
        rows = validate_data(
            self,
            X,
            accept_sparse=["csr", "csc"],
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        rows = rows.toarray() if hasattr(rows, "toarray") else rows
        return rows, rows

    def _learn_target(self, y: Any) -> None:
        self._task = "regression"

    def _head(self) -> Head:
        return Head.of(self._task, self.n_features_in_, self._given_loss())

    def _encoded(self, y: Any) -> Any:
        found = targets_of(self.network_.graph, self._terms(), y)
        return found if len(found) > 1 else found[0]

    def _losses(self) -> dict[str, Any]:
        given = arguments_of(self._terms())
        return {name: given[name] for name in ("loss", "loss_weights")}

    def _terms(self) -> Sequence[Term]:
        """What the network gives; anew where it comes out of a pickle."""
        return self.autoencoder_.terms or self._made(self.network_.dtype).terms

    def _begin(self, X: Array) -> None:
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.autoencoder_ = self._made(self._float_type(X))
        self.network_ = self.autoencoder_.network

    def _made(self, dtype: str) -> Autoencoder:
        names = ("noise", "masking", "l1", "sparsity", "contraction", "beta")
        variant = {name: getattr(self, name) for name in names}
        loss = "mse" if self.loss is None else self.loss
        given = {**variant, "loss": loss, "seed": self._seed, "dtype": dtype}
        return Autoencoder(*self._halves(), **given)

    def _halves(self) -> tuple[list[Layer], list[Layer]]:
        hidden, again = (Dense(HIDDEN, activation="relu") for _ in range(2))
        encoder = [hidden] if self.encoder is None else self.encoder
        decoder = [again] if self.decoder is None else self.decoder
        last = Dense(self._head().outputs, self._head().activation)
        # Sparsity is a divergence of mean activities, which are shares.
        code = Dense(self.n_components, "logistic" if self.sparsity else None)
        return [Input(self.n_features_in_), *encoder, code], [*decoder, last]

    # -- the parts ------------------------------------------------------------------

    def _part(self) -> None:
        """Cut the network at its code; the parts have copies of its weights."""
        whole = self.autoencoder_
        self.encoder_, self.decoder_ = whole.encoder, whole.decoder
        self._n_features_out = whole.encoder.graph.output_shapes[0][0]

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Train encoder and decoder; ``y`` is not used."""
        self._fit(X, None, sample_weight, None)
        self._part()
        return self

    def transform(self, X: Any) -> Array:
        """The code of each row, ``(rows, n_components)``."""
        X = self._inputs(X)
        return self._run(self.encoder_, X)

    def inverse_transform(self, X: Any) -> Array:
        """Rows made from codes, ``(rows, features)``."""
        X = check_array(X, dtype=cast(Any, (np.float64, np.float32)))
        if X.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {X.shape[1]} columns; expected a code of {self._n_features_out}"
            )
        return self._run(self.decoder_, X)

    def score_samples(self, X: Any) -> npt.NDArray[np.float64]:
        """Minus the mean squared error of each row that is made again, ``(rows,)``.

        The larger, the more usual is a row, as of scikit-learn's detectors.
        """
        check_is_fitted(self, "network_")
        rows, _ = self._rows(X, None, reset=False)
        again = self._run(self.decoder_, self._run(self.encoder_, rows))
        return -np.mean((again.astype(np.float64) - rows) ** 2, axis=1)

    @available_if(_is_variational)
    def sample(self, n_samples: int = 1, random_state: Any = None) -> Array:
        """New rows ``(n_samples, features)``; of variational ones alone."""
        check_is_fitted(self, "network_")
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return self.autoencoder_.sample(n_samples, seed=seed)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in ("autoencoder_", "encoder_", "decoder_"):
            state.pop(name, None)  # made again of network_
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "network_" in self.__dict__:
            self.autoencoder_ = Autoencoder.of(self.network_)
            self._part()
