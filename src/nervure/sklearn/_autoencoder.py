# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""AutoencoderTransformer: rows to a code of few numbers and back."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array

from nervure.graph.graph import Graph
from nervure.graph.symbols import sequence
from nervure.layers import Dense, Input, Layer
from nervure.network.halves import before, behind
from nervure.network.network import Network
from nervure.sklearn._architecture import Head
from nervure.sklearn._base_net import BaseNet
from nervure.sklearn._compat import Interval, TagsMixin, fit_context, validate_data

Array = npt.NDArray[Any]

HIDDEN = 64
"""Nodes between features and code where no layers are given."""


class AutoencoderTransformer(
    TagsMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNet
):
    """Learns a code from which the rows can be made again.

    Encoder and decoder are trained as one network whose target is its input; for
    denoising, sparse, contractive and variational ones see `nervure.Autoencoder`.

    Args:
        n_components: numbers in the code.
        encoder: layers before the one that gives the code; by default one hidden layer.
        decoder: layers between the code and the one that gives the features.
        loss, optimizer, epochs, batch_size, early_stopping, validation_fraction,
        callbacks, metrics, regularizer, shuffle, dtype, executor, n_threads,
        warm_start, random_state, verbose, telemetry: as in `NeuralNetRegressor`.

    Attributes:
        network_, encoder_, decoder_: the whole network, and its two parts.
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
    }

    def __init__(
        self,
        n_components: int = 2,
        *,
        encoder: Any = None,
        decoder: Any = None,
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

    def _encoded(self, y: Any) -> Array:
        return y

    def _begin(self, X: Array) -> None:
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        dtype = self._float_type(X)
        before, behind = self._halves(X.shape[1])
        self._cut = len(before)
        graph = Graph.of(sequence([*before, *behind]))
        self.network_ = Network.from_graph(graph, seed=self._seed, dtype=dtype)

    def _halves(self, features: int) -> tuple[list[Layer], list[Layer]]:
        hidden: Sequence[Layer] = [Dense(HIDDEN, activation="relu")]
        encoder = hidden if self.encoder is None else self.encoder
        decoder = hidden if self.decoder is None else self.decoder
        last = Dense(self._head().outputs, self._head().activation)
        code = Dense(self.n_components)
        return [Input(features), *encoder, code], [*decoder, last]

    # -- the parts ------------------------------------------------------------------

    def _part(self) -> None:
        """Cut the network at its code; the parts have copies of its weights."""
        whole = self.network_
        code = whole.graph.entries[self._cut - 1]
        self._n_features_out = cast(Dense, code.layer).units
        self.encoder_ = before(whole, code.name)
        self.decoder_ = behind(whole, code.name, whole.graph.output_names[0])

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

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("encoder_", None)  # made again of network_
        state.pop("decoder_", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "network_" in self.__dict__:
            self._part()
