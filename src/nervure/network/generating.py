# SPDX-License-Identifier: BSD-3-Clause
"""Generation: what a network says comes next is what it reads next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure import random
from nervure.base.checks import count, number
from nervure.base.words import short
from nervure.data._encode import encode_letters
from nervure.data.records import LetterInput
from nervure.graph.objective import activation_of
from nervure.layers import Input
from nervure.layers._layer import Further
from nervure.network.finite import NotFiniteError
from nervure.network.network import Network

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
CODES = np.dtype(np.int64)


TOGETHER = 64
"""Steps whose random numbers are drawn at once; each costs more than a small step."""


def generate(
    net: Network,
    prompt: Any,
    steps: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> Any:
    """Go on where a prompt ends: draw what comes next, read it, and so on.

    The network reads codes and gives a distribution over them for what comes next, as
    one that ends in a softmax and was trained on sequences and the same one step
    later. A step costs what a step costs: recurrent layers keep their states, causal
    attention the keys and values of all steps.

    Args:
        net: a network of one input ``nv.Input((None,))`` and one output.
        prompt: codes, at least one; or text, where the network has the record of
            letters (``net.preprocessing``, see `nervure.data.letters`).
        steps: how many to draw, at least 0.
        temperature: scores are divided by it: below 1 what is likely becomes likelier,
            with 0 the likeliest is taken.
        top_k: draw from so many of the likeliest alone.
        top_p: draw from the likeliest that together have at least this share.
        seed: of the random numbers, which are counted: the same for the same steps.

    Returns:
        The codes that were drawn, or their text.

    Raises:
        ValueError: a letter or code that the network does not know, or a network that
            does not read codes step by step.
        NotFiniteError: scores that are no numbers, as of weights that have diverged.

    Source: Graves, *Generating sequences with recurrent neural networks* (2013);
    Fan, Lewis, Dauphin (2018) (top_k); Holtzman et al. (2020) (top_p).

    >>> import nervure as nv
    >>> net = nv.Network(
    ...     [nv.Input((None,)), nv.Embedding(3, 4), nv.GRU(8), nv.Dense(3, "softmax")]
    ... )
    >>> nv.generate(net, [0, 1], 5).shape
    (5,)
    """
    drawn = stream(
        net,
        prompt,
        steps,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
    )
    return "".join(drawn) if isinstance(prompt, str) else np.array(list(drawn), CODES)


def stream(
    net: Network,
    prompt: Any,
    steps: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> Iterator[Any]:
    """The codes or letters one by one, as soon as they are drawn (see `generate`)."""
    count("generate", "steps", steps, least=0)
    number("generate", "temperature", temperature, least=0)
    if top_k is not None:
        count("generate", "top_k", top_k, least=1)
    if top_p is not None:
        number("generate", "top_p", top_p, above=0, most=1)
    count("generate", "seed", seed, least=0)
    reader, record = Reader(net), _letters(net, prompt)
    codes = _codes(prompt, record, reader.classes)
    drawn = _drawn(reader, codes, steps, (temperature, top_k, top_p), seed)
    return drawn if record is None else (record.letters[code] for code in drawn)


def _drawn(
    reader: Reader,
    codes: Sequence[int],
    steps: int,
    how: tuple[float, int | None, float | None],
    seed: int,
) -> Iterator[int]:
    """Codes, each drawn from what is said to come behind those before."""
    scores = drawn = np.zeros(0)
    for code in codes:
        scores = reader(code)
    for step in range(steps):
        if np.isnan(scores).any() or not np.isfinite(scores.max()):
            raise NotFiniteError(
                f"[generate] what comes next is not finite at step {step} (from 0); "
                "expected numbers; the weights are too large or none: look at the "
                "training (nervure doctor)"
            )
        if step % TOGETHER == 0:
            drawn = random.uniform_of_steps(seed, step, TOGETHER, 0)
        u = float(drawn[step % TOGETHER])
        code = int(np.searchsorted(np.cumsum(shares(scores, *how)), u, side="right"))
        code = min(code, len(scores) - 1)
        yield code
        if step + 1 < steps:
            scores = reader(code)


def shares(
    scores: Floats,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Floats:
    """The probabilities that are drawn from, of logits or logarithms.

    >>> shares(np.log([0.5, 0.3, 0.2]), top_p=0.7).round(3).tolist()
    [0.625, 0.375, 0.0]
    """
    if temperature == 0:
        return (np.arange(len(scores)) == scores.argmax()).astype(np.float64)
    power = np.exp((scores - scores.max()) / temperature)
    order = np.argsort(-power, kind="stable")
    kept = np.ones(len(power), bool)
    if top_k is not None:
        kept[order[top_k:]] = False
    if top_p is not None:
        sums = np.cumsum(power[order]) / power.sum()
        kept[order[1 + int(np.searchsorted(sums, top_p - 1e-12)) :]] = False
    power = np.where(kept, power, 0.0)
    return power / power.sum()


class Reader:
    """A network that reads one sequence, step by step; each call costs one step."""

    def __init__(self, net: Network) -> None:
        graph = net.graph
        fits = len(graph.inputs) == len(graph.outputs) == 1
        source = graph.nodes[graph.inputs[0]]
        if not fits or source.clock is None or source.shape != ():
            raise ValueError(
                f"[generate] a network of {len(graph.inputs)} inputs, the first of "
                f"shape {source.shape}, and {len(graph.outputs)} outputs; expected "
                "one output and one input of codes; begin with nv.Input((None,)) and "
                "nv.Embedding"
            )
        self._nodes, self._end = graph.nodes, graph.outputs[0]
        self._activation = activation_of(graph.nodes[self._end].layer)
        self._states: list[Any] = [None] * len(graph.nodes)
        self._dtype = net.dtype
        values = {name: np.asarray(view) for name, view in net.parameters.items()}
        self._own = [node.own(values) for node in graph.nodes]
        self.classes = int(np.prod(graph.output_shapes[0]))

    def __call__(self, code: int) -> Floats:
        """Logits, or logarithms of probabilities, of what comes next."""
        values: list[Array] = []
        further: dict[int, tuple[Array, ...]] = {}
        for i, node in enumerate(self._nodes):
            layer = node.layer
            if isinstance(layer, Input):
                values.append(np.full(1, code, self._dtype))
                continue
            if isinstance(layer, Further):
                values.append(further[node.inputs[0]][layer.number])
                continue
            feeds = [values[j] for j in node.inputs]
            y, self._states[i] = layer.advance(self._own[i], self._states[i], *feeds)
            if isinstance(y, tuple):
                y, *others = cast(tuple[Array, ...], y)
                further[i] = tuple(others)
            values.append(y)
        y = values[self._end].reshape(-1).astype(np.float64)
        if self._activation == "softmax":
            with np.errstate(divide="ignore"):
                return np.log(y)
        return y


def _letters(net: Network, prompt: Any) -> LetterInput | None:
    """The letters of a prompt of text; None for one of codes."""
    if not isinstance(prompt, str):
        return None
    inputs = net.preprocessing.inputs if net.preprocessing else None
    if not isinstance(inputs, LetterInput):
        raise ValueError(
            "[generate] a prompt of text, and a network that knows no letters; "
            "expected codes; give a list of them, or set net.preprocessing = "
            "nv.data.letters(text) with the text that it was trained on"
        )
    return inputs


def _codes(prompt: Any, record: LetterInput | None, classes: int) -> list[int]:
    if not len(prompt):
        raise ValueError(
            "[generate] an empty prompt; expected something to go on from; give at "
            "least one letter or code"
        )
    if record is not None:
        return encode_letters(record, prompt, CODES, "prompt").values.tolist()
    array = np.asarray(prompt)
    whole = array.ndim == 1 and array.dtype.kind in "iu"
    if not whole or ((array < 0) | (array >= classes)).any():
        raise ValueError(
            f"[generate] prompt = {short(prompt)}; expected codes, whole numbers "
            f"from 0 to {classes - 1}, in a list; encode it"
        )
    return array.tolist()
