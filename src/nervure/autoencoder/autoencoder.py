# SPDX-License-Identifier: BSD-3-Clause
"""Autoencoder: a network that is to give what comes in, through a narrow code."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure import random
from nervure.base.checks import count, number
from nervure.base.words import short
from nervure.data import Dataset
from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import Ragged
from nervure.data.records import ArrayInput, Reconstruction
from nervure.layers import Layer
from nervure.network.autoencoding import CODE as CODE
from nervure.network.autoencoding import (
    SAMPLE,
    Term,
    Variant,
    arguments_of,
    network_of,
    targets_of,
    terms,
)
from nervure.network.halves import before, behind
from nervure.network.network import Network
from nervure.runs.loading import load_network
from nervure.training.fit import fit
from nervure.training.run import Run

Array = npt.NDArray[Any]


class Autoencoder:
    """A code of each row, from which a decoder makes the row again.

    Encoder and decoder are one network, trained by `fit` with its input as its target.
    The other ways to learn a code are more layers and more terms of its cost:

    - ``noise``, ``masking``: the encoder sees rows with normal noise of that standard
      deviation, or without that fraction of their features, and is to give them clean
      (denoising; Vincent et al. 2008).
    - ``l1``: that many times the mean ``|code|`` is added to the cost; ``sparsity =
      (rho, weight)``: ``sum_j KL(rho || rho_j)`` of units in (0, 1), rho_j being the
      mean of unit j over a batch (Ng 2011).
    - ``contraction``: so many times the mean of ``|d code / d x|^2`` over the code's
      units, felt by a little noise (Rifai et al. 2011).
    - ``beta``: variational (Kingma and Welling 2014): the last layer of the encoder
      gives the mean of a normal distribution and a twin of it the logarithm of its
      variance, the decoder sees a sample, and ``beta / features`` times its divergence
      from the standard normal one is added to the cost (Higgins et al. 2017).

    Args:
        encoder: layers, `Input` first; the last one gives the code, and is called
            ``"code"`` unless it has a name.
        decoder: layers behind it, to the shape of the input. `nv.Tied` may name layers
            of the encoder.
        noise, masking, l1, sparsity, contraction, beta: see above; none by default.
        loss: of the reconstruction, as `nv.fit` takes it.
        seed, dtype: as of `Network`.

    Attributes:
        network: the whole; its first output is the reconstruction.
        threshold: the score above which a row is an anomaly, from `find_threshold`.

    Raises:
        ValueError: layers or numbers that do not fit.

    Source: Hinton and Salakhutdinov, *Science* 313 (2006), 504-507; Goodfellow, Bengio,
    Courville, *Deep Learning* (2016), chapter 14.

    >>> import numpy as np, nervure as nv
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) @ [[1.0, 2.0, -1.0]]
    >>> ae = nv.Autoencoder([nv.Input(3), nv.Dense(1)], [nv.Dense(3)])
    >>> run = ae.fit(X, optimizer=nv.Adam(0.05), epochs=60, progress=False)
    >>> ae.encode(X).shape, bool(ae.score(X).mean() < 0.01)
    ((200, 1), True)
    """

    def __init__(
        self,
        encoder: Sequence[Layer],
        decoder: Sequence[Layer],
        *,
        noise: float = 0.0,
        masking: float = 0.0,
        l1: float = 0.0,
        sparsity: tuple[float, float] | None = None,
        contraction: float = 0.0,
        beta: float | None = None,
        loss: object = "mse",
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        variant = Variant(noise, masking, l1, sparsity, contraction, beta)
        self._terms = terms(encoder, decoder, variant, loss)
        self._take(network_of(self._terms, seed, dtype), encoder[-1].name or CODE)
        if self.network.graph.input_shapes != self.network.graph.output_shapes[:1]:
            shapes = self.network.graph.input_shapes[0], self._shape
            raise ValueError(
                f"[autoencoder] rows of shape {shapes[0]} and a decoder that gives "
                f"{shapes[1]}; expected the same; change its last layer"
            )

    def _take(self, network: Network, code: str) -> None:
        self.network, self._code = network, code
        self.threshold: float | None = None
        self._quantile = 0.99

    @classmethod
    def of(cls, network: Network, code: str | None = None) -> Autoencoder:
        """A trained network as an autoencoder, e.g. one that was loaded.

        Its first output is the reconstruction; ``code`` names the layer of the code,
        by default the one that its record tells of, or "code". Where there is a record
        of preprocessing, rows are given as they were before it; what the decoder gives
        is in the network's terms.
        """
        known = _told(network)
        made = cls.__new__(cls)
        made._terms = []
        made._take(network, code or (known.code if known else CODE))
        if known is not None and known.code == made._code:
            made.threshold, made._quantile = known.threshold, known.quantile
        before(network, made._code)  # raises where there is none
        return made

    @classmethod
    def load(cls, path: str | os.PathLike[str], code: str | None = None) -> Autoencoder:
        """The autoencoder in a model file: one that `save` or ``nervure train`` wrote.

        See `of` for ``code``.
        """
        return cls.of(load_network(path), code)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network, which layer its code is, and the threshold."""
        saved = self.network.copy()
        saved.preprocessing = self._record()
        saved.save(path)

    def _record(self) -> Preprocessing:
        """What a model file says of the rows; without a record they go in as given."""
        target = Reconstruction(
            self._code, self.threshold, self._quantile, "validation"
        )
        known = _told(self.network)
        if known is not None and known.code == self._code:
            target = known if known.threshold == self.threshold else target
        record = self.network.preprocessing
        if record is not None:
            return replace(record, target=target)
        return Preprocessing(ArrayInput(self.network.graph.input_shapes[0]), target)

    @property
    def terms(self) -> Sequence[Term]:
        """What the network gives, the reconstruction first, and what each costs.

        Nothing where the autoencoder was made of a network.
        """
        return tuple(self._terms)

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.network.graph.output_shapes[0]

    # -- training -----------------------------------------------------------------

    def fit(self, X: Any, *, validation: Any = None, **arguments: Any) -> Run:
        """Train encoder and decoder, with the rows as their own targets.

        Args:
            X: rows ``(rows, ...)``, or the inputs of a `nervure.data.Dataset`.
            validation: fraction of the rows, or other rows.
            arguments: the others of `nervure.fit`.

        Raises:
            ValueError: see `nervure.fit`; the autoencoder was made of a network.
        """
        if not self._terms:
            raise ValueError(
                "[autoencoder] made of a network, whose terms of cost are not known; "
                "expected layers; train it by nv.fit(ae.network, X, X)"
            )
        rows = self._rows(X)
        if validation is not None and not isinstance(validation, float | int):
            held_out = self._rows(validation)
            validation = (held_out, self._targets(held_out))
        self.threshold = None
        given = arguments_of(self._terms) | arguments
        return fit(
            self.network, rows, self._targets(rows), validation=validation, **given
        )

    def _rows(self, X: Any) -> Array:
        """Rows as numbers that can be targets; bytes of a data set are scaled."""
        record = self.network.preprocessing
        if record is not None and not isinstance(X, Dataset):
            found = record.encode(X, dtype=self.network.dtype)
            rows = record.as_targets(found, dtype=self.network.dtype)
            return rows.reshape(found.shape)
        given: Any = X
        scale = 1.0
        if isinstance(X, Dataset):
            given, scale = X.inputs, X.preprocessing.scale_of(X.inputs)
        dense = given.toarray() if hasattr(given, "toarray") else given
        (rows,) = self.network.arrays(dense)
        if isinstance(rows, Ragged):
            raise ValueError(
                "[autoencoder] sequences of different lengths; expected rows of one "
                "shape; cut them, or fill them up, to one length"
            )
        return np.asarray(rows, self.network.dtype) * scale

    def _targets(self, rows: Array) -> Any:
        """One array, or one for each output."""
        found = targets_of(self.network.graph, self._terms, rows)
        return found if len(found) > 1 else found[0]

    @property
    def _units(self) -> int:
        graph = self.network.graph
        return math.prod(graph.nodes[graph.groups[self._code][-1]].shape)

    # -- the halves -----------------------------------------------------------------

    @property
    def encoder(self) -> Network:
        """From rows to codes, a copy with the present weights."""
        return before(self.network, self._code)

    @property
    def decoder(self) -> Network:
        """From codes to rows, a copy with the present weights."""
        graph = self.network.graph
        end = graph.output_names[0]
        cut = SAMPLE if self._is_variational else self._code
        return behind(self.network, cut, end)

    @property
    def _is_variational(self) -> bool:
        return SAMPLE in self.network.graph.groups

    def encode(self, X: Any) -> Array:
        """Codes ``(rows, ...)``; of a variational one the means."""
        told = self.network.preprocessing is not None
        return cast(Array, self.encoder.predict(self._rows(X) if told else X))

    def decode(self, codes: Any) -> Array:
        """Rows made of codes ``(rows, ...)``."""
        return cast(Array, self.decoder.predict(codes))

    def reconstruct(self, X: Any) -> Array:
        """Each row through its code."""
        return self.decode(self.encode(X))

    def sample(self, rows: int, *, seed: int = 0) -> Array:
        """New rows, of codes drawn from the standard normal distribution.

        Raises:
            ValueError: the autoencoder is not variational, so that its codes may lie
                anywhere.
        """
        count("sample", "rows", rows, least=1)
        if not self._is_variational:
            raise ValueError(
                "[sample] an autoencoder that is not variational; expected codes that "
                "follow a known distribution; train one with beta=1.0, or decode codes "
                "of your own"
            )
        drawn = random.normal(np, seed, 0, 0, rows * self._units)
        shape = self.decoder.graph.input_shapes[0]
        return self.decode(drawn.reshape(rows, *shape).astype(self.network.dtype))

    # -- anomalies ------------------------------------------------------------------

    def score(self, X: Any) -> npt.NDArray[np.float64]:
        """Mean squared error of each row's reconstruction, ``(rows,)``."""
        rows = self._rows(X)
        codes = cast(Array, self.encoder.predict(rows))
        apart = self.decode(codes).reshape(len(rows), -1).astype(np.float64)
        apart -= rows.reshape(len(rows), -1)
        return np.mean(apart**2, axis=1)

    def find_threshold(self, X: Any, quantile: float = 0.99) -> float:
        """Set and return the ``quantile`` of the scores of sound, unseen rows."""
        number("find_threshold", "quantile", quantile, least=0, most=1)
        self.threshold = float(np.quantile(self.score(X), quantile))
        self._quantile = float(quantile)
        return self.threshold

    def is_anomaly(self, X: Any) -> npt.NDArray[np.bool_]:
        """Which rows score above the threshold, ``(rows,)``.

        Raises:
            ValueError: there is no threshold.
        """
        if self.threshold is None:
            raise ValueError(
                "[is_anomaly] no threshold; expected one; call find_threshold with "
                "sound rows first"
            )
        return self.score(X) > self.threshold

    def __repr__(self) -> str:
        return f"Autoencoder({short(self._shape)} -> {self._units})"


def _told(network: Network) -> Reconstruction | None:
    """What the record of a network says of its code."""
    record = network.preprocessing
    target = None if record is None else record.target
    return target if isinstance(target, Reconstruction) else None
