# SPDX-License-Identifier: BSD-3-Clause
"""Latency and throughput of a served net, and of the same net in ONNX Runtime.

``python benchmarks/serving.py --json serving.json``; ``--small`` for a look.

Both stand behind the same server, in processes of their own: what differs is who
computes the outputs of encoded rows. Rounds alternate; of each net and number of
clients the medians of the rounds are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _machine
import _report
import numpy as np

import nervure as nv

PEERS = ("nervure", "ONNX Runtime")
CLIENTS = 16
HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Size:
    """How long it takes: rounds, single requests and concurrent ones in each."""

    rounds: int
    single: int
    concurrent: int


FULL, SMALL = Size(9, 300, 1000), Size(3, 60, 160)


# -- nets ------------------------------------------------------------------------------


def nets() -> dict[str, tuple[nv.Network, nv.data.Dataset]]:
    """A small and a wide net of digits, and a convolutional one of 28 x 28 pixels."""
    digits, softmax = nv.data.load("digits"), nv.Dense(10, activation="softmax")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 28, 28, 1), np.uint8)
    images = nv.data.load((pixels, np.arange(64) % 10))

    def conv(maps: int) -> nv.Conv2D:
        return nv.Conv2D(maps, 5, activation="relu")

    def wide() -> nv.Dense:
        return nv.Dense(1024, activation="relu")

    small = [nv.Input((8, 8, 1)), nv.Flatten(), nv.Dense(64, activation="relu")]
    large = [nv.Input((8, 8, 1)), nv.Flatten(), wide(), wide()]
    maps = [nv.Input((28, 28, 1)), conv(32), nv.MaxPool2D(2), conv(64), nv.MaxPool2D(2)]
    maps += [nv.Flatten(), nv.Dense(128, activation="relu")]
    return {
        "64-64-10": (nv.Network([*small, softmax]), digits),
        "64-1024-1024-10": (nv.Network([*large, softmax]), digits),
        "LeNet, 28x28": (nv.Network([*maps, softmax]), images),
    }


def save(net: nv.Network, data: nv.data.Dataset, path: Path) -> None:
    """A net as a model file and, beside it, as an ONNX file."""
    net.preprocessing = data.preprocessing
    net.save(path)
    nv.export(net, path.with_suffix(".onnx"), preprocessing=False)


def bodies(data: nv.data.Dataset) -> list[bytes]:
    """Requests of one row each."""
    scale = data.preprocessing.scale
    rows = np.asarray(data.inputs[:64], np.float64)
    if data.inputs.dtype != np.uint8:
        rows = rows / scale
    flat = rows.reshape(len(rows), -1).round(3)
    return [json.dumps([row]).encode() for row in flat.tolist()]


# -- servers ---------------------------------------------------------------------------


def serve(model: str, peer: str) -> None:
    """The process of a server: prints its port."""
    from nervure.serving import server
    from nervure.serving.app import make_app
    from nervure.serving.model import open_served
    from nervure.serving.service import Service

    served = open_served(Path(model))
    call = served.outputs if peer == "nervure" else onnx_call(model, served)
    app = make_app(Service(served, call=call))
    with server.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server.run(app, listening, 30.0, lambda: print(port, flush=True))


def onnx_call(model: str, served: Any) -> Any:
    """ONNX Runtime in the place of the network, on as many threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["NERVURE_THREADS"])
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    path = str(Path(model).with_suffix(".onnx"))
    session = onnxruntime.InferenceSession(path, options)
    name, scale = session.get_inputs()[0].name, served.record.scale

    def call(inputs: np.ndarray) -> list[np.ndarray]:
        if inputs.dtype == np.uint8:
            inputs = inputs * np.float32(scale)
        return session.run(None, {name: inputs})

    return call


class Server:
    """A server in a process of its own."""

    def __init__(self, model: Path, peer: str, threads: int) -> None:
        words = [sys.executable, __file__, "--serve", str(model), "--peer", peer]
        self._process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NERVURE_THREADS": str(threads)},
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


# -- clients ---------------------------------------------------------------------------


def ask(port: int, some: list[bytes], times: list[float], answers: list[Any]) -> None:
    """Requests one after the other on one connection, with the seconds of each."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()  # and send the body at once, not after the head's receipt
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for body in some:
        begun = time.perf_counter()
        connection.request("POST", "/predict?probabilities", body, HEADERS)
        response = connection.getresponse()
        text = response.read()
        times.append(time.perf_counter() - begun)
        if response.status != 200:
            raise RuntimeError(text)
        answers.append(text)
    connection.close()


def client(port: int, some: list[bytes], pipe: Any) -> None:
    """Some of the concurrent clients, in a process beside the server."""
    share = CLIENTS // 2
    parts: list[list[float]] = [[] for _ in range(share)]
    threads = [
        threading.Thread(target=ask, args=(port, some[i::share], parts[i], []))
        for i in range(share)
    ]
    pipe.recv()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.send(list(itertools.chain.from_iterable(parts)))


def at_once(port: int, some: list[bytes]) -> dict[str, float]:
    """Requests per second, and latency, of many clients together."""
    pairs = [multiprocessing.Pipe() for _ in range(2)]
    processes = [
        multiprocessing.Process(target=client, args=(port, some[i::2], pairs[i][1]))
        for i in range(2)
    ]
    for process in processes:
        process.start()
    begun = time.perf_counter()
    for mine, _ in pairs:
        mine.send("go")
    times = [one for mine, _ in pairs for one in mine.recv()]
    seconds = time.perf_counter() - begun
    for process in processes:
        process.join()
    return {"per second": len(times) / seconds, "p99": float(np.quantile(times, 0.99))}


def one_round(server: Server, some: list[bytes], size: Size) -> dict[str, float]:
    """What a server shows in a round."""
    times: list[float] = []
    ask(server.port, _repeated(some, size.single), times, [])
    together = at_once(server.port, _repeated(some, size.concurrent))
    p50, p99 = np.quantile(times, [0.5, 0.99])
    return {
        "single p50": float(p50),
        "single p99": float(p99),
        "concurrent p99": together["p99"],
        "per second": together["per second"],
    }


def _repeated(some: list[bytes], count: int) -> list[bytes]:
    return (some * (count // len(some) + 1))[:count]


def measured(
    model: Path, some: list[bytes], size: Size, threads: int
) -> dict[str, Any]:
    """Medians of both over alternating rounds, and how far their answers differ."""
    shown: dict[str, list[dict[str, float]]] = {peer: [] for peer in PEERS}
    with contextlib.ExitStack() as stack:
        servers = {
            peer: stack.enter_context(Server(model, peer, threads)) for peer in PEERS
        }
        answers: dict[str, list[bytes]] = {peer: [] for peer in PEERS}
        for peer, server in servers.items():  # which warms up as well
            ask(server.port, some, [], answers[peer])
        for number in range(size.rounds):
            for peer in PEERS[:: -1 if number % 2 else 1]:
                shown[peer].append(one_round(servers[peer], some, size))
    result: dict[str, Any] = {
        peer: {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        for peer, rounds in shown.items()
    }
    return {**result, "largest difference": _difference(*answers.values())}


def _difference(own: list[bytes], others: list[bytes]) -> float:
    pairs = zip(map(_probabilities, own), map(_probabilities, others), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def _probabilities(text: bytes) -> np.ndarray:
    (row,) = json.loads(text)["predictions"]
    return np.array([v for k, v in row.items() if k.startswith("probability")])


def rows_of(results: dict[str, Any]) -> list[list[str]]:
    """A table of what was measured, header first; nervure is better above 1."""
    lines = [["net", "what", *PEERS, "ratio"]]
    for name, one in results.items():
        own, other = (one[peer] for peer in PEERS)
        for key in own:
            if key == "per second":
                cells = [f"{own[key]:.0f}", f"{other[key]:.0f}"]
                ratio = own[key] / other[key]
            else:
                cells = [f"{1000 * x[key]:.2f} ms" for x in (own, other)]
                ratio = other[key] / own[key]
            lines.append([name, key, *cells, f"{ratio:.2f}"])
    return lines


def main() -> None:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few requests, for a look")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of both; by default 1"
    )
    parser.add_argument("--json", type=Path, help="write what was measured")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        return serve(asked.serve, asked.peer)
    machine = _machine.describe(1)
    size = SMALL if asked.small else FULL
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, (net, data)) in enumerate(nets().items()):
            model = Path(folder, f"net{i}.safetensors")
            save(net, data, model)
            results[name] = measured(model, bodies(data), size, asked.threads)
    print(_report.aligned(rows_of(results)))
    for name, one in results.items():
        print(f"{name}: answers differ by at most {one['largest difference']:.1g}")
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine, "nets": results}))
    return None


if __name__ == "__main__":
    main()
