# SPDX-License-Identifier: BSD-3-Clause
"""A network learns to write, letter by letter, what Python's library says of itself.

The doc strings of the standard library are its text (``--text FILE`` takes another);
every tenth is held out. An LSTM says how surprised it is by what it has not seen, in
bits a letter, beside a model of n-grams that knows the last five letters; then it
writes itself. ``--transformer`` takes four blocks with the settings of nanoGPT's
demonstration for a CPU: 4 heads, width 128, 12 windows of 64 letters, 2,000 steps.
"""

from __future__ import annotations

import argparse
import ast
import math
import sysconfig
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import nervure as nv

ORDER = 5


def docstrings(most: int) -> list[str]:
    """What the modules, classes and functions of the standard library say."""
    found: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            kinds = ast.Module | ast.ClassDef | ast.FunctionDef
            said = ast.get_docstring(node) if isinstance(node, kinds) else None
            if said and said.isascii() and sum(map(len, found)) < most:
                found.append(said)
    return found


def texts(file: str | None, most: int) -> tuple[str, str]:
    """Text to learn from, and text held out: every tenth piece."""
    if file is None:
        pieces = docstrings(most)
    else:
        text = Path(file).read_text("utf-8")[:most]
        size = 1 + len(text) // 100
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
    held = pieces[9::10]
    learned = [each for i, each in enumerate(pieces) if i % 10 != 9]
    joint = "" if file else "\n\n"
    known = set(joint.join(learned))
    return joint.join(learned), "".join(c for c in joint.join(held) if c in known)


class NGrams:
    """Frequencies of letters behind up to `ORDER` others (Witten and Bell, 1991).

    What a context has not told is asked of the one that is a letter shorter, the more
    the more different letters followed it: ``(n(c) + k p') / (n + k)``.
    """

    def __init__(self, text: str) -> None:
        self.letters = len(set(text))
        self.after: dict[str, Counter[str]] = defaultdict(Counter)
        for i, letter in enumerate(text):
            for length in range(min(i, ORDER) + 1):
                self.after[text[i - length : i]][letter] += 1

    def probability(self, context: str, letter: str) -> float:
        p = 1 / self.letters
        for length in range(len(context) + 1):
            known = self.after.get(context[len(context) - length :])
            if known is None:
                break
            p = (known[letter] + len(known) * p) / (known.total() + len(known))
        return p

    def bits(self, text: str) -> float:
        """Mean surprise of a letter."""
        told = (
            math.log2(self.probability(text[max(0, i - ORDER) : i], letter))
            for i, letter in enumerate(text)
        )
        return -sum(told) / len(text)


@dataclass(frozen=True)
class Plan:
    """A network and how it learns: windows of so many letters, so many in a step."""

    name: str
    layers: list[nv.Layer]
    length: int
    batch: int
    steps: int
    rate: float
    weight_decay: float


def lstm(letters: int, units: int) -> Plan:
    layers = [
        nv.Input((None,)),
        nv.Embedding(letters, 32),
        nv.LSTM(units, return_sequences=True),
        nv.Dropout(0.1),
        nv.Dense(letters, activation="softmax"),
    ]
    return Plan("LSTM", layers, 128, 32, 4_000, 0.004, 0.0)


def transformer(letters: int) -> Plan:
    width, context = 128, 64
    layers = [
        nv.Input((None,)),
        nv.Embedding(letters, width, initializer=nv.initializers.Normal(std=0.02)),
        nv.PositionEmbedding(context),
        *(nv.TransformerBlock(4, causal=True) for _ in range(4)),
        nv.LayerNorm(),
        nv.Dense(letters, activation="softmax"),
    ]
    return Plan("transformer", layers, context, 12, 2_000, 0.001, 0.1)


def train(plan: Plan, codes: np.ndarray, steps: int) -> nv.Network:
    """Learns from windows at random places, each with the letters that come next."""
    rng, count = np.random.default_rng(0), plan.batch * steps
    starts = rng.integers(0, len(codes) - plan.length, count)
    X = nv.Ragged(codes, np.full(count, plan.length), starts)
    rate = nv.schedules.WarmUp(nv.schedules.Cosine(plan.rate, 0.0001), steps=100)
    optimizer = nv.AdamW(rate, beta2=0.99, weight_decay=plan.weight_decay)
    net = nv.Network(plan.layers, seed=0)
    how = {"batch_size": plan.batch, "shuffle": False, "metrics": [], "epochs": 1}
    nv.fit(net, X, X.shifted(1), optimizer=optimizer, progress=False, **how)
    return net


def bits(net: nv.Network, codes: np.ndarray, length: int) -> float:
    """Mean surprise by letters before which half a window, or more, was read."""
    X = nv.Ragged.windows(codes[:-1], length, length // 2)
    p = net.forward(X)[:, length // 2 :]
    true = nv.Ragged(codes, X.lengths, X.starts + 1).to_array()[:, length // 2 :]
    own = np.take_along_axis(p, true[:, :, None].astype(int), axis=2)
    return float(-np.log2(np.maximum(own, 1e-30)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", help="a file to learn from")
    parser.add_argument("--transformer", action="store_true")
    parser.add_argument("--letters", type=int, default=1_500_000, help="at most")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--units", type=int, default=320, help="of the LSTM")
    parser.add_argument("--out", help="a model file, for nervure generate")
    given = parser.parse_args()
    learned, held = texts(given.text, given.letters)
    record = nv.data.letters(learned)
    count = record.outputs
    print(f"{len(learned):,} letters, {count} different, and {len(held):,} held out")
    print(f"{ORDER + 1}-grams: {NGrams(learned).bits(held):.3f} bits a letter")

    plan = transformer(count) if given.transformer else lstm(count, given.units)
    begin = time.perf_counter()
    steps = given.steps or plan.steps
    net = train(plan, record.encode(learned).values, steps)
    seconds = time.perf_counter() - begin
    found = bits(net, record.encode(held).values, plan.length)
    print(
        f"{plan.name}: {found:.3f} bits a letter (loss {found * math.log(2):.3f}) "
        f"after {steps:,} steps, {seconds:.0f} s"
    )
    net.preprocessing = record
    prompt = held[:10]
    room = plan.length - len(prompt) if given.transformer else 400
    print(prompt + nv.generate(net, prompt, room, temperature=0.7))
    if given.out:
        net.save(given.out)


if __name__ == "__main__":
    main()
