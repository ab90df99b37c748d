# SPDX-License-Identifier: BSD-3-Clause
"""Autoencoders of specs: the network and training by default, and what layers mean.

The layers of a spec are the whole chain; the one that is named "code" ends the encoder.
"""

from __future__ import annotations

import math
from dataclasses import replace

from nervure.base.words import many
from nervure.data import Dataset
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import ArrayInput
from nervure.graph.graph import Graph
from nervure.graph.node import Entry
from nervure.graph.symbols import sequence
from nervure.layers import (
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    Flatten,
    Input,
    Layer,
    Reshape,
)
from nervure.losses import MSE, Loss
from nervure.network.autoencoding import CODE, Term, terms
from nervure.optimizers import Adam, AdamW
from nervure.optimizers.schedules import Cosine
from nervure.spec.stopping import EarlyStopping
from nervure.spec.tables import (
    AutoencoderSpec,
    DataSpec,
    Spec,
    SpecError,
    TrainingSpec,
)

HIDDEN = (64, 512)
"""Nodes, at least and at most, of the hidden layers for rows of numbers."""

_FILTERS = (16, 32)
_SMALLEST_IMAGE = 16
_BEFORE_CODE = 256
"""Nodes between convolutions and code."""

_STEPS, _EPOCHS = 12_000, (10, 300)
"""Steps that training takes, in at least and at most so many epochs."""

_BATCHES = ((3_000, 32), (math.inf, 128))

# Of iris, wine, breast_cancer, diabetes and digits, codes of 2, 4, 5, 4 and 8, this
# gave back 83.1 % of the variance of rows held out (three splits, mean), PCA 78.7 %,
# ReLU with Adam at 0.002 79.3 %.
_FLAT, _FLAT_ACTIVATION = AdamW(Cosine(0.003), weight_decay=0.02), "silu"

Halves = tuple[list[Layer], list[Layer]]


# -- by default -----------------------------------------------------------------------


def default_autoencoder(
    dataset: Dataset, data: DataSpec, said: AutoencoderSpec, seed: int = 0
) -> Spec:
    """The autoencoder and training by the kind and number of rows.

    Raises:
        SpecError: no code, or one as wide as the rows.
    """
    record = dataset.preprocessing
    layers = default_layers(record, said)
    batch = next(size for most, size in _BATCHES if dataset.rows < most)
    fewest, most = _EPOCHS
    epochs = max(fewest, min(round(_STEPS * batch / max(dataset.rows, 1)), most))
    training = TrainingSpec(
        loss=MSE(),
        optimizer=Adam(Cosine(0.002)) if _are_images(record.shape) else _FLAT,
        batch_size=batch,
        epochs=epochs,
        early_stopping=EarlyStopping(patience=epochs // 2) if data.validation else None,
        checkpoint_seconds=30.0,
        seed=seed,
    )
    return Spec(tuple(map(Entry, layers)), data, training, autoencoder=said)


def default_layers(record: Preprocessing, said: AutoencoderSpec) -> list[Layer]:
    """The whole chain behind the input, the layer of the code by name.

    Images of 16 pixels and more pass two convolutions of stride 2 and come back by two
    transposed ones; all else is flat. Bytes come out in [0, 1], by a logistic function.

    Raises:
        SpecError: no code, or one as wide as the rows.
    """
    shape, code = record.shape, _checked_code(said, record.shape)
    scaled = isinstance(record.inputs, ArrayInput) and record.inputs.scale != 1.0
    end = "logistic" if scaled else None
    # Sparsity is a divergence of mean activities, which are shares.
    narrow = Dense(code, "logistic" if said.sparsity else None, name=CODE)
    if _are_images(shape):
        before, behind = _convolutions(shape, end)
        return [*before, narrow, *behind]
    features, (fewest, most) = math.prod(shape), HIDDEN
    hidden = max(fewest, min(2 * features, most))
    flat: list[Layer] = [] if len(shape) == 1 else [Flatten()]
    back: list[Layer] = [] if len(shape) == 1 else [Reshape(shape)]
    wide, again = (Dense(hidden, activation=_FLAT_ACTIVATION) for _ in range(2))
    return [*flat, wide, narrow, again, Dense(features, activation=end), *back]


def _are_images(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and min(shape[:2]) >= _SMALLEST_IMAGE and shape[2] <= 4


def _convolutions(shape: tuple[int, ...], end: str | None) -> Halves:
    height, width, channels = shape
    half, small = _halved((height, width)), _halved(_halved((height, width)))
    first, last = _FILTERS
    encoder: list[Layer] = [
        Conv2D(first, 3, stride=2, padding="same", activation="relu"),
        Conv2D(last, 3, stride=2, padding="same", activation="relu"),
        Flatten(),
        Dense(_BEFORE_CODE, activation="relu"),
    ]
    decoder: list[Layer] = [
        Dense(_BEFORE_CODE, activation="relu"),
        Dense(last * math.prod(small), activation="relu"),
        Reshape((*small, last)),
        Conv2DTranspose(first, 3, stride=2, padding="same", activation="relu"),
        *_cut(half),
        Conv2DTranspose(channels, 3, stride=2, padding="same", activation=end),
        *_cut((height, width)),
    ]
    return encoder, decoder


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    """What a stride of 2 leaves: half the pixels, rounded up."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def _cut(size: tuple[int, int]) -> list[Layer]:
    """Takes off the pixels by which twice a rounded half is too large."""
    over = [side % 2 for side in size]
    return [Cropping2D(tuple((0, more) for more in over))] if any(over) else []


def _checked_code(said: AutoencoderSpec, shape: tuple[int, ...]) -> int:
    if said.code is None:
        raise SpecError(
            "[autoencoder] code: missing; expected the number of its values; write "
            "code = 32"
        )
    _check_narrow(said, said.code, math.prod(shape))
    return said.code


_WIDE = ("noise", "masking", "l1", "sparsity", "contraction", "beta")
"""What keeps a wide code from holding the rows as they are."""


def _check_narrow(said: AutoencoderSpec, code: int, features: int) -> None:
    if code < features or any(getattr(said, name) for name in _WIDE):
        return
    fewer = f"fewer than {features:,}" if features > 1 else "rows of several numbers"
    raise SpecError(
        f"[autoencoder] a code of {code:,} for rows of {many(features, 'number')} (as "
        f"encoded), which it can hold as they are; expected {fewer}; make it narrower, "
        f"or set one of autoencoder.{', '.join(_WIDE)}"
    )


# -- what layers mean -----------------------------------------------------------------


def terms_of(
    spec: Spec, input_shape: tuple[int, ...] | None, record: Preprocessing | None = None
) -> list[Term]:
    """What the network of a spec gives: the reconstruction, and the code's terms.

    Raises:
        SpecError: layers that are no chain with a "code" in it, one that is wide, or a
            decoder that gives another shape than that of the input.
    """
    said = spec.autoencoder
    assert said is not None
    encoder, decoder = halves_of(spec, input_shape, record)
    graph = Graph.of(sequence(encoder))
    (rows,), (code,) = graph.input_shapes, graph.output_shapes
    _check_code(said, math.prod(code), math.prod(rows))
    found = terms(encoder, decoder, said, _loss(spec))
    (end,) = Graph.of(sequence([*encoder, *decoder])).output_shapes
    if end != rows:
        raise SpecError(
            f"[autoencoder] rows of shape {rows} and a decoder that gives {end}; "
            "expected the same; change its last layer"
        )
    return found


def halves_of(
    spec: Spec, input_shape: tuple[int, ...] | None, record: Preprocessing | None = None
) -> Halves:
    """Encoder, an `Input` first, and decoder of a spec.

    Raises:
        SpecError: see `terms_of`.
    """
    layers = chain_of(spec, input_shape, record)
    names = [layer.name for layer in layers]
    if CODE not in names:
        raise SpecError(
            '[autoencoder] none of the layers is named "code"; expected one that '
            'ends the encoder; add name = "code" to it'
        )
    end = names.index(CODE) + 1
    return layers[:end], layers[end:]


def chain_of(
    spec: Spec, input_shape: tuple[int, ...] | None, record: Preprocessing | None = None
) -> list[Layer]:
    """The layers of a spec, or those by default, an `Input` first."""
    layers = [_in_a_row(entry, i) for i, entry in enumerate(spec.layers)]
    if not layers and record is not None and spec.autoencoder is not None:
        layers = default_layers(record, spec.autoencoder)
    if layers and isinstance(layers[0], Input):
        return layers
    if input_shape is None or not layers:
        raise SpecError(
            "[autoencoder] no data to choose the layers or their input by; expected a "
            'source, or [[layer]] with type = "input" first; add one of them'
        )
    return [Input(input_shape), *layers]


def _in_a_row(entry: Entry, place: int) -> Layer:
    if entry.inputs is not None:
        raise SpecError(
            f"[autoencoder] layer[{place}] has inputs; expected a chain, each layer "
            "behind the one before; leave inputs out, or build it in Python "
            "(nv.Autoencoder.of)"
        )
    return replace(entry.layer, name=entry.name or entry.layer.name)


def _loss(spec: Spec) -> Loss:
    loss = spec.training.loss if spec.training else None
    if isinstance(loss, tuple | dict):
        raise SpecError(
            "[training] loss: several beside [autoencoder]; expected that of the "
            "reconstruction; name one"
        )
    return MSE() if loss is None else loss


def _check_code(said: AutoencoderSpec, units: int, features: int) -> None:
    """Raises `SpecError` where the code is another than said, or too wide."""
    if said.code not in (None, units):
        raise SpecError(
            f'[autoencoder] code = {said.code:,}, and a layer "code" of {units:,}; '
            "expected the same; change autoencoder.code or the layer (layer.code.units)"
        )
    _check_narrow(said, units, features)
