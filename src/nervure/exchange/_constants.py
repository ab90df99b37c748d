# SPDX-License-Identifier: BSD-3-Clause
"""What of an ONNX graph does not depend on the rows, worked out while it is read.

Shapes may hold the number of rows; they are moved about, never computed with. Other
constants are computed by ONNX's own reference, of operators that are named here, once
the size of what comes out is known to be bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.exchange._held import ROWS, Held, Known, NotCoveredError
from nervure.exchange._model_file import read_tensor
from nervure.exchange._reader import MOST_NUMBERS, Op
from nervure.exchange.errors import in_one_line

Array = npt.NDArray[Any]

_FOLDED = (
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh BitwiseAnd BitwiseNot BitwiseOr "
    "BitwiseXor Cast CastLike Ceil Clip Concat ConstantOfShape Cos Cosh CumSum "
    "DequantizeLinear Div Equal Erf Exp Expand EyeLike Flatten Floor Gather "
    "GatherElements GatherND Greater GreaterOrEqual Identity IsInf IsNaN Less "
    "LessOrEqual Log MatMul Max Mean Min Mod Mul Neg Not OneHot Or Pad Pow Range "
    "Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare Relu Reshape Round ScatterElements ScatterND Shape "
    "Sigmoid Sign Sin Sinh Size Slice Softmax Split Sqrt Squeeze Sub Sum Tan Tanh "
    "Tile TopK Transpose Trilu Unsqueeze Where Xor"
)
FOLDED = frozenset(_FOLDED.split())
"""Operators that are worked out where their inputs are known."""


def constant(op: Op) -> Known:
    """The operator Constant."""
    for name in ("value_float", "value_int", "value_floats", "value_ints"):
        found = op.attribute(name)
        if found is not None:
            kind = np.float32 if "float" in name else np.int64
            return Known(np.array(found, kind))
    tensor = op.attribute("value")
    if tensor is None:
        raise NotCoveredError("a constant of text, or a sparse one")
    return Known(read_tensor(tensor, op.name))


def shape(op: Op) -> Known:
    """The operator Shape."""
    x = op.value()
    whole = op.shape_of(x) if isinstance(x, Held) else list(x.array.shape)
    found = whole[op.attribute("start", 0) : op.attribute("end")]
    return _shape_of(found)


def _shape_of(extents: Sequence[Any]) -> Known:
    """An array of extents; of objects where the number of rows is among them."""
    if not any(n is ROWS for n in extents):
        return Known(np.array(list(extents), np.int64))
    array = np.empty(len(extents), object)
    array[:] = list(extents)
    return Known(array)


def size(op: Op) -> Known:
    """The operator Size."""
    x = op.value()
    extents = op.shape_of(x) if isinstance(x, Held) else list(x.array.shape)
    if any(n is ROWS for n in extents):
        raise NotCoveredError("the number of elements depends on the rows")
    return Known(np.array(math.prod(extents), np.int64))


def folded(op: Op) -> list[Known] | None:
    """The outputs of an operator whose inputs are all known; None if one is not."""
    given = [x for x in op.inputs if x is not None]
    known = [x for x in given if isinstance(x, Known)]
    if len(known) < len(given) or not given:
        return None
    learned = any(x.learned for x in known) and op.kind in _PASSING
    if any(x.symbolic for x in known):
        if op.kind in ("Expand", "ConstantOfShape"):
            return None  # the same for every row
        if op.kind not in SYMBOLIC:
            raise NotCoveredError("it computes with the number of rows")
        return [Known(_tidy(SYMBOLIC[op.kind](op)))]
    if op.kind not in FOLDED:
        return None
    return [Known(array, learned) for array in _by_reference(op, known)]


_PASSING = {
    "Identity",
    "Reshape",
    "Transpose",
    "Unsqueeze",
    "Squeeze",
    "Cast",
    "Flatten",
}
"""What comes out of them are the weights that went in."""


def _tidy(array: Array) -> Array:
    """Numbers again where the number of rows has gone."""
    if array.dtype != object or any(n is ROWS for n in array.reshape(-1)):
        return array
    return array.astype(np.int64)


def _by_reference(op: Op, known: Sequence[Known]) -> list[Array]:
    """By ONNX's reference implementation, which is NumPy."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = [name for name in op.node.input if name]
    arrays = dict(zip(names, (x.array for x in known), strict=True))
    outputs = [name for name in op.node.output if name]
    _check_size(op, arrays)
    inputs = [_info(name, array) for name, array in arrays.items()]
    ends = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph([op.node], "constants", inputs, ends)
    opset = helper.make_opsetid("", op.reader.opset)
    model = helper.make_model(graph, opset_imports=[opset])
    try:
        evaluator: Any = ReferenceEvaluator(model)
        found = evaluator.run(None, arrays)
    except Exception as error:  # whatever NumPy says of inputs that do not fit
        fact = in_one_line(error, 120)
        raise NotCoveredError(
            f"a constant that cannot be worked out ({fact})"
        ) from None
    return [np.asarray(array) for array in found]


def _info(name: str, array: Array) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
    )


def _check_size(op: Op, arrays: dict[str, Array]) -> None:
    """Raises unless ONNX's shape inference says that what comes out is bounded."""
    from onnx import helper, numpy_helper, shape_inference

    opset = helper.make_opsetid("", op.reader.opset)
    schema = _schema(op)
    types = {name: _info(name, array).type for name, array in arrays.items()}
    data = {
        name: numpy_helper.from_array(array, name)
        for name, array in arrays.items()
        if array.size <= 1024
    }
    try:
        inferred = shape_inference.infer_node_outputs(
            schema, op.node, types, data, opset_imports=[opset]
        )
    except Exception as error:
        fact = in_one_line(error, 120)
        raise NotCoveredError(f"a constant of unknown shape ({fact})") from None
    for name in (name for name in op.node.output if name):
        dims = inferred[name].tensor_type.shape.dim if name in inferred else None
        if dims is None or not all(d.HasField("dim_value") for d in dims):
            raise NotCoveredError("a constant of unknown shape")
        if math.prod(d.dim_value for d in dims) > MOST_NUMBERS:
            raise NotCoveredError("a constant that is too large")


def _schema(op: Op) -> Any:
    """What ONNX says of the operator in the version of the file."""
    from onnx import defs

    try:
        return defs.get_schema(op.kind, op.reader.opset)
    except defs.SchemaError:
        raise NotCoveredError(f"no operator of opset {op.reader.opset}") from None


# -- shapes that hold the number of rows -----------------------------------------------


def _arrays(op: Op) -> list[Array]:
    return [x.array for x in op.inputs if isinstance(x, Known)]


def _gather(op: Op) -> Array:
    x, indices = _arrays(op)
    return np.asarray(x[indices.astype(np.int64)], object)


def _slice(op: Op) -> Array:
    x = op.known(0)
    begin, end = op.constant(1, "starts")[0], op.constant(2, "ends")[0]
    step = op.known(4)[0] if op.given(4) is not None else 1
    return x[begin:end:step]


def _concat(op: Op) -> Array:
    return np.concatenate([x.astype(object) for x in _arrays(op)])


def _same(op: Op) -> Array:
    return op.known(0)


def _unsqueeze(op: Op) -> Array:
    return np.asarray(op.known(0), object).reshape(1)


def _squeeze(op: Op) -> Array:
    return np.asarray(op.known(0), object).reshape(())


SYMBOLIC: dict[str, Any] = {
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Identity": _same,
    "Cast": _same,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
}
"""Operators that move extents about."""
