# SPDX-License-Identifier: BSD-3-Clause
"""Sound trainings that nobody draws: the zoo's small nets, sequences, autoencoders.

``python benchmarks/doctor/further.py [PART OF A NAME ...]`` trains each and prints what
the doctor says of it; a warning, live or afterwards, is a false alarm.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
from sklearn import datasets

import nervure as nv
from nervure.findings.finding import FindingWarning

GIVEN: dict[str, Any] = {"validation": 0.2, "progress": False, "telemetry": True}


@cache
def digits() -> tuple[Any, Any]:
    """Images of 8 by 8 pixels in [0, 1], and their digits."""
    found = datasets.load_digits()
    return (found.images / 16).astype(np.float32), found.target.astype(np.int64)


def enlarged(extent: int) -> Any:
    """The same, so many pixels high and wide, with a channel."""
    times = -(-extent // 8)
    large = np.kron(digits()[0], np.ones((times, times), np.float32))
    return large[:, :extent, :extent, None]


def _zoo(name: str, extent: int, rule: Any, epochs: int) -> nv.Run:
    net = getattr(nv.zoo, name)(classes=10, input_shape=(extent, extent, 1))
    X = enlarged(extent)
    return nv.fit(net, X, digits()[1], epochs=epochs, optimizer=rule, **GIVEN)


def _sequences(*layers: nv.Layer, shape: Any = (8, 8), epochs: int = 15) -> nv.Run:
    """Rows of images, or pixels, one after the other."""
    X, y = digits()
    rows = X.reshape(len(X), *shape) if None not in shape else _cut(X)
    net = nv.Network([nv.Input(shape), *layers, nv.Dense(10, "softmax")], seed=0)
    return nv.fit(net, rows, y, epochs=epochs, optimizer=nv.Adam(3e-3), **GIVEN)


def _cut(X: Any) -> list[Any]:
    """Images that end early, in a row of their own each."""
    rng = np.random.default_rng(0)
    return [x[: rng.integers(5, 9)] for x in X]


def _forecast(layer: nv.Layer) -> nv.Run:
    """The next value of a wave in some noise."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(3000) / 9) + 0.1 * rng.normal(size=3000)
    windows = np.lib.stride_tricks.sliding_window_view(wave[:-1], 40)
    net = nv.Network([nv.Input((40, 1)), layer, nv.Dense(1)], seed=0)
    rows, rule = windows[..., None].astype(np.float32), nv.Adam(3e-3)
    return nv.fit(net, rows, wave[40:], epochs=8, optimizer=rule, **GIVEN)


def _autoencoder(loss: str, *layers: nv.Layer) -> nv.Run:
    X = digits()[0].reshape(-1, 64)
    net, rule = nv.Network([nv.Input(64), *layers], seed=0), nv.Adam(3e-3)
    return nv.fit(net, X, X, loss=loss, epochs=30, optimizer=rule, **GIVEN)


def _textbook() -> nv.Run:
    """One hidden layer of logistic nodes, quadratic cost, plain gradient descent."""
    layers = [nv.Input(64), nv.Dense(30, "logistic"), nv.Dense(10, "logistic")]
    X, y = digits()
    net, rule = nv.Network(layers, seed=0), nv.SGD(0.5)
    given = {"loss": "quadratic", "epochs": 30, "batch_size": 10, "optimizer": rule}
    return nv.fit(net, X.reshape(-1, 64), np.eye(10)[y], **given, **GIVEN)


CELLS = {"LSTM": nv.LSTM, "GRU": nv.GRU, "SimpleRNN": nv.SimpleRNN}

TRAININGS: dict[str, Callable[[], nv.Run]] = {
    "one hidden layer": _textbook,
    **{
        f"{name} by {type(rule).__name__}": partial(_zoo, name, 28, rule, 5)
        for name in ("lenet1", "lenet4", "lenet5")
        for rule in (nv.Adam(1e-3), nv.SGD(0.05, momentum=0.9))
    },
    "resnet20": partial(_zoo, "resnet20", 16, nv.SGD(0.1, momentum=0.9), 4),
    "resnet32": partial(_zoo, "resnet32", 8, nv.Adam(2e-3), 4),
    **{f"{n} of rows": partial(_sequences, cell(48)) for n, cell in CELLS.items()},
    **{
        f"{name} both ways": partial(_sequences, nv.Bidirectional(cell(32)))
        for name, cell in CELLS.items()
    },
    **{
        f"{name} twice": partial(_sequences, cell(32, True), cell(32))
        for name, cell in CELLS.items()
    },
    **{
        f"transformer of rows, norm {norm}": partial(
            _sequences,
            nv.Dense(32),
            nv.PositionEmbedding(8),
            nv.TransformerBlock(2, norm=norm),
            nv.GlobalAveragePool1D(),
            epochs=20,
        )
        for norm in ("pre", "post")
    },
    "GRU of rows of all lengths": partial(_sequences, nv.GRU(48), shape=(None, 8)),
    "GRU of pixels": partial(_sequences, nv.GRU(32), shape=(64, 1), epochs=30),
    **{f"{n} forecasts": partial(_forecast, cell(24)) for n, cell in CELLS.items()},
    "autoencoder": partial(
        _autoencoder, "mse", *(nv.Dense(n, "relu") for n in (48, 24, 48)), nv.Dense(64)
    ),
    "autoencoder of shares": partial(
        _autoencoder,
        "binary_cross_entropy",
        nv.Dense(32, "tanh"),
        nv.Dense(64, "logistic"),
    ),
}


def alarms(train: Callable[[], nv.Run]) -> Iterator[str]:
    """What is told of a training, live and afterwards, above a note."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = train()
    told = (one for one in caught if issubclass(one.category, FindingWarning))
    yield from (f"live: {one.message}" for one in told)
    yield from (one.line for one in nv.diagnose(run) if one.severity != "note")


def main() -> int:
    parts = sys.argv[1:]
    chosen = [n for n in TRAININGS if not parts or any(part in n for part in parts)]
    quiet = 0
    for name in chosen:
        found = list(alarms(TRAININGS[name]))
        quiet += not found
        print(f"{name}: {'; '.join(found) or 'nothing'}", flush=True)
    print(f"no warning: {quiet} of {len(chosen)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
