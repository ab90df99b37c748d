# SPDX-License-Identifier: BSD-3-Clause
"""ONNX's own tests of its operators, run by networks that `nervure.import_onnx` makes.

``python tests/onnx_backend.py`` prints how many pass, and of those left out how many for
which reason.

A case is a graph, arrays and what comes out. The arrays are rows of data, or each one
sample as a whole; where only the first is data (a convolution's weights are a network's
parameters) the others become initializers.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

import nervure as nv
from nervure.exchange.errors import ExchangeError

Array = Any
RTOL, ATOL = 1e-3, 1e-6
RECURRENT = {"GRU", "LSTM", "RNN"}
"""Operators that have time before the rows, unless they say otherwise."""


@dataclass(frozen=True)
class Way:
    """How a case may be understood: whether the first axis counts rows, or the second;
    and whether the first array alone is data."""

    rows: bool
    first_alone: bool
    time_first: bool = False


WAYS = [Way(True, False), Way(False, False), Way(True, True), Way(False, True)]
LATER = [Way(True, True, time_first=True)]

OPERATORS = {
    "Attention CausalConvWithState FlexAttention LinearAttention RotaryEmbedding "
    "TensorScatter": "attention and its caches as one operator: no such layer",
    "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss": "a loss: nervure.fit has it",
    "Adagrad Adam Momentum": "an optimizer's step: nervure.fit takes it",
    "ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv "
    "QLinearMatMul QuantizeLinear": "quantized numbers",
    "BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Mod": (
        "bits and remainders of whole numbers"
    ),
    "ArgMax ArgMin Hardmax OneHot TopK": "places of the largest: no derivative",
    "ArrayFeatureExtractor Compress GatherElements GatherND NonMaxSuppression NonZero "
    "Scatter ScatterElements ScatterND Unique MaxUnpool": (
        "elements at places that are found while it runs"
    ),
    "If Loop Scan": "control flow",
    "OptionalGetElement OptionalHasElement SequenceInsert SequenceMap "
    "SplitToSequence ReverseSequence": "sequences of arrays, and what may be missing",
    "ImageDecoder LabelEncoder RegexFullMatch StringConcat StringNormalizer "
    "StringSplit TfIdfVectorizer TreeEnsemble Binarizer": "text, trees, encoded images",
    "Bernoulli RandomUniformLike": "drawn at random",
    "BlackmanWindow ConstantOfShape EyeLike HammingWindow HannWindow MelWeightMatrix "
    "Range": "constants that are made of numbers which arrive while it runs",
    "AffineGrid CenterCropPad Col2Im DFT DeformConv GridSample RoiAlign STFT": (
        "transformations of images and signals: no such layer"
    ),
    "CumProd CumSum Det Einsum IsInf SwiGLU": "arithmetic that no layer does",
}
"""Operators that are left out, and why."""

REASONS = {name: why for names, why in OPERATORS.items() for name in names.split()}

CASES = {
    r"_(B?FLOAT16|FLOAT8\w+|FLOAT4\w+|U?INT[24])_to_|_to_(B?FLOAT16|FLOAT[48]|U?INT[24])"
    r"|b?float16|_fp16_": "numbers of fewer bits than 32",
    r"test_equal_string": "text",
    r"test_identity_(sequence|opt)": "sequences of arrays, and what may be missing",
    r"reduce_.*(empty_set|default_axes_keepdims|sum_default)|zero_size|zero$|"
    r"reshape_allowzero_reordered|slice_start_out|greater_than_end|(?<!r)_zero_": (
        "arrays without elements"
    ),
    r"test_rotary_embedding": "arrays without elements",
    r"test_causal_conv": "a constant that has rows",
    r"pool.*_dilations": "pooling with holes",
    r"test_lppool": "the root of a sum of other powers than squares",
    r"batchnorm.*_training_mode|training_dropout": "statistics and chance in prediction",
    r"test_dropout_default_mask|with_argmax|test_layer_normalization": (
        "further outputs are read: masks, places, statistics"
    ),
    r"convtranspose_output_shape$": "a map larger than its windows reach",
    r"test_isnan$|_(FLOAT_to_DOUBLE|DOUBLE_to_FLOAT)": "NaN among the inputs",
    r"test_constant$": "a model without inputs",
    r"test_mvn": "statistics of all rows together",
    r"resize.*(cubic|not_larger|not_smaller|tf_crop)": (
        "cubic resizing, a kept aspect ratio, a crop"
    ),
    r"resize.*linear": "linear resizing by factors that are not whole",
}
"""Cases of operators that there are, left out by their names, and why."""


@dataclass(frozen=True)
class Outcome:
    """How a case went: ``reason`` is empty where it passed."""

    name: str
    operators: frozenset[str]
    passed: bool
    reason: str = ""

    @property
    def entry(self) -> str | None:
        """The entry of the tables that says why it is left out."""
        names = [name for name in REASONS if name in self.operators]
        found = names or [text for text in CASES if re.search(text, self.name)]
        return found[0] if found else None


class DiffersError(AssertionError):
    """A network was made, and its answer is another one."""


def outcomes() -> Iterator[Outcome]:
    """Every case of ONNX's, run."""
    from onnx.backend.test import loader

    with warnings.catch_warnings():  # NumPy's, of how the cases are made
        warnings.simplefilter("ignore")
        cases = loader.load_model_tests(kind="node")
    for case in cases:
        operators = frozenset(node.op_type for node in case.model.graph.node)
        reason = run(case)
        yield Outcome(case.name, operators, not reason, reason)


def run(case: Any) -> str:
    """An empty word if the case passes, else why no network was made of it.

    Raises:
        DiffersError: the answer of the network is another one.
    """
    reasons: list[str] = []
    for way in ways(case.model):
        try:
            for given, wanted in case.data_sets:
                compare(case, given, wanted, way)
        except (ExchangeError, ValueError) as error:
            reasons.append(str(error).splitlines()[0])
        else:
            return ""
    return " | ".join(dict.fromkeys(reasons))


def ways(model: Any) -> list[Way]:
    """How a case may be understood: a network gives rows first, whatever the file."""
    (first, *_) = model.graph.node
    rows_first = any(a.name == "layout" and a.i for a in first.attribute)
    return LATER if first.op_type in RECURRENT and not rows_first else WAYS


def compare(case: Any, given: Any, wanted: Any, way: Way) -> None:
    model, data = bound(case.model, given, way.first_alone)
    answers = answered(model, data, way)
    for answer, array in zip(answers, arrays_of(wanted), strict=True):
        if way.time_first:  # rows stand before the units
            answer = np.moveaxis(answer, 0, -2)
        if not way.rows or array.ndim < 2:  # a network's sample has at least one axis
            answer = answer.reshape(array.shape)
        try:
            np.testing.assert_allclose(
                answer.astype(array.dtype),
                array,
                rtol=max(case.rtol, RTOL),
                atol=max(case.atol, ATOL),
            )
        except AssertionError as error:
            raise DiffersError(f"{case.name}: {error}") from error


def bound(
    model: Any, given: Any, first_alone: bool
) -> tuple[ModelProto, Mapping[str, Array]]:
    """The model with arrays that are no data as initializers, and the data."""
    model = ModelProto.FromString(model.SerializeToString())
    inputs = list(model.graph.input)
    data = dict(zip((x.name for x in inputs), arrays_of(given), strict=True))
    names = list(data)[1:] if first_alone else []
    kept = [x for x in inputs if x.name not in names]
    weights = [numpy_helper.from_array(data.pop(name), name) for name in names]
    model.graph.initializer.extend(weights)
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return model, data


def arrays_of(values: Any) -> list[Array]:
    if any(isinstance(x, list | dict) or x is None for x in values):
        raise ValueError("sequences, or what may be missing")
    return [
        numpy_helper.to_array(x) if isinstance(x, TensorProto) else np.asarray(x)
        for x in values
    ]


def answered(model: Any, data: Mapping[str, Array], way: Way) -> list[Array]:
    rows, axis = way.rows, int(way.time_first)
    if any(x.size == 0 or (rows and x.ndim == 0) for x in data.values()):
        raise ValueError("arrays without elements, or without rows")
    whole = any(x.dtype.kind in "iu" for x in data.values())
    net = nv.import_onnx(
        model,
        shapes={
            name: x.shape[:axis] + x.shape[axis + 1 :] if rows else x.shape
            for name, x in data.items()
        },
        rows=rows,
        time_first=way.time_first,
        channels_last=False,
        dtype="float64" if whole else None,
    )
    given = [np.moveaxis(x, axis, 0) if rows else x[None] for x in data.values()]
    found = net.forward(given if len(given) > 1 else given[0])
    return found if isinstance(found, list) else [found]


def told(found: list[Outcome]) -> str:
    """How many pass, and how many are left out for which reason."""
    every = REASONS | CASES
    out = [x for x in found if not x.passed]
    why = Counter(every[x.entry] if x.entry else f"? {x.name} {x.reason}" for x in out)
    lines = [f"{len(found) - len(out)} of {len(found)} cases pass; left out:"]
    return "\n".join(lines + [f"{n:5}  {reason}" for reason, n in why.most_common()])


def main() -> None:
    found = list(outcomes())
    print(told(found))


if __name__ == "__main__":
    main()
