# SPDX-License-Identifier: BSD-3-Clause
"""From what the user gives to the arrays that training reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from nervure.data import Dataset, Preprocessing, split
from nervure.data.labels import Labels
from nervure.data.ragged import Ragged
from nervure.data.records import Amounts
from nervure.executors import Data, Rows
from nervure.graph.objective import Objective
from nervure.losses import Pinball, class_weights
from nervure.network.inputs import (
    check_categories,
    make_data,
    without_labels,
    without_targets,
)
from nervure.network.targets import check_outputs, targets_of

if TYPE_CHECKING:
    from nervure.network.network import Network

RowNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prepared:
    """All rows, those that are trained on, and the validation data.

    ``share`` is the fraction of the rows that were held out here, 0 if none were.
    """

    data: Data
    rows: RowNumbers
    validation: Data | None
    share: float = 0.0


def prepare(
    net: Network,
    X: Any,
    y: Any,
    objective: Objective,
    *,
    validation: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    seed: int = 0,
    part: bool = False,
) -> Prepared:
    """Check and split the data.

    ``validation`` is a fraction of the rows, own data ``(X, y)`` or
    ``(X, y, weights)``, or a `Dataset`. ``part``: other rows come in later calls, so
    that these may all be of one class.

    Raises:
        ValueError: data that do not fit the network, the loss or each other.
    """
    if isinstance(X, Dataset):
        without_targets(y)
        without_labels(objective)
        found = _prepare_dataset(
            net, X, objective, validation, sample_weight, class_weight, seed
        )
    else:
        data = make_data(net, X, y, objective, sample_weight, class_weight)
        found = _with_validation(net, data, objective, validation, class_weight, seed)
    _check_weights(found)
    found = _normalized(found)
    for cost, target in zip(objective.costs, found.data.targets, strict=True):
        if cost.loss.task == "classification" and not part:
            name = net.graph.output_names[cost.output]
            _check_classes(_flat(target[found.rows]), name)
    return _with_step_scales(found)


def _flat(target: Rows) -> npt.NDArray[Any]:
    """Targets one by one, of rows or of steps."""
    return target.packed() if isinstance(target, Ragged) else target


def _with_step_scales(found: Prepared) -> Prepared:
    """What the steps of a row weigh on average, of the rows that are trained on."""
    own = found.data.take(found.rows)
    scales = tuple(own.step_scale(i) for i in range(len(own.targets)))
    return replace(found, data=replace(found.data, step_scales=scales))


def _normalized(found: Prepared) -> Prepared:
    """Weights of mean 1 over the rows that are trained on.

    Of the whole data once: divided by those of its own batch, a row alone in a batch
    would count as any other, whatever it weighs.
    """
    weights = found.data.weights
    if weights is None:
        return found
    mean = weights[found.rows].mean()
    return replace(
        found, data=replace(found.data, weights=weights / mean, by_rows=True)
    )


def _check_weights(found: Prepared) -> None:
    """Rows of which none counts."""
    held = found.validation.weights if found.validation else None
    own = found.data.weights
    parts = {"trained on": own if own is None else own[found.rows], "held out": held}
    for name, weights in parts.items():
        if weights is not None and not weights.any():
            raise ValueError(
                f"[fit] all {len(weights)} rows that are {name} weigh 0; expected some "
                "that count; change sample_weight, or hold out other rows (validation=)"
            )


def _check_classes(target: npt.NDArray[Any], name: str) -> None:
    """Several rows of one class, of which there is nothing to learn."""
    first = target[:1]
    certain = target.ndim == 1 or np.isin(first, (-1, 0, 1)).all()
    if len(target) > 1 and certain and (target == first).all():
        raise ValueError(
            f"[fit] all {len(target)} rows have the target {first[0].tolist()} for "
            f"{name!r}; expected at least two classes; check y and how its rows were "
            "chosen"
        )


def _prepare_dataset(
    net: Network,
    dataset: Dataset,
    objective: Objective,
    validation: Any,
    sample_weight: Any,
    class_weight: Any,
    seed: int,
) -> Prepared:
    check_categories(net.graph, dataset.preprocessing)
    net.preprocessing = _answering(dataset.preprocessing, objective)
    weights = dataset.weights if sample_weight is None else sample_weight
    data = make_data(
        net,
        dataset.inputs,
        targets_of(net.graph, dataset.targets),
        objective,
        weights,
        class_weight,
        dataset.preprocessing.scale_of(dataset.inputs),
    )
    _check_outputs(net)
    if dataset.held_out_rows is not None and len(dataset.held_out_rows):
        assert dataset.train_rows is not None
        if validation is None:
            return Prepared(data, dataset.train_rows, data.take(dataset.held_out_rows))
        data = data.take(dataset.train_rows)
    return _with_validation(net, data, objective, validation, class_weight, seed)


def _check_outputs(net: Network) -> None:
    """Whether predictions can be told in the words of the targets."""
    assert net.preprocessing is not None
    try:
        check_outputs(net.graph, net.preprocessing)
    except ValueError as error:
        raise ValueError(f"[fit] {error}; change the last layer") from None


def _answering(record: Preprocessing, objective: Objective) -> Preprocessing:
    """The record; of a network that learns several quantiles it names them."""
    loss, target = objective.costs[0].loss, record.target
    if not isinstance(loss, Pinball) or len(loss.quantiles) == 1:
        return record
    if not isinstance(target, Amounts):
        return record
    if len(target.names) > 1 and record.series is None:
        return record
    return replace(record, target=replace(target, quantiles=loss.quantiles))


def _with_validation(
    net: Network,
    data: Data,
    objective: Objective,
    validation: Any,
    class_weight: Any,
    seed: int,
) -> Prepared:
    if class_weight is not None:  # of the training rows, whatever is held against them
        class_weight = class_weights(_flat(data.targets[0]), class_weight)
    everything = np.arange(data.rows)
    if validation is None or (isinstance(validation, float | int) and not validation):
        return Prepared(data, everything, None)
    share = _share(validation)
    if share is not None:
        first = data.targets[0]
        classes = None if isinstance(first, Ragged | Labels) else first
        train, held_out = split(data.rows, share, classes, seed)
        return Prepared(data, train, data.take(held_out), share)
    if isinstance(validation, Dataset):
        targets = targets_of(net.graph, validation.targets)
        own = (validation.inputs, targets, validation.weights)
        return Prepared(
            data, everything, _own(net, own, objective, class_weight, data.scale_of(0))
        )
    if isinstance(validation, tuple | list):
        given: tuple[Any, ...] = tuple(cast(Sequence[Any], validation))
        if len(given) in (2, 3):
            own = (*given, None)[:3]
            scale = data.scale_of(0)
            return Prepared(
                data, everything, _own(net, own, objective, class_weight, scale)
            )
    plain = isinstance(validation, int | float | str)
    shown = repr(validation) if plain else type(cast(object, validation)).__name__
    raise ValueError(
        f"[fit] validation = {shown}; expected a fraction in "
        "[0, 1), (X, y), (X, y, weights) or a Dataset; change validation="
    )


def _share(validation: Any) -> float | None:
    """The fraction of the rows that is to be held out, where it is one."""
    number = isinstance(validation, float | np.floating)
    return float(validation) if number else None  # pyright: ignore


def _own(
    net: Network, given: Any, objective: Objective, class_weight: Any, scale: float
) -> Data:
    X, y, weights = given
    return make_data(net, X, y, objective, weights, class_weight, scale)
