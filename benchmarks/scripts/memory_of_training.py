# SPDX-License-Identifier: BSD-3-Clause
"""Two epochs of the net "medium" by one peer; prints the data's and the peak's MB.

``python memory_of_training.py PEER DATA.npz``, the archive uncompressed, so that its
arrays are read straight into memory and nothing but them is held.
"""

import json
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: I001
from _nets import NETS
import peers


def peak() -> float:
    """Peak resident memory so far, MB (10**6 bytes)."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used * (1 if sys.platform == "darwin" else 1024) / 1e6


module = peers.module(sys.argv[1])
variant = next(iter(module.VARIANTS.values()))
with np.load(sys.argv[2]) as archive:
    X, y = archive["X"], archive["y"]
loaded = peak()
module.Peer(NETS["medium"], X, y, {**variant.options, "threads": 2}).train(2)
size = (X.nbytes + y.nbytes) / 1e6
print(json.dumps({"data": size, "loaded": loaded, "peak": peak()}))
