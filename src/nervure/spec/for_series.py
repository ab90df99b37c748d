# SPDX-License-Identifier: BSD-3-Clause
"""The network of a series that gives quantiles of each step, in place of one value."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from nervure.base.words import unknown
from nervure.graph.node import Entry
from nervure.layers import EnsembleDense
from nervure.losses import Pinball
from nervure.spec.tables import Spec, SpecError, TrainingSpec

Intervals = Literal["conformal", "pinball"]
"""What the intervals of forecasts are made of: the errors on origins held out, around
one value, or quantiles that the network learns, moved by such errors."""

QUANTILES = (0.05, 0.5, 0.95)


def with_quantiles(spec: Spec, quantiles: tuple[float, ...] = QUANTILES) -> Spec:
    """The default for a series, with quantiles of each step in place of one value.

    Those of a step stand side by side. Source of the loss: Koenker and Bassett,
    *Regression quantiles*, Econometrica 46 (1978).
    """
    layers = [entry.layer for entry in spec.layers]
    last = max(i for i, x in enumerate(layers) if isinstance(x, EnsembleDense))
    layer = layers[last]
    assert isinstance(layer, EnsembleDense)
    layers[last] = replace(layer, units=len(quantiles) * layer.units)
    training = replace(spec.training or TrainingSpec(), loss=Pinball(quantiles))
    return replace(spec, layers=tuple(map(Entry, layers)), training=training)


def check_intervals(word: str, where: str) -> None:
    """Raise for a word that names no kind of intervals.

    >>> check_intervals("quantile", "--intervals")
    Traceback (most recent call last):
    nervure.spec.tables.SpecError: [--intervals] unknown kind 'quantile'; Known: \
conformal, pinball
    """
    known = get_args(Intervals)
    if word not in known:
        raise SpecError(unknown(where, "kind", word, known))
