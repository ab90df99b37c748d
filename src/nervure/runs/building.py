# SPDX-License-Identifier: BSD-3-Clause
"""Specs to networks."""

from __future__ import annotations

from collections.abc import Sequence

from nervure.data import Dataset
from nervure.data.preprocessing import Preprocessing
from nervure.graph.written import graph_of
from nervure.layers.entrance import Codes
from nervure.network import autoencoding
from nervure.network.network import Network
from nervure.spec.autoencoders import terms_of
from nervure.spec.tables import Spec
from nervure.zoo import ZooNetwork


def network_for(spec: Spec, dataset: Dataset) -> Network:
    """The network of a spec for these rows, beginning as they ask for."""
    record = dataset.preprocessing
    return network_of(spec, record.input_shape, None, record.categories, record)


def network_of(
    spec: Spec,
    input_shape: tuple[int, ...] | None = None,
    seed: int | None = None,
    categories: Sequence[Codes] = (),
    record: Preprocessing | None = None,
) -> Network:
    """The network that a spec describes, for data as `graph_of` has them.

    One of the zoo has as many outputs as the targets of ``record`` ask for.
    """
    training = spec.training
    seed = spec.seed if seed is None else seed
    if spec.autoencoder is not None:
        found = terms_of(spec, input_shape, record)
        net = autoencoding.network_of(found, seed, spec.dtype)
    elif spec.network is not None:
        net = _of_zoo(spec.network, input_shape, record, seed, spec.dtype)
    else:
        graph = graph_of(spec.layers, spec.outputs, input_shape, categories)
        net = Network.from_graph(graph, seed=seed, dtype=spec.dtype)
    if training and training.exact:
        net = net.exact()
    if training and (training.freeze or training.freeze_until is not None):
        net.freeze(*training.freeze, until=training.freeze_until)
    return net


def _of_zoo(
    named: ZooNetwork,
    input_shape: tuple[int, ...] | None,
    record: Preprocessing | None,
    seed: int,
    dtype: str,
) -> Network:
    outputs = None if record is None else record.outputs
    values = record is not None and record.task == "regression"
    activation = None if values else "softmax"
    return named.build(input_shape, outputs, activation, seed, dtype)
