# SPDX-License-Identifier: BSD-3-Clause
"""``nervure zoo``: the published architectures, and their specs to be changed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from nervure.graph.summary import table
from nervure.spec.tables import SpecError, TrainingSpec
from nervure.spec.written import described_graph, save_spec, write_spec
from nervure.zoo import ARCHITECTURES, ZooNetwork, architecture


def listing() -> str:
    """All architectures: parameters, images, source."""
    rows = [
        (name, _by(one.input_shape), one.source, f"{one.graph().trainable:,}")
        for name, one in ARCHITECTURES.items()
    ]
    return "\n".join(table(("name", "images", "source", "parameters"), rows, numbers=1))


def spec_text(
    name: str,
    classes: int | None = None,
    image: str | None = None,
    aux: bool = False,
    out: Path | None = None,
) -> str:
    """The spec of an architecture, layer by layer; written to ``out``, if given."""
    shape = None if image is None else _shape(image)
    network = ZooNetwork(name, classes, shape, None, aux)
    training = TrainingSpec(loss_weights=network.loss_weights)
    graph = architecture(name).graph(classes, shape, aux=aux)
    spec = replace(described_graph(graph), training=training)
    if out is None:
        return write_spec(spec).rstrip()
    save_spec(spec, out)
    return f"written to {out}; train with: nervure train SOURCE --spec {out}"


def _shape(image: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[0-9]{1,6}(x[0-9]{1,6}){2}", image):
        raise SpecError(
            f"[--image] found {image[:40]!r}; expected height x width x channels; "
            "write e.g. --image 32x32x3"
        )
    return tuple(map(int, image.split("x")))


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
