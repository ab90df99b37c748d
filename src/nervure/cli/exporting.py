# SPDX-License-Identifier: BSD-3-Clause
"""``nervure export``: a saved network as an ONNX file, or a plan file of libnervure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nervure as nv
from nervure.exchange._plan_file import described as plan_described
from nervure.serving.answers import answering, model_file

MOST_RECORD = 64 << 20
"""Bytes of a run's record that are looked through."""


@dataclass(frozen=True)
class Wish:
    """How the file is to be; see `nervure.export`."""

    preprocessing: bool = True
    opset: int = 18
    dtype: str | None = None
    resize: bool = False


def export(model: Path, out: Path | None, wish: Wish) -> str:
    """Write the network of a model file or run folder; what was written, in words."""
    folder = model if model.is_dir() else None
    network = answering(nv.load(model_file(model)))
    target = out or Path(f"{model.name.removesuffix('.safetensors')}.onnx")
    nv.export(
        network,
        target,
        preprocessing=wish.preprocessing,
        opset=wish.opset,
        dtype=wish.dtype,
        resize=wish.resize,
        metadata={} if folder is None else _of_run(folder),
    )
    lines = [described(target)]
    if target.suffix == ".nervure" and network.preprocessing is not None:
        lines.append("inputs are the network's own: preprocessing is not in the file")
    lines.append(f"written to {target} ({target.stat().st_size:,} bytes)")
    return "\n".join(lines)


def described(path: Path) -> str:
    """Inputs and outputs of an exported file, one line each."""
    if path.suffix == ".nervure":
        return plan_described(path.read_bytes())
    from onnx import ModelProto

    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    graph = model.graph
    sides = (("input", graph.input), ("output", graph.output))
    return "\n".join(_line(word, value) for word, side in sides for value in side)


def _line(word: str, value: Any) -> str:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    kind = TensorProto.DataType.Name(tensor.elem_type).lower()
    shape = ", ".join(d.dim_param or str(d.dim_value) for d in tensor.shape.dim)
    return f"{word:6}  {value.name}: {kind} ({shape})"


def _of_run(folder: Path) -> dict[str, str]:
    """What a run folder says of the training: its spec, and how it ended."""
    found: dict[str, str] = {}
    spec, record = folder / "spec.toml", folder / "record.jsonl"
    if spec.exists():
        found["nervure.spec"] = spec.read_text(encoding="utf-8")
    if record.exists() and record.stat().st_size <= MOST_RECORD:
        found["nervure.training"] = json.dumps(_summary(record))
    return found


def _summary(record: Path) -> dict[str, Any]:
    """The last epoch and the end of the last run, without clocks."""
    found: dict[str, Any] = {}
    with open(record, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            kind = event.pop("event", None)
            if kind in ("epoch", "end"):
                found |= event
    return {key: value for key, value in found.items() if key not in _CLOCKS}


_CLOCKS = ("seconds", "time")
