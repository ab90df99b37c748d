# SPDX-License-Identifier: BSD-3-Clause
"""Layers of Keras without windows: dense ones, functions, merges, norms, shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nervure.base.words import is_list, is_table, short
from nervure.exchange._held import NotCoveredError
from nervure.exchange._keras_reader import (
    Array,
    Place,
    Value,
    alike,
    class_of,
    reshaped,
)
from nervure.layers import (
    Activation,
    Add,
    BatchNorm,
    Broadcast,
    Clip,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GroupNorm,
    Layer,
    LayerNorm,
    LogSoftmax,
    Maximum,
    Minimum,
    Multiply,
    Normalize,
    Permute,
    PReLU,
    Reshape,
    RMSNorm,
    Shape,
    Softmax,
    SpatialDropout,
    StochasticDepth,
    Subtract,
)

Read = Callable[[Place], "Value | tuple[Value, ...]"]

# -- functions of single elements ------------------------------------------------------

_SAME = (
    "relu tanh softplus softsign elu selu gelu silu hard_sigmoid hard_silu relu6 mish"
)
FUNCTIONS: dict[str, tuple[Layer, ...]] = {
    **{name: (Activation(name),) for name in _SAME.split()},
    "linear": (),
    "softmax": (Softmax(),),
    "log_softmax": (LogSoftmax(),),
    "leaky_relu": (Activation("leaky_relu", 0.2),),
    "exponential": (Activation("exp"),),
    "swish": (Activation("silu"),),
    "sigmoid": (Activation("logistic"),),
    "hard_swish": (Activation("hard_silu"),),
    "hard_tanh": (Clip(-1.0, 1.0),),
    "celu": (Activation("celu", 1.0),),
}
"""Activations by the names that Keras has for them."""

EARLY: dict[str, tuple[Layer, ...]] = {
    "hard_sigmoid": (Normalize(-2.5, 5.0), Clip(0.0, 1.0)),
}
"""What they were in Keras 2, where that was something else."""


def functions(at: Place, key: str = "activation") -> tuple[Layer, ...]:
    """The layers that an activation stands for: none for the identity."""
    found = at.config.get(key)
    if found is None:
        return ()
    name = _function_name(found)
    if at.early and name in EARLY:
        return EARLY[name]
    if name not in FUNCTIONS:
        raise NotCoveredError(f"activation {short(name)}")
    return FUNCTIONS[name]


def _function_name(value: Any) -> str:
    """A name, or a table that names a function or a layer without arguments."""
    if is_table(value):
        config = value.get("config")
        if class_of(value) == "function" and isinstance(config, str):
            return config
        if class_of(value) in _BY_LAYER and set(config or ()) <= {"name", "dtype"}:
            return _BY_LAYER[class_of(value)]
        return class_of(value) or "of no name"
    return str(value)


_BY_LAYER = {"ReLU": "relu", "Softmax": "softmax"}


def activated(at: Place, x: Value, key: str = "activation") -> Value:
    """The value behind the layer's activation."""
    for layer in functions(at, key):
        x = at.put(layer, x)
    return x


def activation(at: Place) -> Value:
    return activated(at, at.x)


def with_bias_and_activation(
    at: Place, kind: type[Any], numbers: dict[str, Array], *options: Any
) -> Value:
    """A layer with these numbers, its bias and its activation.

    The activation is an argument of the layer where it is one; several come behind.
    """
    found = functions(at)
    own = {"activation": found[0]} if len(found) == 1 else {}
    layer = kind(*options, bias=at.flag("use_bias", True), **own)
    y = at.weighted(layer, numbers)
    return activated(at, y) if len(found) > 1 else y


def relu(at: Place) -> Value:
    slope, threshold = at.number("negative_slope", 0.0), at.number("threshold", 0.0)
    most = at.config.get("max_value")
    if threshold or (slope and most is not None):
        raise NotCoveredError(
            f"threshold = {threshold:g} with negative_slope = {slope:g}"
        )
    if slope:
        return at.put(Activation("leaky_relu", slope))
    if most is None:
        return at.put(Activation("relu"))
    if most == 6:
        return at.put(Activation("relu6"))
    return at.put(Clip(0.0, at.number("max_value")))


def leaky_relu(at: Place) -> Value:
    slope = at.number("negative_slope", at.number("alpha", 0.3))
    return at.put(Activation("leaky_relu", slope))


def elu(at: Place) -> Value:
    return at.put(Activation("elu", at.number("alpha", 1.0)))


def softmax(at: Place) -> Value:
    at.last_axis()
    return at.put(Softmax())


def prelu(at: Place) -> Value:
    """Slopes of features; those of each pixel by themselves are no layer."""
    x = at.x
    (found,) = at.stored() or [None]
    extents = found.shape if found else ()
    if math.prod(extents[:-1]) != 1 or not extents or extents[-1] != x.shape[-1]:
        raise NotCoveredError(f"slopes of shape {extents}; give shared_axes")
    (alpha,) = at.arrays(extents)
    return at.weighted(PReLU(), {"alpha": alpha.reshape(-1)})


# -- dense layers ----------------------------------------------------------------------


def dense(at: Place) -> Value:
    at.expect(quantization_config=None)
    units, features = at.count("units"), at.x.shape[-1]
    numbers = kernel_and_bias(at, (features, units), units)
    return with_bias_and_activation(at, Dense, numbers, units)


def kernel_and_bias(at: Place, shape: Shape, units: int) -> dict[str, Array]:
    """A weight of this shape, and a bias if there is one."""
    if not at.flag("use_bias", True):
        return {"weight": at.arrays(shape)[0]}
    weight, bias = at.arrays(shape, (units,))
    return {"weight": weight, "bias": bias}


def time_distributed(at: Place) -> Value:
    """A dense layer acts on the last axis anyway."""
    inner = at.config.get("layer")
    if class_of(inner) != "Dense" or not is_table(inner):
        raise NotCoveredError(f"of {short(class_of(inner))}")
    return dense(at.inner("Dense", inner.get("config") or {}, "layer"))


def embedding(at: Place) -> Value:
    if at.flag("mask_zero", False):
        raise NotCoveredError(
            "mask_zero: rows that are masked; give rows of their own lengths"
        )
    at.expect(quantization_config=None)
    categories, width = at.count("input_dim"), at.count("output_dim")
    (weight,) = at.arrays((categories, width))
    return at.weighted(Embedding(categories, width), {"weight": weight})


# -- dropout ---------------------------------------------------------------------------


def dropout(at: Place) -> Value:
    """A mask that rows have to themselves is that of a whole path."""
    rate = at.number("rate", 0.5)
    noise = at.config.get("noise_shape")
    layer: Any = Dropout
    if noise is not None:
        rest = list(noise)[1:] if is_list(noise) else []
        if not rest or any(n != 1 for n in rest):
            raise NotCoveredError(f"noise_shape = {short(noise)}")
        layer = StochasticDepth
    return at.put(layer(rate)) if rate else at.x


def spatial_dropout(at: Place) -> Value:
    at.expect(data_format="channels_last")
    rate = at.number("rate", 0.5)
    return at.put(SpatialDropout(rate), at.fixed()) if rate else at.x


def gaussian_noise(at: Place) -> Value:
    deviation = at.number("stddev", 1.0)
    return at.put(GaussianNoise(deviation)) if deviation else at.x


def same(at: Place) -> Value:
    return at.x


# -- shapes ----------------------------------------------------------------------------


def flatten(at: Place) -> Value:
    at.expect(data_format="channels_last")
    x = at.fixed()
    return x if len(x.shape) == 1 else at.put(Flatten())


def reshape(at: Place) -> Value:
    x, wanted = at.fixed(), at.get("target_shape", [])
    if not is_list(wanted) or any(type(n) is not int for n in wanted):
        raise NotCoveredError(f"target_shape = {short(wanted)}")
    size, known = math.prod(x.shape), math.prod(n for n in wanted if n != -1)
    shape = tuple(size // known if n == -1 and known > 0 else n for n in wanted)
    if math.prod(shape) != size or min(shape, default=0) < 1:
        raise NotCoveredError(f"{x.shape} to {short(wanted)}")
    return reshaped(at, x, shape)


def permute(at: Place) -> Value:
    x = at.fixed()
    return at.put(Permute(at.whole("dims", len(x.shape))))


def repeat_vector(at: Place) -> Value:
    x, count = at.fixed(), at.count("n")
    (features,) = x.shape
    one = at.put(Reshape((1, features)), x)
    return at.put(Broadcast((count, features)), one)


# -- merges ----------------------------------------------------------------------------


def merge(layer: Layer) -> Callable[[Place], Value]:
    def read(at: Place) -> Value:
        return at.put(layer, *alike(at, at.inputs))

    return read


def subtract(at: Place) -> Value:
    if len(at.inputs) != 2:
        raise NotCoveredError(f"called on {len(at.inputs)} inputs")
    return merge(Subtract())(at)


def average(at: Place) -> Value:
    found = at.put(Add(), *alike(at, at.inputs))
    return at.put(Normalize(0.0, float(len(at.inputs))), found)


def concatenate(at: Place) -> Value:
    axis = at.get("axis", -1)
    rank = at.inputs[0].rank if at.inputs else 0
    if type(axis) is not int or axis == 0 or not -rank <= axis <= rank:
        raise NotCoveredError(f"axis = {short(axis)}")
    if len(at.inputs) == 1:
        return at.x
    if len({x.clock for x in at.inputs}) > 1 or any(x.rank != rank for x in at.inputs):
        raise NotCoveredError("values of other axes")
    place = axis if axis > 0 else axis + rank + 1
    if at.inputs[0].clock and place != rank:
        raise NotCoveredError("sequences of any length, one behind the other")
    last = -1 if place == rank else place
    return at.put(Concatenate(last), *at.inputs)


# -- norms -----------------------------------------------------------------------------


def batch_norm(at: Place) -> Value:
    at.last_axis()
    at.expect(renorm=False)
    numbers = _of_features(at, "running_mean", "running_variance")
    momentum = min(at.number("momentum", 0.99), 1 - 1e-7)
    return at.weighted(BatchNorm(at.number("epsilon", 1e-3), momentum), numbers)


def _of_features(at: Place, *further: str) -> dict[str, Array]:
    """Gamma and beta of each feature, and further numbers behind them.

    What a layer does without does nothing.
    """
    words = [
        *(["gamma"] if at.flag("scale", True) else []),
        *(["beta"] if at.flag("center", True) else []),
        *further,
    ]
    size = at.x.shape[-1]
    ones = {"gamma": np.ones(size), "beta": np.zeros(size)}
    found = at.arrays(*[(size,)] * len(words))
    return ones | dict(zip(words, found, strict=True))


def layer_norm(at: Place) -> Value:
    at.last_axis()
    at.expect(rms_scaling=False)
    return at.weighted(LayerNorm(at.number("epsilon", 1e-3)), _of_features(at))


def rms_norm(at: Place) -> Value:
    at.last_axis()
    (gamma,) = at.arrays((at.x.shape[-1],))
    return at.weighted(RMSNorm(at.number("epsilon", 1e-6)), {"gamma": gamma})


def group_norm(at: Place) -> Value:
    at.last_axis()
    groups = at.get("groups", 32)
    groups = at.x.shape[-1] if groups == -1 else at.count("groups", 32)
    layer = GroupNorm(groups, at.number("epsilon", 1e-3))
    return at.weighted(layer, _of_features(at), at.fixed())


# -- scales ----------------------------------------------------------------------------


def rescaling(at: Place) -> Value:
    """``x scale + offset``."""
    scale, offset = (_numbers(at, key, d) for key, d in (("scale", 1), ("offset", 0)))
    return affine(at, at.x, scale, offset)


def affine(at: Place, x: Value, scale: Array, offset: Array) -> Value:
    """As ``(x - mean) / divisor``."""
    if not np.isfinite(scale).all() or not np.isfinite(offset).all() or not scale.all():
        raise NotCoveredError(f"scale = {short(scale.tolist())}")
    scale, offset = np.broadcast_arrays(scale, offset)
    mean, divisor = -offset / scale, 1 / scale
    return at.put(Normalize(_plain(mean), _plain(divisor)), x)


def _plain(array: Array) -> Any:
    return float(array) if array.ndim == 0 else tuple(array.tolist())


def _numbers(at: Place, key: str, default: float) -> Array:
    """One number, or one for each feature."""
    array = _array(at, key, default)
    if array.ndim > 1 or (array.ndim and array.size != at.x.shape[-1]):
        raise NotCoveredError(f"{key} = {short(at.get(key))}")
    return array


def _array(at: Place, key: str, default: float) -> Array:
    """Whatever numbers the configuration has there."""
    try:
        return np.asarray(at.get(key, default), np.float64)
    except (ValueError, TypeError):
        raise NotCoveredError(f"{key} = {short(at.get(key))}") from None


def normalization(at: Place) -> Value:
    """By stored means and variances, or such as the configuration says."""
    at.expect(invert=False)
    if at.config.get("axis", -1) is not None:
        at.last_axis()
    if at.config.get("mean") is not None:
        mean, variance = _flat(at, "mean"), _flat(at, "variance")
    else:
        found = at.stored()
        extents = found[0].shape if found else (at.x.shape[-1],)
        mean, variance, *_ = at.arrays(*([extents] * 2), *([()] * (len(found) - 2)))
    deviation = np.maximum(np.sqrt(np.asarray(variance, np.float64)), 1e-7)
    scale = 1 / deviation
    return affine(at, at.x, scale, -np.asarray(mean, np.float64) * scale)


def _flat(at: Place, key: str) -> Array:
    array = _array(at, key, 0.0).reshape(-1)
    if array.size not in (1, at.x.shape[-1]):
        raise NotCoveredError(f"{key} of {array.size} numbers")
    return array if array.size > 1 else array.reshape(())


LAYERS: dict[str, Read] = {
    "Activation": activation,
    "ActivityRegularization": same,
    "Add": merge(Add()),
    "Average": average,
    "BatchNormalization": batch_norm,
    "Concatenate": concatenate,
    "Dense": dense,
    "Dropout": dropout,
    "GaussianNoise": gaussian_noise,
    "ELU": elu,
    "Embedding": embedding,
    "Flatten": flatten,
    "GroupNormalization": group_norm,
    "Identity": same,
    "LayerNormalization": layer_norm,
    "LeakyReLU": leaky_relu,
    "Maximum": merge(Maximum()),
    "Minimum": merge(Minimum()),
    "Multiply": merge(Multiply()),
    "Normalization": normalization,
    "PReLU": prelu,
    "Permute": permute,
    "RMSNormalization": rms_norm,
    "ReLU": relu,
    "RepeatVector": repeat_vector,
    "Rescaling": rescaling,
    "Reshape": reshape,
    "Softmax": softmax,
    "SpatialDropout1D": spatial_dropout,
    "SpatialDropout2D": spatial_dropout,
    "SpatialDropout3D": spatial_dropout,
    "Subtract": subtract,
    "TimeDistributed": time_distributed,
}
