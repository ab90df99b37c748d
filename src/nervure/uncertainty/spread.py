# SPDX-License-Identifier: BSD-3-Clause
"""The spread of several predictions: of an ensemble's members, or with dropout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from nervure.base.checks import count
from nervure.data.ragged import one_each
from nervure.graph.parameters import LARGEST_SEED
from nervure.layers import BatchNorm
from nervure.network.network import Network
from nervure.network.predicting import encoded
from nervure.uncertainty.outputs import (
    Floats,
    as_probabilities,
    is_classifier,
    predictions_of,
    probabilities_of,
)

_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Spread:
    """What M predictions of the same rows have in common, and how far they differ.

    Attributes:
        mean: ``(rows, outputs)``: amounts, or probabilities of classes.
        variance: between the M, plus the mean of their own variances where they give
            them, ``(rows, outputs)``.
        entropy: of the mean probabilities in nats, ``(rows,)``; None for amounts.
        expected_entropy: mean of the M entropies, ``(rows,)``; None for amounts.
        members: M.
    """

    mean: Floats
    variance: Floats
    entropy: Floats | None
    expected_entropy: Floats | None
    members: int

    @property
    def deviation(self) -> Floats:
        """The square root of the variance, in the units of the mean."""
        return np.sqrt(self.variance)

    @property
    def mutual_information(self) -> Floats | None:
        """``H(mean p) - mean H(p)``: what the M disagree about, in nats.

        Source: Houlsby et al., *Bayesian Active Learning* (2011), eq. 2.
        """
        if self.entropy is None or self.expected_entropy is None:
            return None
        return np.maximum(self.entropy - self.expected_entropy, 0)

    @classmethod
    def of(
        cls,
        predictions: Iterable[Any],
        *,
        classes: bool,
        variances: Iterable[Any] | None = None,
    ) -> Spread:
        """The spread of predictions, which are looked at one after the other.

        Args:
            predictions: M arrays ``(rows, outputs)``.
            classes: whether they are probabilities.
            variances: the M's own variances ``(rows, outputs)``.

        >>> found = Spread.of([[[1.0]], [[3.0]]], classes=False, variances=[1.0, 3.0])
        >>> found.mean.tolist(), found.variance.tolist()
        ([[2.0]], [[3.0]])
        """
        total, entropies, own, members = _Moments(), 0.0, 0.0, 0
        between = iter(variances) if variances is not None else None
        for prediction in predictions:
            y = np.asarray(prediction, np.float64)
            total.add(as_probabilities(y) if classes else y.reshape(len(y), -1))
            entropies = entropies + (_entropy(total.latest) if classes else 0.0)
            own = own + (0.0 if between is None else np.asarray(next(between)))
            members += 1
        if not members:
            raise ValueError(
                "[spread] no predictions; expected at least one; give some members"
            )
        variance = total.variance + own / members
        mean = total.mean
        if not classes:
            return cls(mean, variance, None, None, members)
        expected = np.asarray(entropies / members)
        return cls(mean, variance, _entropy(mean), expected, members)


class _Moments:
    """Mean and variance of arrays that come one by one (Welford 1962)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.latest: Any = 0.0
        self._square: Any = 0.0

    def add(self, values: Floats) -> None:
        self.count += 1
        self.latest, apart = values, values - self.mean
        self.mean = self.mean + apart / self.count
        self._square = self._square + apart * (values - self.mean)

    @property
    def variance(self) -> Floats:
        return np.asarray(self._square / self.count)


def _entropy(p: Floats) -> Floats:
    return -(p * np.log(np.maximum(p, _TINY))).sum(axis=1)


# -- ensembles ------------------------------------------------------------------------


def ensemble_spread(models: Any, X: Any) -> Spread:
    """The spread over an ensemble's members, trained from different seeds.

    For amounts the mixture's ``mean = mean_m a_m`` and ``variance = mean_m a_m^2 -
    mean^2``; for classes the mean probabilities, their entropies and mutual
    information. Members that predict variances of their own go through `Spread.of`.

    Args:
        models: an `nv.Ensemble`, or a list of networks or estimators.
        X: rows as their ``predict`` takes them.

    Source: Lakshminarayanan, Pritzel, Blundell, *Simple and Scalable Predictive
    Uncertainty Estimation using Deep Ensembles* (2017), section 2.4.

    >>> import nervure as nv
    >>> nets = [nv.Network([nv.Input(2), nv.Dense(1)], seed=s) for s in range(3)]
    >>> nv.uncertainty.ensemble_spread(nets, [[1.0, 2.0]]).variance.shape
    (1, 1)
    """
    members = list(cast(Sequence[Any], getattr(models, "members", models)))
    if not members:
        raise ValueError(
            "[ensemble] no members; expected at least one; train some networks"
        )
    classes = is_classifier(members[0])
    predict = probabilities_of if classes else predictions_of
    return Spread.of((predict(one, X) for one in members), classes=classes)


# -- dropout --------------------------------------------------------------------------


def mc_dropout(model: Any, X: Any, *, samples: int = 50, seed: int = 0) -> Spread:
    """The spread over passes in which dropout stays on, as in training.

    Batch normalization keeps its running statistics. The same seed gives the same
    bits, for any number of threads. For amounts, noise of the data is not in the
    variance: add the residual variance of held-out rows.

    Args:
        model: an `nv.Network` with dropout, or a nervure estimator of one.
        X: rows as ``predict`` takes them.
        samples: passes, at least 1.
        seed: keys the dropout masks; pass t is step t of it.

    Raises:
        ValueError: a network without dropout.

    Source: Gal, Ghahramani, *Dropout as a Bayesian Approximation* (ICML 2016), eq. 6
    and 8.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(8), nv.Dropout(0.5), nv.Dense(1)])
    >>> found = nv.uncertainty.mc_dropout(net, [[1.0, 2.0]], samples=20)
    >>> bool(found.variance[0, 0] > 0)
    True
    """
    count("mc_dropout", "samples", samples, least=1)
    count("mc_dropout", "seed", seed, least=0, most=LARGEST_SEED)
    network: Network = getattr(model, "network_", model)
    if not any(node.layer.random for node in network.graph.nodes):
        raise ValueError(
            "[mc_dropout] the network has no dropout; expected a layer that draws at "
            "random; add nv.Dropout(0.2) between the hidden layers and train again"
        )
    draws = _draws(network, X, samples, seed)
    return Spread.of(draws, classes=is_classifier(network))


def _draws(network: Network, X: Any, samples: int, seed: int) -> Iterator[Any]:
    """What the network gives in each pass, amounts in their units."""
    still, data = _still_statistics(network), encoded(network, X)
    record = network.preprocessing
    for step in range(samples):
        (y,) = still.executor().outputs(data, draw=(seed, step))
        rows = one_each(y, "mc_dropout").reshape(len(y), -1)
        amounts = record is not None and record.task == "regression"
        yield record.decode_targets(rows) if record and amounts else rows


def _still_statistics(network: Network) -> Network:
    """The network with every BatchNorm frozen, so that it does what it does later."""
    norms = [n.group for n in network.graph.nodes if isinstance(n.layer, BatchNorm)]
    if not norms:
        return network
    still = network.copy()
    still.freeze(*norms)
    return still
