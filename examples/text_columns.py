# SPDX-License-Identifier: BSD-3-Clause
"""Which package of Python's library a doc string is from, told by its words.

A table of doc strings of the standard library, one row each, from the packages with the
most of them; every fourth row is held out. The default network for tables, which embeds
the words of the column and adds their vectors up, beside scikit-learn's tf-idf and
logistic regression, as they are and with the penalty that is best of three on the rows
held out (which is kind to it). ``--dropout`` says how many of the words are left out in
a step, ``--gru`` reads the words in order instead.
"""

from __future__ import annotations

import argparse
import ast
import sysconfig
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import nervure as nv

Table = dict[str, list[str]]

NOT_OURS = {"site-packages", "test", "tests", "idlelib", "lib2to3"}


@dataclass(frozen=True)
class Given:
    """What the network is to be."""

    dropout: float | None = None
    gru: bool = False


def said(path: Path) -> list[str]:
    """The doc strings of the classes and functions in a file."""
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = ast.walk(ast.parse(path.read_bytes()))
    found = [ast.get_docstring(node) for node in nodes if isinstance(node, kinds)]
    return [text for text in found if text and len(text.split()) >= 3]


def docstrings(packages: int, among: Sequence[str] = ()) -> Table:
    """Texts, each once, and their packages, those with the most, in mixed order.

    ``among`` are the only ones that are looked at, if any are named.
    """
    root = Path(sysconfig.get_path("stdlib"))
    package_of: dict[str, str] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] not in (among or parts) or NOT_OURS & {*parts}:
            continue
        for text in said(path):
            package_of.setdefault(text, parts[0])
    most = {name for name, _ in Counter(package_of.values()).most_common(packages)}
    rows = sorted((text, name) for text, name in package_of.items() if name in most)
    order = np.random.default_rng(0).permutation(len(rows))
    texts, names = zip(*(rows[i] for i in order), strict=True)
    return {"text": list(texts), "package": list(names)}


def halves(table: Table) -> tuple[Table, Table]:
    """Rows to learn from, and every fourth, held out."""
    held = {name: values[::4] for name, values in table.items()}
    own = {n: [v for i, v in enumerate(x) if i % 4] for n, x in table.items()}
    return own, held


def accuracy(answers: Sequence[str] | np.ndarray, held: Table) -> float:
    return float(np.mean(np.array(answers) == np.array(held["package"])))


def network(data: nv.data.Dataset, spec: nv.Spec, given: Given) -> nv.Network:
    """The one of the spec, with other dropout, or one that reads the words in order."""
    ((codes, length),) = data.preprocessing.categories
    layers = [entry.layer for entry in spec.layers]
    if given.dropout is not None:
        layers[0] = replace(layers[0], dropout=given.dropout)
    if given.gru:
        outputs = nv.Dense(data.preprocessing.outputs, "softmax")
        vectors = nv.Embedding(codes, 32, unknown=True)
        layers = [vectors, nv.Dropout(0.3), nv.GRU(64), outputs]
    return nv.Network([nv.Input(length), *layers], seed=0)


def of_network(own: Table, held: Table, given: Given) -> float:
    """Accuracy of the network on the rows held out."""
    data = nv.data.load(own, target="package")
    spec = nv.tabular.default(data)
    net, plan = network(data, spec, given), spec.training
    how = {"epochs": plan.epochs, "batch_size": plan.batch_size, "progress": False}
    nv.fit(net, data, loss=plan.loss, optimizer=plan.optimizer, **how)
    return accuracy(net.predict_classes({"text": held["text"]}), held)


def of_tfidf(own: Table, held: Table, penalty: float = 1.0) -> float:
    """Accuracy of scikit-learn's logistic regression on the words' tf-idf."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    classifier = LogisticRegression(C=1 / penalty, max_iter=1_000)
    model = make_pipeline(TfidfVectorizer(), classifier)
    return accuracy(model.fit(own["text"], own["package"]).predict(held["text"]), held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=20)
    parser.add_argument("--dropout", type=float, help="of words; by default 0.5")
    parser.add_argument("--gru", action="store_true")
    given = parser.parse_args()
    own, held = halves(docstrings(given.packages))
    largest = Counter(own["package"]).most_common(1)[0][0]
    print(f"{len(own['text']):,} rows, and {len(held['text']):,} held out")
    print(f"always {largest}: {accuracy([largest] * len(held['text']), held):.3f}")
    print(f"tf-idf and logistic regression: {of_tfidf(own, held):.3f}")
    best = max(of_tfidf(own, held, penalty) for penalty in (0.1, 0.03, 0.01))
    print(f"the same with the best penalty: {best:.3f}")
    begin = time.perf_counter()
    found = of_network(own, held, Given(given.dropout, given.gru))
    print(f"nervure: {found:.3f} after {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
