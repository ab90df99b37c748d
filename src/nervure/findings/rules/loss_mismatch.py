# SPDX-License-Identifier: BSD-3-Clause
"""loss-mismatch: the loss does not suit what the net gives and the rows ask."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.changes import setting
from nervure.findings.finding import Finding
from nervure.findings.network import activation_key, output_function
from nervure.findings.page import Page
from nervure.findings.patch import Change, Patch
from nervure.losses import BinaryCrossEntropy, CrossEntropy

PAGE = Page(
    code="loss-mismatch",
    title="The loss does not suit the output",
    cause="The rows name one of several classes; output layer and loss ask otherwise.",
    remedy='Use activation="softmax" in the last layer and loss="cross_entropy".',
    what="""
        Training works, but slowly or to a worse end: with a squared error a softmax
        that is sure and wrong has hardly a gradient; with one logistic per class
        nothing says that the classes exclude each other; a linear output has to be
        pressed to 0 and 1.
        """,
    why="""
        The logarithm of the cross-entropy undoes the exponential of the softmax: delta
        is a - y, however wrong the net is. With mse, delta has a factor a (1 - a).
        """,
    helps="""
        - softmax with cross_entropy for one of several classes;
        - logistic with binary_cross_entropy for yes or no, and for several answers at
          once;
        - no activation with mse, mae or huber for amounts.
        """,
    measured="""
        The targets are classes that exclude each other (labels, or rows of one 1),
        there are more than two outputs or a softmax, and the output and loss are not
        softmax and a loss of classes. A warning where the net fails, else a note: it
        may do well all the same.
        """,
    sources=(
        "Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 6.2.2",
        "Nikanjam et al., *NeuraLint* (TOSEM 2021), rules 9 and 10",
        "Nielsen, *Neural Networks and Deep Learning* (2015), chapter 3",
    ),
    explains=("loss-not-at-chance",),
)
LIVE = False


def check(case: Case) -> Finding | None:
    if case.facts is None or case.graph is None or case.facts.task != "classes":
        return None
    if len(case.graph.outputs) != 1 or len(case.facts.counts) < 2:
        return None
    loss, function = case.cost, output_function(case.graph)
    outputs = case.graph.nodes[case.graph.outputs[0]].shape[-1]
    if loss is None or outputs < 2:
        return None
    squared = loss.task == "regression"
    apart = isinstance(loss, BinaryCrossEntropy) and outputs > 2
    if not (squared or apart) or isinstance(loss, CrossEntropy):
        return None
    gives = function if function in ("softmax", "logistic") else "no activation"
    changes: list[Change] = []
    key = activation_key(case.spec.layers)
    if function != "softmax" and key is not None:
        changes.append(Change(key[0], key[1], "softmax"))
    changes.append(setting(case, "loss", "cross_entropy"))
    fixed = function == "softmax" or key is not None
    return Finding(
        PAGE,
        "warning" if case.fails else "note",
        f"rows name one of {outputs} classes, but the output has {gives} and the loss "
        f"is {loss.kind}",
        {"outputs": outputs, "loss": loss.kind, "activation": gives},
        (case.graph.output_names[0],),
        strength=0.6,
        patch=Patch(tuple(changes)) if fixed else None,
    )
