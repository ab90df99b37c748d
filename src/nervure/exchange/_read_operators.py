# SPDX-License-Identifier: BSD-3-Clause
"""How each ONNX operator is read, listed here once."""

from __future__ import annotations

from nervure.exchange import _constants as constants
from nervure.exchange import _read_maps as maps
from nervure.exchange import _read_numbers as numbers
from nervure.exchange import _read_rows as rows
from nervure.exchange import _read_sequences as sequences
from nervure.exchange import _read_shapes as shapes
from nervure.exchange._read_numbers import Read, function, pair, reduction, several
from nervure.layers import (
    Add,
    Compare,
    LogSoftmax,
    Maximum,
    Minimum,
    Multiply,
    Power,
    Softmax,
    Subtract,
)

_KEEPING: dict[str, Read] = {
    # constants and shapes
    "Constant": constants.constant,
    "Shape": constants.shape,
    "Size": constants.size,
    "Identity": numbers.same,
    "Cast": numbers.cast,
    "CastLike": numbers.cast_like,
    "Dropout": numbers.dropout,
    # functions of single elements
    "Abs": function("abs"),
    "Acos": function("arccos"),
    "Acosh": function("arccosh"),
    "Asin": function("arcsin"),
    "Asinh": function("arcsinh"),
    "Atan": function("arctan"),
    "Atanh": function("arctanh"),
    "Ceil": function("ceil"),
    "Celu": function("celu", 1.0),
    "Clip": numbers.clip,
    "Cos": function("cos"),
    "Cosh": function("cosh"),
    "Elu": function("elu", 1.0),
    "Erf": function("erf"),
    "Exp": function("exp"),
    "Floor": function("floor"),
    "Gelu": numbers.gelu,
    "HardSigmoid": numbers.hard_sigmoid,
    "HardSwish": function("hard_silu"),
    "IsNaN": numbers.unlike_itself,
    "LeakyRelu": numbers.leaky,
    "Log": function("log"),
    "Mish": function("mish"),
    "Neg": function("negative"),
    "Not": numbers.negated,
    "PRelu": numbers.prelu,
    "Reciprocal": function("reciprocal"),
    "Relu": function("relu"),
    "Round": function("round"),
    "Selu": numbers.selu,
    "Shrink": numbers.shrink,
    "Sigmoid": function("logistic"),
    "Sign": function("sign"),
    "Sin": function("sin"),
    "Sinh": function("sinh"),
    "Softplus": function("softplus"),
    "Softsign": function("softsign"),
    "Sqrt": function("sqrt"),
    "Swish": numbers.swish,
    "Tan": function("tan"),
    "Tanh": function("tanh"),
    "ThresholdedRelu": function("thresholded_relu", 1.0),
    # pairs and more
    "Add": pair(Add(), numbers.add_number),
    "And": pair(Multiply()),
    "Div": numbers.divide,
    "Equal": pair(Compare("equal")),
    "Greater": pair(Compare("greater")),
    "GreaterOrEqual": pair(Compare("greater_equal")),
    "Less": pair(Compare("less")),
    "LessOrEqual": pair(Compare("less_equal")),
    "Max": several(Maximum()),
    "Mean": numbers.mean,
    "Min": several(Minimum()),
    "Mul": pair(Multiply(), numbers.multiply_number),
    "Or": pair(Maximum()),
    "Pow": pair(Power(), numbers.power_number),
    "Sub": pair(Subtract(), numbers.subtract_number),
    "Sum": several(Add()),
    "Where": numbers.where,
    "Xor": pair(Compare("not_equal")),
    # rows of probabilities, reductions, products
    "LogSoftmax": numbers.softmax(LogSoftmax()),
    "Softmax": numbers.softmax(Softmax()),
    "LpNormalization": numbers.lp_normalization,
    "ReduceL1": reduction("sum", "abs"),
    "ReduceL2": reduction("sum", "square", "sqrt"),
    "ReduceLogSum": reduction("sum", "", "log"),
    "ReduceLogSumExp": numbers.log_sum_exp,
    "ReduceMax": reduction("max"),
    "ReduceMean": reduction("mean"),
    "ReduceMin": reduction("min"),
    "ReduceProd": reduction("product"),
    "ReduceSum": reduction("sum"),
    "ReduceSumSquare": reduction("sum", "square"),
    "Gemm": numbers.gemm,
    "MatMul": numbers.matmul,
    # maps
    "AveragePool": maps.average_pool,
    "BatchNormalization": maps.batch_norm,
    "Conv": maps.convolution,
    "ConvTranspose": maps.transposed_convolution,
    "GlobalAveragePool": maps.global_pool(maps.GLOBAL_AVERAGE),
    "GlobalLpPool": maps.global_lp_pool,
    "GlobalMaxPool": maps.global_pool(maps.GLOBAL_MAX),
    "GroupNormalization": maps.group_norm,
    "InstanceNormalization": maps.instance_norm,
    "LRN": maps.local_response_norm,
    "LayerNormalization": maps.layer_norm,
    "LpPool": maps.lp_pool,
    "MaxPool": maps.max_pool,
    "MeanVarianceNormalization": maps.mean_variance,
    "RMSNormalization": maps.rms_norm,
    "Resize": maps.resize,
    "Upsample": maps.resize,
    # places
    "Concat": shapes.concatenate,
    "DepthToSpace": shapes.depth_to_space,
    "Flatten": shapes.flatten,
    "Pad": shapes.pad,
    "Slice": shapes.cut,
    "SpaceToDepth": shapes.space_to_depth,
    "Split": shapes.split,
    "Tile": shapes.tile,
    "Trilu": shapes.triangle,
}

_MOVING: dict[str, Read] = {
    "ConstantOfShape": rows.constant_of_shape,
    "Expand": rows.expand,
    "GRU": sequences.recurrent,
    "Gather": rows.gather,
    "LSTM": sequences.recurrent,
    "RNN": sequences.recurrent,
    "Reshape": rows.reshape,
    "Squeeze": rows.squeeze,
    "Transpose": rows.transpose,
    "Unsqueeze": rows.unsqueeze,
}
"""Operators that say themselves which axis of theirs counts the rows."""

OPERATORS: dict[str, Read] = {
    **{kind: rows.keeping(read) for kind, read in _KEEPING.items()},
    **_MOVING,
}

_TRUTHS = "And Equal Greater GreaterOrEqual IsNaN Less LessOrEqual Not Or Xor"
TRUTHS = frozenset(_TRUTHS.split())
"""Operators that give 0 or 1."""

_FREE = (
    "Abs Add Cast Ceil Celu Clip Concat Cos Div Dropout Elu Erf Exp Floor Gelu "
    "HardSigmoid HardSwish Identity LeakyRelu Log Max Mean Min Mish Mul Neg Pad "
    "PRelu Reciprocal Relu Selu Sigmoid Sign Sin Softplus Softsign Sqrt Sub Sum "
    "Swish Tanh ThresholdedRelu"
)
FREE = frozenset(_FREE.split())
"""Operators that take maps as they lie."""

_MAPS = (
    "AveragePool BatchNormalization Conv ConvTranspose DepthToSpace "
    "GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization "
    "InstanceNormalization LRN LpPool MaxPool Resize SpaceToDepth Upsample"
)
MAPS = frozenset(_MAPS.split())
"""Operators of which nervure's have channels last."""
