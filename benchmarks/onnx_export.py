# SPDX-License-Identifier: BSD-3-Clause
"""ResNet-18 as ONNX: by nervure and by PyTorch's own export, in ONNX Runtime.

``python benchmarks/onnx_export.py --rounds 15``

The weights are PyTorch's in both, and the answers are compared. Times are medians of
alternating calls; nervure's graph takes images channels-last, PyTorch's channels-first,
each as it lies. Nodes are counted as written and as ONNX Runtime has optimized them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import _machine
import _report
import numpy as np
from _convnets import CONVNETS
from _workers import bind
from peers import torch_images_peer

NET = CONVNETS["infer32"]


def by_torch(folder: Path) -> tuple[Path, Path]:
    """PyTorch's export, and its weights."""
    import torch

    torch.manual_seed(0)
    model = torch_images_peer._resnet18(NET).eval()
    weights, file = folder / "resnet18.pth", folder / "torch.onnx"
    torch.save(model.state_dict(), weights)
    whole = torch.nn.Sequential(model, torch.nn.Softmax(1)).eval()
    example = torch.zeros(1, NET.channels, NET.extent, NET.extent)
    axes = {"x": {0: "rows"}}
    torch.onnx.export(
        whole,
        (example,),
        str(file),
        input_names=["x"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    return file, weights


def by_nervure(folder: Path, weights: Path) -> Path:
    """The same network, its weights found by their shapes."""
    import nervure as nv

    net = nv.zoo.resnet18(classes=NET.classes, input_shape=NET.image)
    nv.load_weights(net, weights, match="shapes")
    nv.export(net, folder / "nervure.onnx", preprocessing=False)
    return folder / "nervure.onnx"


def session(file: Path, threads: int) -> Any:
    """A session with all optimizations, which are written beside the file."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.optimized_model_filepath = str(file.with_suffix(".optimized.onnx"))
    settings.log_severity_level = 3
    return ort.InferenceSession(str(file), settings, ["CPUExecutionProvider"])


def nodes(file: Path) -> str:
    """How many nodes of each kind a graph has, the most frequent first."""
    import onnx

    kinds = Counter(node.op_type for node in onnx.load(file).graph.node)
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
    return f"{sum(kinds.values())}: {shown}"


def raced(calls: dict[str, Any], rounds: int) -> dict[str, float]:
    """Median seconds of each call, in alternating order."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name in list(calls)[:: -1 if number % 2 else 1]:
            begin = time.perf_counter()
            calls[name]()
            if number:  # the first is a warm-up
                found[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    bind(given.threads)
    print(_machine.busy(_machine.describe(given.threads)) or "the machine is calm")
    with tempfile.TemporaryDirectory() as name:
        theirs, weights = by_torch(Path(name))
        files = {"nervure": by_nervure(Path(name), weights), "PyTorch": theirs}
        sessions = {who: session(file, given.threads) for who, file in files.items()}
        rows: _report.Table = [["batch", "nervure, ms", "PyTorch, ms", "ratio"]]
        for batch in (1, NET.batch_size):
            images = np.random.default_rng(0).random((batch, *NET.image), np.float32)
            feeds = {"nervure": images}
            feeds["PyTorch"] = np.ascontiguousarray(images.transpose(0, 3, 1, 2))

            def run(who: str, feeds: dict[str, Any] = feeds) -> Any:
                one = sessions[who]
                return one.run(None, {one.get_inputs()[0].name: feeds[who]})[0]

            apart = float(np.abs(run("nervure") - run("PyTorch")).max())
            if apart > 1e-4:
                raise SystemExit(f"the two graphs answer differently, by {apart:g}")
            found = raced({who: lambda w=who: run(w) for who in files}, given.rounds)
            mine, others = found["nervure"], found["PyTorch"]
            times = (f"{1e3 * mine:.1f}", f"{1e3 * others:.1f}")
            rows.append([str(batch), *times, f"{others / mine:.3f}"])
        print(_report.aligned(rows))
        for who, file in files.items():
            optimized = file.with_suffix(".optimized.onnx")
            print(f"{who}: nodes {nodes(file)}; optimized {nodes(optimized)}")


if __name__ == "__main__":
    main()
