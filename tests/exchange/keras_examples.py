# SPDX-License-Identifier: BSD-3-Clause
"""Small Keras models, by name: with real Keras, ``python tests/exchange/keras_examples.py``
writes some of them into tests/exchange/files, with what they answer.

Keras itself is imported by whoever calls a function of this file.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FILES = Path(__file__).parent / "files"

Model = Any


def sequential(*layers: Any) -> Model:
    import keras

    return keras.Sequential(list(layers))


def _dense(keras: Any) -> Model:
    la = keras.layers
    return sequential(
        keras.Input((5,)),
        la.Dense(8, activation="relu"),
        la.Dropout(0.3),
        la.Dense(6, activation="elu", use_bias=False),
        la.LeakyReLU(),
        la.Dense(3, activation="softmax"),
    )


def _convolution(keras: Any) -> Model:
    la = keras.layers
    return sequential(
        keras.Input((9, 8, 3)),
        la.Rescaling(1 / 255, offset=-0.5),
        la.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
        la.BatchNormalization(),
        la.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        la.ReLU(6.0),
        la.MaxPooling2D(2, padding="same"),
        la.SeparableConv2D(5, 2, activation="swish"),
        la.ZeroPadding2D(((1, 0), (0, 2))),
        la.Conv2DTranspose(4, 3, strides=2, padding="same"),
        la.AveragePooling2D(3, strides=2, padding="same"),
        la.SpatialDropout2D(0.2),
        la.Flatten(),
        la.Dense(4, activation="log_softmax"),
    )


def _residual(keras: Any) -> Model:
    la = keras.layers
    x = keras.Input((8, 8, 3), name="image")
    h = la.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(x)
    h = la.Activation("relu")(la.BatchNormalization(name="norm")(h))
    gate = la.GlobalAveragePooling2D(keepdims=True)(h)
    gate = la.Conv2D(8, 1, activation="sigmoid")(gate)
    more = la.Conv2D(8, 3, padding="same", groups=2)(la.Multiply()([h, gate]))
    h = la.Add()([h, more * 2.0])
    h = la.GroupNormalization(4)(la.UpSampling2D(2, interpolation="bilinear")(h))
    h = la.Concatenate()([h, la.LayerNormalization()(h)])
    h = la.GlobalMaxPooling2D()(la.Cropping2D(1)(h))
    return keras.Model(x, [la.Dense(3, name="kind")(h), la.Dense(1, name="size")(h)])


def _lstm(keras: Any) -> Model:
    la = keras.layers
    return sequential(
        keras.Input((6, 3)),
        la.LSTM(5, return_sequences=True, dropout=0.1),
        la.SimpleRNN(4, return_sequences=True, go_backwards=True),
        la.LSTM(3, go_backwards=True),
        la.Dense(2),
    )


def _gru(keras: Any) -> Model:
    la = keras.layers
    return sequential(
        keras.Input((6, 3)),
        la.GRU(5, return_sequences=True),
        la.GRU(4, reset_after=False, return_sequences=True),
        la.TimeDistributed(la.Dense(3, activation="tanh")),
        la.GRU(4, use_bias=False),
        la.Dense(2),
    )


def _both(keras: Any) -> Model:
    la = keras.layers
    return sequential(
        keras.Input((6,)),
        la.Embedding(9, 4),
        la.Bidirectional(la.LSTM(3, return_sequences=True)),
        la.Bidirectional(la.GRU(4, return_sequences=True), merge_mode="ave"),
        la.Bidirectional(la.SimpleRNN(2), merge_mode="sum"),
        la.Dense(2),
    )


def _attention(keras: Any) -> Model:
    la = keras.layers
    x, other = keras.Input((5, 8)), keras.Input((4, 6))
    h = la.LayerNormalization()(x)
    h = x + la.MultiHeadAttention(2, 3)(h, h, use_causal_mask=True)
    h = la.Add()([h, la.MultiHeadAttention(2, 4, use_bias=False)(h, other)])
    steps, state, cell = la.LSTM(3, return_state=True, return_sequences=True)(h)
    last = la.LSTM(3)(other, initial_state=[state, cell])
    return keras.Model([x, other], [steps, last])


def _shared(keras: Any) -> Model:
    la = keras.layers
    inner = keras.Sequential(
        [keras.Input((4,)), la.Dense(4, name="first"), la.BatchNormalization()],
        name="inner",
    )
    x, y = keras.Input((4,)), keras.Input((4,))
    norm = la.Normalization(mean=[1.0, 2.0, 0.5, 0.0], variance=[1.0, 4.0, 0.25, 2.0])
    a, b = inner(norm(x)), inner(y)
    distance = la.Subtract()([a, b])
    found = la.PReLU()(la.Average()([distance, la.Maximum()([a, b])]))
    return keras.Model([x, y], 1.0 - found / 4.0)


def _sequence_convolution(keras: Any) -> Model:
    la = keras.layers
    return sequential(
        keras.Input((12, 3)),
        la.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="gelu"),
        la.MaxPooling1D(2),
        la.Permute((2, 1)),
        la.Conv1D(4, 2, activation="selu"),
        la.Reshape((2, -1)),
        la.Conv1DTranspose(3, 3, strides=2),
        la.GlobalAveragePooling1D(),
        la.RepeatVector(3),
        la.UpSampling1D(2),
        la.Activation("hard_sigmoid"),
    )


MODELS: dict[str, Callable[[Any], Model]] = {
    "dense": _dense,
    "convolution": _convolution,
    "residual": _residual,
    "lstm": _lstm,
    "gru": _gru,
    "both": _both,
    "attention": _attention,
    "shared": _shared,
    "sequence_convolution": _sequence_convolution,
}

LAYERS: dict[str, Callable[[Any], Model]] = {
    "conv3d": lambda keras: sequential(
        keras.Input((4, 5, 3, 2)),
        keras.layers.Conv3D(3, 2),
        keras.layers.AveragePooling3D(2, padding="same"),
        keras.layers.ZeroPadding3D(1),
        keras.layers.GlobalMaxPooling3D(),
    ),
    "valid_transposed": lambda keras: sequential(
        keras.Input((4, 5, 2)),
        keras.layers.Conv2DTranspose(3, 3, strides=2),
        keras.layers.Conv2DTranspose(2, (2, 3), strides=(1, 3), padding="same"),
    ),
    "axes": lambda keras: sequential(
        keras.Input((4, 3, 2)),
        keras.layers.Dense(5, activation="mish"),
        keras.layers.BatchNormalization(scale=False, axis=3),
        keras.layers.PReLU(shared_axes=[1, 2]),
        keras.layers.Softmax(),
        keras.layers.RMSNormalization(),
        keras.layers.Identity(),
    ),
    "numbers": lambda keras: sequential(
        keras.Input((3,)),
        keras.layers.Normalization(),
        keras.layers.Rescaling([1.0, 2.0, 3.0], offset=[0.0, 1.0, 2.0]),
        keras.layers.ReLU(max_value=2.0),
        keras.layers.ELU(0.5),
        keras.layers.Dense(4, activation="hard_silu"),
        keras.layers.Dense(4, activation="leaky_relu"),
        keras.layers.Dense(4, activation="softplus"),
        keras.layers.Dense(4, activation="exponential"),
    ),
    "first_axis": lambda keras: keras.Model(
        x := keras.Input((4, 3)),
        keras.layers.Concatenate(axis=1)([x, keras.layers.Dense(3)(x)]),
    ),
}
"""Models of layers that the others do not have."""


def filled(model: Model, seed: int = 0) -> Model:
    """The model with numbers in all of its variables, none of them what it begins at."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if "int" in str(variable.dtype):
            continue
        values = rng.normal(size=variable.shape) * 0.4
        positive = "variance" in variable.path
        variable.assign(np.abs(values) + 0.5 if positive else values)
    for layer in model.layers:  # a Normalization keeps numbers made of its variables
        getattr(layer, "finalize_state", lambda: None)()
    return model


def rows_of(model: Model, rows: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    found: list[np.ndarray] = []
    codes = any(type(layer).__name__ == "Embedding" for layer in model.layers)
    for tensor in model.inputs:
        shape = (rows, *(n or 5 for n in tensor.shape[1:]))
        whole = rng.integers(0, 9, shape).astype(np.float32)
        found.append(whole if codes else rng.normal(size=shape).astype(np.float32))
    return found


def answers_of(model: Model, rows: list[np.ndarray]) -> list[np.ndarray]:
    import keras

    found = model(rows if len(rows) > 1 else rows[0], training=False)
    several = found if isinstance(found, list | tuple) else [found]
    return [keras.ops.convert_to_numpy(answer) for answer in several]


WRITTEN = [
    *[f"{name}.keras" for name in MODELS],
    *[f"{name}.h5" for name in ("dense", "both", "shared")],
]
"""Files that are kept beside the tests; those of archives are packed, to be small."""


def packed(path: Path) -> None:
    """The same archive, its files deflated."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def main() -> None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    FILES.mkdir(exist_ok=True)
    for file in WRITTEN:
        name = file.partition(".")[0]
        keras.utils.clear_session()
        model = filled(MODELS[name](keras))
        rows = rows_of(model)
        arrays = {f"x{i}": x for i, x in enumerate(rows)}
        arrays |= {f"y{i}": y for i, y in enumerate(answers_of(model, rows))}
        model.save(FILES / file)
        if file.endswith(".keras"):
            packed(FILES / file)
        np.savez_compressed(FILES / f"{name}.npz", **arrays)


if __name__ == "__main__":
    sys.exit(main())
