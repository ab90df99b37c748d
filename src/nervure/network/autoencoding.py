# SPDX-License-Identifier: BSD-3-Clause
"""The network of an autoencoder, with what its code costs beside the reconstruction.

Each variant is a graph of layers that others use too: what is corrupted passes noise,
and what a code costs is an output of the network whose loss is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.checks import number
from nervure.graph.graph import Graph
from nervure.graph.symbols import reachable, sequence
from nervure.layers import (
    Activation,
    Add,
    Dropout,
    GaussianNoise,
    GaussianSample,
    Input,
    Layer,
    Multiply,
    Reduce,
    Subtract,
    Symbol,
)
from nervure.network.network import Network

Array = npt.NDArray[Any]

STEP = 0.01
"""Standard deviation of the noise by which the slope of an encoder is felt."""

CODE, SPREAD, SAMPLE = "code", "log_variance", "sample"
"""Names of the layer that gives the code, and of what a variational one has besides."""


@dataclass(frozen=True)
class Variant:
    """What an autoencoder does beside reconstructing (see `Autoencoder`)."""

    noise: float = 0.0
    masking: float = 0.0
    l1: float = 0.0
    sparsity: tuple[float, float] | None = None
    contraction: float = 0.0
    beta: float | None = None

    def __post_init__(self) -> None:
        for name in ("noise", "l1", "contraction"):
            number("autoencoder", name, getattr(self, name), least=0)
        number("autoencoder", "masking", self.masking, least=0, below=1)
        if self.beta is not None:
            number("autoencoder", "beta", self.beta, least=0)
        if self.sparsity is not None:
            share, weight = _pair(self.sparsity)
            number("autoencoder", "sparsity", share, above=0, below=1)
            number("autoencoder", "weight of sparsity", weight, least=0)
        if self.sparsity is not None and self.l1:
            raise ValueError(
                "[autoencoder] l1 and sparsity; expected one way to make codes sparse; "
                "leave one out"
            )


def _pair(given: Any) -> tuple[Any, Any]:
    if isinstance(given, tuple | list):
        values = list(cast(Sequence[Any], given))
        if len(values) == 2:
            return values[0], values[1]
    raise ValueError(
        f"[autoencoder] sparsity = {given!r:.80}; expected the mean activity of a unit "
        "and a weight; write e.g. (0.05, 1.0)"
    )


@dataclass(frozen=True)
class Term:
    """One output of the network, its loss, the weight of it, and its target."""

    output: Symbol
    loss: Any
    weight: float
    target: float = 0.0


def terms(
    encoder: Sequence[Layer], decoder: Sequence[Layer], variant: Variant, loss: Any
) -> list[Term]:
    """The outputs of an autoencoder: the reconstruction first.

    Raises:
        ValueError: an encoder or decoder without layers, or no `Input` first.
    """
    source, *hidden, last = layers = _checked(encoder, decoder)
    seen = _corrupted(source, variant)
    below = through(hidden, seen)
    layer = replace(last, name=last.name or CODE)
    code = layer(below)
    given: Symbol = code
    found: list[Term] = []
    if variant.beta is not None:
        spread = replace(last, name=SPREAD)(below)
        given = GaussianSample(name=SAMPLE)(code, spread)
        graph = Graph.of(sequence(layers))
        units, features = map(math.prod, (*graph.output_shapes, *graph.input_shapes))
        found.append(_divergence(code, spread, variant.beta / features, units))
    if variant.contraction:
        near = through([*hidden, layer], GaussianNoise(STEP)(seen))
        # The mean square of the difference is STEP^2 times that of the slopes.
        felt = Subtract()(near, code)
        found.append(Term(felt, "mse", variant.contraction / STEP**2))
    if variant.l1:
        found.append(Term(code, "mae", variant.l1))
    if variant.sparsity:
        share, weight = variant.sparsity
        found.append(Term(code, sparsity_of(share), weight))
    return [Term(through(decoder, given), loss, 1.0), *found]


def network_of(terms: Sequence[Term], seed: int, dtype: str) -> Network:
    """The network that gives all terms."""
    ends = [term.output for term in terms]
    source = next(s for s in reachable(ends) if isinstance(s, Input))
    return Network(inputs=source, outputs=ends, seed=seed, dtype=dtype)


def arguments_of(terms: Sequence[Term]) -> dict[str, Any]:
    """What `nervure.fit` is told of the terms: no metrics, unless others are given."""
    losses, weights = [t.loss for t in terms], [t.weight for t in terms]
    return {"loss": losses, "loss_weights": weights, "metrics": {}}


def targets_of(graph: Graph, terms: Sequence[Term], rows: Array) -> list[Array]:
    """The targets of all outputs: the rows, and for each term what it wants."""
    others = [
        np.full((len(rows), math.prod(shape)), term.target, rows.dtype)
        for term, shape in zip(terms[1:], graph.output_shapes[1:], strict=True)
    ]
    return [rows.reshape(len(rows), -1), *others]


def through(layers: Sequence[Layer], x: Symbol) -> Symbol:
    """The last of some layers, each called on the one before."""
    for layer in layers:
        x = layer(x)
    return x


def _checked(encoder: Sequence[Layer], decoder: Sequence[Layer]) -> list[Layer]:
    layers = list(encoder)
    if len(layers) < 2 or not isinstance(layers[0], Input):
        raise ValueError(
            "[autoencoder] the encoder does not begin with nv.Input and end with the "
            "layer of the code; expected both; write e.g. "
            "[nv.Input(784), nv.Dense(32)]"
        )
    if not decoder:
        raise ValueError(
            "[autoencoder] a decoder without layers; expected one that gives the "
            "input's shape; write e.g. [nv.Dense(784)]"
        )
    return layers


def _corrupted(source: Layer, variant: Variant) -> Symbol:
    x: Any = source
    if variant.noise:
        x = GaussianNoise(variant.noise)(x)
    return Dropout(variant.masking)(x) if variant.masking else x


def _divergence(mean: Symbol, spread: Symbol, weight: float, units: int) -> Term:
    """``KL(N(m, e^v) || N(0, 1)) = 1/2 sum (m^2 + e^v - v - 1)``.

    The sum without the 1 is at least the number of units, its target, so that its
    absolute error is twice the divergence.
    """
    square = Multiply()(mean, mean)
    variance = Activation("exp")(spread)
    whole = Reduce("sum")(Subtract()(Add()(square, variance), spread))
    return Term(whole, "mae", weight / 2, target=units)


def sparsity_of(share: float) -> Callable[[Array, Array], tuple[float, Array]]:
    """``sum_j KL(rho || rho_j)``, rho_j being the mean of unit j over a batch.

    Source: Ng, *Sparse autoencoder* (CS294A lecture notes, 2011), section 3.
    """

    def sparsity(target: Array, output: Array) -> tuple[float, Array]:
        mean = np.clip(output.mean(axis=0, dtype=np.float64), 1e-6, 1 - 1e-6)
        known = share * np.log(share / mean)
        other = (1 - share) * np.log((1 - share) / (1 - mean))
        slope = (1 - share) / (1 - mean) - share / mean
        rows = np.broadcast_to(slope / len(output), output.shape)
        return float((known + other).sum()), rows.astype(output.dtype)

    return sparsity
