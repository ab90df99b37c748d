# SPDX-License-Identifier: BSD-3-Clause
"""Networks without the classifiers that only help to train them."""

from __future__ import annotations

from nervure.graph.graph import Graph, leading_to
from nervure.network.network import Network


def without_auxiliary(net: Network, output: str = "head") -> Network:
    """A copy of what leads to one output, with its weights and what is frozen.

    Args:
        output: name of the output layer that stays.

    Raises:
        GraphError: there is no layer of this name.

    >>> import nervure as nv
    >>> net = nv.zoo.googlenet(classes=3, input_shape=(32, 32, 3), aux=True)
    >>> without_auxiliary(net).graph.output_names
    ('head',)
    """
    entries = net.graph.entries
    graph = Graph.of(leading_to(entries, [output]) or entries, [output])
    return net.rebuilt(graph)
