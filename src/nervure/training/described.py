# SPDX-License-Identifier: BSD-3-Clause
"""The spec of a run: its network, its data and its settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Classes
from nervure.losses import CustomLoss, Loss
from nervure.metrics import METRICS, Metric
from nervure.network.network import Network
from nervure.spec.tables import DataSpec, Spec, TrainingSpec
from nervure.spec.written import described
from nervure.training.settings import Settings


def spec_of(net: Network, settings: Settings, data: DataSpec) -> Spec:
    """The spec of a run; ``data`` is where its rows come from.

    What is code (see `code_of`) is left out: `resume` asks for it again.
    """
    return dataclasses.replace(
        described(net),
        data=data,
        training=_training_of(settings, net),
        augmentation=settings.augmentation,
    )


def as_chain(whole: Spec, chain: Spec) -> Spec:
    """The spec of an autoencoder: its terms follow from its layers and its table."""
    training = whole.training
    if training is not None:
        own = chain.training.loss if chain.training else None
        training = dataclasses.replace(
            training, loss=own, loss_weights=None, metrics=None
        )
    layers, said = chain.layers, chain.autoencoder
    return dataclasses.replace(
        whole, layers=layers, outputs=(), training=training, autoencoder=said
    )


def code_of(settings: Settings) -> list[str]:
    """Arguments of `fit` that are code, so that no file can hold them."""
    code = {
        "loss": any(isinstance(c.loss, CustomLoss) for c in settings.objective.costs),
        "metrics": _metric_names(settings.metrics) is None
        and settings.metrics is not None,
        "callbacks": not all(one.observes for one in settings.callbacks),
    }
    return [name for name, found in code.items() if found]


def _training_of(settings: Settings, net: Network) -> TrainingSpec:
    record = net.preprocessing
    same = {f.name for f in dataclasses.fields(TrainingSpec)} & {
        f.name for f in dataclasses.fields(settings)
    }
    given = {name: getattr(settings, name) for name in same}
    given["loss"] = _loss_of(settings)
    given["metrics"] = _metric_names(settings.metrics)
    given["class_weight"] = _class_weight_of(settings.class_weight, labels_of(record))
    weights = tuple(cost.weight for cost in settings.objective.costs)
    given["learning_rates"] = settings.learning_rates or None
    given["freeze"] = tuple(e.name for e in net.graph.entries if e.name in net.frozen)
    given["loss_weights"] = None if set(weights) == {1.0} else weights
    return TrainingSpec(**given)


def _loss_of(settings: Settings) -> Loss | tuple[Loss, ...] | None:
    losses = tuple(cost.loss for cost in settings.objective.costs)
    if any(isinstance(one, CustomLoss) for one in losses):
        return None
    return losses[0] if len(losses) == 1 else losses


def _metric_names(metrics: Sequence[Any] | None) -> tuple[str, ...] | None:
    """Names of metrics; None where there are none given, or one of them is code."""
    if metrics is None:
        return None
    names = [one.name if isinstance(one, Metric) else one for one in metrics]
    by_name = all(
        (isinstance(name, str) and METRICS.get(name, one) == one) or one == name
        for name, one in zip(names, metrics, strict=True)
    )
    known = by_name and all(name in METRICS for name in names)
    return tuple(names) if known else None


def _class_weight_of(found: Any, labels: Sequence[object]) -> Any:
    """Class weights as a spec has them: by label, or by index without labels."""
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, Mapping):
        pairs = list(cast(Mapping[Any, Any], found).items())
    else:
        pairs = list(enumerate(cast(list[float], np.asarray(found).tolist())))
    return {str(labels[int(k)] if labels else int(k)): float(v) for k, v in pairs}


def labels_of(record: Preprocessing | None) -> tuple[object, ...]:
    """The labels of the classes that a network was trained for, in order."""
    known = record is not None and isinstance(record.target, Classes)
    return tuple(record.target.labels) if known else ()  # pyright: ignore
