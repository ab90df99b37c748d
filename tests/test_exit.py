# SPDX-License-Identifier: BSD-3-Clause
"""A program that ends while it trains ends as any other."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import atexit, threading
import numpy as np
import nervure as nv

begun = threading.Event()

class Tell(nv.Callback):
    def on_epoch_end(self, run):
        begun.set()

rng = np.random.default_rng(0)
X = rng.normal(size=(2_000, 50))
y = (X[:, 0] > 0).astype(int)
layers = [nv.Input(50), nv.Dense(64, activation="relu"), nv.Dense(2, activation="softmax")]
net = nv.Network(layers)
given = dict(epochs=10**6, callbacks=[Tell()], progress=False)

def train():
    WORK

threading.Thread(target=train, daemon=True).start()
atexit.register(lambda: print(nv.Network(layers).predict(X[:1]).shape))
assert begun.wait(60)
"""


@pytest.mark.parametrize(
    "work",
    ["nv.fit(net, X, y, **given)", "nv.Ensemble.of(net, 3).fit(X, y, **given)"],
    ids=["network", "ensemble"],
)
def test_a_daemon_thread_that_trains_stops_with_the_program(work: str) -> None:
    """It aborted the process; an ensemble was waited for, to its last epoch."""
    code = BEGIN.replace("WORK", work)
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "(1, 2)\n"


CUT = """
import os, signal, threading, time
import numpy as np
import nervure as nv

layers = [nv.Dense(2048, activation="relu") for _ in range(24)]
net = nv.Network([nv.Input(8), *layers, nv.Dense(1)])
rows = np.zeros((4_000_000, 8), np.float32)  # hours
net.predict(rows[:1])

def interrupt():
    begin = time.process_time()
    while time.process_time() < begin + 0.5:  # by then the engine is at work
        threading.Event().wait(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    net.predict(rows)
except KeyboardInterrupt:
    print("cut")
print(len(net.predict(rows[:5])))
"""


def test_prediction_ends_where_it_is_interrupted() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CUT], capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "cut\n5\n", done.stderr
