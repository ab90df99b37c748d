# SPDX-License-Identifier: BSD-3-Clause
"""ONNX Runtime on images: every graph optimization, BatchNorm folded by it."""

from __future__ import annotations

from typing import Any

import numpy as np
from _convnets import RESNET18, Block, ConvNet
from numpy.typing import NDArray

from peers import Variant

VARIANTS = {"all optimizations": Variant()}


def versions() -> dict[str, str]:
    import onnxruntime

    return {"onnxruntime": onnxruntime.__version__}


class Peer:
    """One session; images channels-first, as ONNX wants them."""

    def __init__(
        self,
        net: ConvNet,
        X: NDArray[np.float32],
        y: NDArray[np.int32],
        options: dict[str, Any],
    ) -> None:
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = options["threads"]
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        self._X = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
        self._session = ort.InferenceSession(
            _model(net).SerializeToString(), settings, ["CPUExecutionProvider"]
        )

    def train(self, epochs: int) -> float:
        """Passes over all images; the name is the contract's."""
        feed = {"x": self._X}
        return max(float(self._session.run(None, feed)[0].max()) for _ in range(epochs))


def _model(net: ConvNet) -> Any:
    from onnx import TensorProto, helper

    writer = _Writer(net)
    shape = (net.batch_size, net.channels, net.extent, net.extent)
    graph = helper.make_graph(
        writer.nodes,
        "resnet18",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(writer.last, TensorProto.FLOAT, None)],
        writer.arrays,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


class _Writer:
    """Nodes and arrays of ResNet-18 with random weights."""

    def __init__(self, net: ConvNet) -> None:
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []
        self._random = np.random.default_rng(0)
        x = self._add("Relu", self._normed("x", net.channels, 64, 7, 2))
        x = self._add(
            "MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
        )
        for block in RESNET18:
            x = self._residual(x, block)
        x = self._add("Flatten", self._add("GlobalAveragePool", x))
        weight = self._array((512, net.classes), 0.05)
        x = self._add("Gemm", x, weight, self._array((net.classes,), 0))
        self.last = self._add("Softmax", x)

    def _residual(self, x: str, block: Block) -> str:
        first = self._normed(x, block.inputs, block.filters, 3, block.stride)
        y = self._normed(self._add("Relu", first), block.filters, block.filters, 3, 1)
        if block.projects:
            x = self._normed(x, block.inputs, block.filters, 1, block.stride)
        return self._add("Relu", self._add("Add", y, x))

    def _normed(self, x: str, inputs: int, filters: int, kernel: int, step: int) -> str:
        scale = (2 / (inputs * kernel**2)) ** 0.5
        weight = self._array((filters, inputs, kernel, kernel), scale)
        y = self._add("Conv", x, weight, strides=[step] * 2, pads=[kernel // 2] * 4)
        ones = [self._array((filters,), 0, one) for one in (1.0, 0.0, 0.0, 1.0)]
        return self._add("BatchNormalization", y, *ones, epsilon=1e-5)

    def _add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _array(self, shape: tuple[int, ...], scale: float, mean: float = 0.0) -> str:
        from onnx import numpy_helper

        name = f"w{len(self.arrays)}"
        values = mean + scale * self._random.standard_normal(shape)
        self.arrays.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name
