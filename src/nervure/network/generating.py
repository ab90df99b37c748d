# SPDX-License-Identifier: BSD-3-Clause
"""Generation: what a network says comes next is what it reads next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nervure.base.checks import count, number
from nervure.base.words import short
from nervure.data._encode import encode_letters
from nervure.data.records import LetterInput
from nervure.executors.stepper import Drawing, fits, stepper_of
from nervure.graph.objective import activation_of
from nervure.network.network import Network
from nervure.network.stepping import Reader, not_finite, written

CODES = np.dtype(np.int64)

TOGETHER = 64
"""Steps that the engine takes in one call, if they do not take too long."""


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
    classes, record = _classes(net), _letters(net, prompt)
    codes = _codes(prompt, record, classes)
    _check_order(net)
    _check_length(net, len(codes) + steps - 1)
    drawn = _drawn(net, codes, steps, Drawing(temperature, top_k, top_p, seed))
    return drawn if record is None else (record.letters[code] for code in drawn)


def _drawn(
    net: Network, codes: Sequence[int], steps: int, how: Drawing
) -> Iterator[int]:
    """Codes one by one; the engine draws some together."""
    if not fits(net.graph):
        yield from written(Reader(net), codes, steps, how)
        return
    with stepper_of(net.executor(), _gives_shares(net)) as stepper:
        *before, last = codes
        for begin in range(0, len(before), TOGETHER):
            stepper.read(before[begin : begin + TOGETHER])
        done = 0
        while done < steps:
            wanted = min(max(done, 1), TOGETHER, steps - done)  # the first one at once
            drawn, finite = stepper.write([last], wanted, how, done)
            yield from drawn
            done += len(drawn)
            if not finite:
                raise not_finite(done)
            last = drawn[-1]


def _gives_shares(net: Network) -> bool:
    graph = net.graph
    return activation_of(graph.nodes[graph.outputs[0]].layer) == "softmax"


def _classes(net: Network) -> int:
    """Of a network that reads codes and says one thing of each step."""
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
    return int(np.prod(graph.output_shapes[0]))


def _check_order(net: Network) -> None:
    """Raise where steps are made of what is known only at the end of a sequence."""
    nodes = net.graph.nodes
    ends = [False] * len(nodes)  # told by a whole sequence
    for i, node in enumerate(nodes):
        told = [nodes[j].clock is not None or ends[j] for j in node.inputs]
        ends[i] = node.clock is None and any(told)
        if node.clock is not None and any(ends[j] for j in node.inputs):
            raise ValueError(
                f"[{node.name}] it begins with what another layer ends with, expected "
                "layers that go step by step together; generate without it, or give "
                "it first states that do not depend on the sequence (nv.Learned)"
            )


def _check_length(net: Network, steps: int) -> None:
    """Raise where a layer does not take so many steps, before any is drawn."""
    for node in net.graph.nodes:
        longest = None if any(node.times) else node.layer.longest
        if longest is not None and steps > longest:
            raise ValueError(
                f"[{node.name}] {steps:,} steps with those of the prompt, expected at "
                f"most {longest:,}; generate fewer steps, or make the layer longer"
            )


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
