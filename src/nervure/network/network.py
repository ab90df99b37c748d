# SPDX-License-Identifier: BSD-3-Clause
"""Network: a graph and its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base import toml
from nervure.base.checks import count
from nervure.base.files import write_atomically
from nervure.base.memory import check_memory
from nervure.base.words import many, unknown
from nervure.data.preprocessing import Preprocessing
from nervure.executors import Data, Executor, Model, Rows, make_executor
from nervure.graph.graph import Graph
from nervure.graph.naming import chosen, parameter_names, with_parameters
from nervure.graph.objective import Objective, activation_of, answering
from nervure.graph.parameters import (
    LARGEST_SEED,
    Floats,
    Layout,
    ParameterViews,
    aligned_zeros,
    initialize,
    put,
)
from nervure.graph.summary import html_summary, summary
from nervure.graph.symbols import from_symbols, sequence
from nervure.graph.written import tables_of
from nervure.layers import Layer, Symbol
from nervure.losses import Pinball
from nervure.network import given, predicting
from nervure.network.conformal import Conformal
from nervure.network.evaluation import evaluate
from nervure.network.saving import save
from nervure.network.trace import NetworkTrace, trace
from nervure.network.transfer import with_exact, with_head

Array = npt.NDArray[Any]

LONGEST_REPR = 100
"""Letters up to which a network shows its layers in a line."""

DTYPES = ("float32", "float64")


class Network:
    """A parametrized function: layers with the numbers that training fits.

    Args:
        layers: a list of layers, the first an `Input`; each is fed by the one before.
        inputs, outputs: instead of ``layers``, the ends of a graph of layers called
            on each other; one or a sequence of each.
        seed: begins the parameters; the same seed gives the same bits.
        dtype: ``"float32"`` or ``"float64"``.

    Attributes:
        preprocessing: how raw rows become inputs, where training recorded it.
        conformal: scores of calibration rows, for intervals and sets
            (`nervure.uncertainty.conformalize`); training takes them away.

    Raises:
        GraphError, LayerError: layers that do not fit together.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=7)
    >>> net.forward([[0.0, 1.0, 2.0, 3.0]]).shape
    (1, 3)
    >>> x = nv.Input(4)
    >>> h = nv.Dense(8, activation="tanh")(x)
    >>> y = nv.Dense(1)(nv.Concatenate()(x, h))
    >>> nv.Network(inputs=x, outputs=y).graph.output_shapes
    ((1,),)
    """

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        *,
        inputs: Layer | Sequence[Layer] | None = None,
        outputs: Symbol | Layer | Sequence[Symbol | Layer] | None = None,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        self._build(_graph(layers, inputs, outputs), seed, dtype)

    @classmethod
    def from_graph(
        cls, graph: Graph, *, seed: int = 0, dtype: str = "float32", begin: bool = True
    ) -> Network:
        """A network of a ready graph; without ``begin`` its parameters are zeros."""
        net = cls.__new__(cls)
        net._build(graph, seed, dtype, begin)
        return net

    def _build(self, graph: Graph, seed: int, dtype: str, begin: bool = True) -> None:
        dtype = getattr(dtype, "__name__", None) or str(dtype)  # np.float64 as well
        if dtype not in DTYPES:
            raise ValueError(unknown("network", "dtype", dtype, DTYPES))
        count("network", "seed", seed, least=0, most=LARGEST_SEED)
        self.graph = graph
        self.seed = int(seed)
        self.layout = Layout.of(graph)
        self._values, self._gradients = _memory(self.layout, dtype)
        if begin:
            initialize(self.layout, seed, self.values)
        self.preprocessing: Preprocessing | None = None
        self.conformal: Conformal | None = None
        self._frozen: frozenset[str] = frozenset()
        self._executors: dict[str, Executor] = {}

    # -- parameters ---------------------------------------------------------------

    @property
    def dtype(self) -> str:
        return self.values.dtype.name

    @property
    def values(self) -> Floats:
        """All parameters in one flat array; what is assigned is copied into it."""
        return self._values

    @values.setter
    def values(self, given: npt.ArrayLike) -> None:
        put(given, self._values, "values")

    @property
    def gradients(self) -> Floats:
        """Gradients of the latest backward pass, laid out as `values` are."""
        return self._gradients

    @property
    def parameters(self) -> ParameterViews:
        """Parameters by name; each a view, so that writing changes the network."""
        return ParameterViews(self.layout, self.values)

    def astype(self, dtype: str) -> Network:
        """A copy of the network in another precision."""
        net = Network.from_graph(self.graph, seed=self.seed, dtype=dtype, begin=False)
        net.values[:] = self.values
        net.preprocessing, net.conformal = self.preprocessing, self.conformal
        net.freeze_layers(self._frozen)
        return net

    def copy(self) -> Network:
        """An independent copy."""
        return self.astype(self.dtype)

    def begun_anew(self, seed: int) -> Network:
        """The same network, begun from ``seed``; frozen layers keep their weights."""
        net = Network.from_graph(self.graph, seed=seed, dtype=self.dtype)
        net.preprocessing = self.preprocessing
        net.freeze_layers(self._frozen)
        for name in parameter_names(self.graph, self._frozen):
            net.parameters[name] = self.parameters[name]
        return net

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes: all but the executors and gradients."""
        own = {**self.__dict__, "_values": np.array(self.values)}
        return {k: v for k, v in own.items() if k not in ("_gradients", "_executors")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        dtype = state["_values"].dtype.name
        self._values, self._gradients = _memory(self.layout, dtype)
        self._values[:] = state["_values"]
        self._executors = {}

    # -- transfer learning --------------------------------------------------------

    @property
    def frozen(self) -> frozenset[str]:
        """Names of the layers whose parameters training leaves as they are."""
        return self._frozen

    def freeze(self, *names: str, until: str | None = None) -> None:
        """Keep the weights of layers as they are, in training from now on.

        A frozen `BatchNorm` uses its running statistics in training too, and does not
        update them. Below the first layer that learns there is no backward pass;
        dropout stays on. `fit` computes what a frozen beginning of the network gives
        only once, where nothing in it is random and it fits `FEATURE_BYTES`
        (nervure.training.trunk).

        Args:
            names: layers, or beginnings of their names: ``"block1"`` stands for
                ``block1.conv`` and ``block1_norm``, not for ``block10``.
            until: all layers are frozen from the first one named (or from the first of
                the network) up to this one, which itself learns.

        Raises:
            ValueError: an unknown name, or none.

        >>> import nervure as nv
        >>> layers = [nv.Dense(8, activation="relu", name=f"block{i}") for i in (1, 2)]
        >>> net = nv.Network([nv.Input(4), *layers, nv.Dense(3, activation="softmax")])
        >>> net.freeze(until="block2")
        >>> sorted(net.frozen)
        ['block1']
        """
        layers = chosen(self.graph, names, until, "freeze")
        self.freeze_layers(self._frozen | layers)

    def unfreeze(self, *names: str, until: str | None = None) -> None:
        """Let layers learn again (see `freeze`); without names all of them."""
        given = bool(names) or until is not None
        layers = chosen(self.graph, names, until, "unfreeze") if given else self._frozen
        self.freeze_layers(self._frozen - layers)

    def freeze_layers(self, layers: frozenset[str]) -> None:
        """Freeze these layers and no others."""
        if layers != self._frozen:
            self._frozen = layers
            self._executors = {}  # their plans have other backward passes

    def forget(self) -> None:
        """Put the states back to zero that `stateful` layers carry from batch to batch.

        Training does so at the beginning of each epoch.
        """
        for segment in self.layout.segments:
            node = self.graph.nodes[segment.node]
            if segment.parameter.name in node.layer.carries:
                segment.view(self.values)[...] = 0

    def exact(self, exact: bool = True) -> Network:
        """A copy whose convolutions sum directly, never by Winograd's filtering.

        It computes the same, slower, with the rounding errors of each window alone:
        for images with pixels a million times as large as their neighbours. ``False``
        leaves the choice to what is faster. In specs: ``training.exact = true``.

        >>> import nervure as nv
        >>> net = nv.Network([nv.Input((8, 8, 16)), nv.Conv2D(16, 3), nv.Flatten()])
        >>> net.exact().graph.entries[1].layer.exact
        True
        """
        made = self.rebuilt(with_exact(self.graph, exact))
        made.conformal = self.conformal
        return made

    def replace_head(self, classes: int, *, seed: int | None = None) -> Network:
        """A new network for other classes: another last Dense, the rest kept.

        The new network has copies of all weights but those of the last Dense, which
        begin from ``seed`` (by default the network's); this one stays as it is. What
        was frozen stays frozen, but for the head. A single logistic output becomes a
        softmax for more than one class. The record of the preprocessing is left
        behind, since its labels are those of the old head.

        Args:
            classes: outputs of the new head, at least 1.

        Raises:
            ValueError: several outputs, or a network that does not end in a Dense and
                its activation.

        Source: Yosinski et al., *How transferable are features in deep neural
        networks?* (2014).

        >>> import nervure as nv
        >>> net = nv.Network([nv.Input(4), nv.Dense(8), nv.Dense(3, "softmax")])
        >>> net.replace_head(5).graph.output_shapes
        ((5,),)
        """
        graph, head = with_head(self.graph, classes)
        made = self.rebuilt(graph, seed=seed, fresh=head)
        made.preprocessing = None  # its labels were those of the old head
        made.freeze_layers(made.frozen - {head})
        return made

    def rebuilt(
        self, graph: Graph, *, seed: int | None = None, fresh: str | None = None
    ) -> Network:
        """A network of another graph, with the parameters that bear the same names.

        The others begin anew, from ``seed``, and so do those of the layer ``fresh``.
        """
        begin = self.seed if seed is None else seed
        made = Network.from_graph(graph, seed=begin, dtype=self.dtype, begin=False)
        made.preprocessing = self.preprocessing
        known = self.parameters
        new = tuple(
            s
            for s in made.layout.segments
            if s.name not in known or graph.nodes[s.node].group == fresh
        )
        initialize(replace(made.layout, segments=new), begin, made.values)
        anew = {s.name for s in new}
        for name, view in made.parameters.items():
            if name not in anew:
                view[...] = known[name]
        made.freeze_layers(self.frozen & with_parameters(graph))
        return made

    # -- running ------------------------------------------------------------------

    def executor(self, name: str = "native") -> Executor:
        """The executor of this name, made at first use."""
        if name not in self._executors:
            still = parameter_names(self.graph, self._frozen)
            model = Model(self.graph, self.layout, self.values, self.gradients, still)
            self._executors[name] = make_executor(name, model)
        return self._executors[name]

    def forward(self, X: Any, *, executor: str = "native") -> Any:
        """Outputs for rows as the first layer takes them.

        Args:
            X: ``(rows, *input_shape)``; for several inputs a sequence or a mapping
                by name. Sequences as `nervure.data.as_sequences` takes them.

        Returns:
            An array ``(rows, *output_shape)``, a list of them for several outputs. An
            output with a value for each step is `Ragged`, or an array ``(rows, time,
            *output_shape)`` where all sequences are of one length.
        """
        found = self.executor(executor).outputs(Data(self.arrays(X)))
        return predicting.alone([predicting.rectangular(y) for y in found])

    def predict(self, X: Any) -> Any:
        """Outputs for raw rows: with the preprocessing that training recorded.

        For classes these are probabilities; for a regression, targets in their units.
        A list of them for several outputs.
        """
        return predicting.predict(self, X)

    def predict_classes(self, X: Any) -> Any:
        """The most probable class of each row: its label, or its index without labels.

        Of each step where the output has a value for each. One logistic output says
        class 1 above one half.
        """
        return predicting.predict_classes(self, X)

    def evaluate(
        self,
        X: Any,
        y: Any = None,
        *,
        loss: object = None,
        metrics: Any = None,
        sample_weight: Any = None,
    ) -> dict[str, float]:
        """Loss and metrics on arrays, or on a `Dataset` as ``X`` alone.

        ``loss`` is by default the one that fits the output layer: cross_entropy after
        softmax, binary_cross_entropy after a logistic, else mse.
        """
        return evaluate(
            self, X, y, loss=loss, metrics=metrics, sample_weight=sample_weight
        )

    def trace(
        self,
        X: Any,
        y: Any = None,
        *,
        loss: object = None,
        sample_weight: Any = None,
        training: bool = False,
        step: int = 0,
        seed: int = 0,
    ) -> NetworkTrace:
        """Everything that forward and backward pass compute, by layer.

        ``t["dense"].z``, ``.a``, ``.delta``, ``.gradient["weight"]``; ``t.loss``;
        ``t.quantities["saturated"]["dense"]`` and the like, what telemetry keeps.
        Without ``y`` only z and a. With ``training`` as in step ``step`` of a training
        with this ``seed``: dropout's masks, statistics of the batch.
        """
        return trace(
            self,
            X,
            y,
            loss=loss,
            sample_weight=sample_weight,
            training=training,
            step=step,
            seed=seed,
        )

    # -- data ---------------------------------------------------------------------

    def arrays(self, X: Any) -> tuple[Rows, ...]:
        """The inputs as arrays, one per input of the graph, shapes checked.

        Sparse matrices of SciPy become `nervure.data.sparse.Sparse` rows.

        Sequences are `Ragged`.
        """
        return given.input_arrays(self.graph, self.values.dtype, X)

    def targets(self, y: Any, objective: Objective | None = None) -> list[Rows]:
        """The targets as arrays, one per output; `Ragged` where each step has one.

        Of an ``objective`` whose loss aligns labels: `nervure.data.labels.Labels`.
        """
        return given.target_arrays(self.graph, self.values.dtype, y, objective)

    def objective(self, loss: object = None, loss_weights: object = None) -> Objective:
        """The loss of each output; by default the ones that fit the output layers."""
        if loss is None and (record := self.preprocessing) and record.quantiles:
            loss = Pinball(record.quantiles)
        elif loss is None:
            loss = [
                _fitting_loss(self.graph, i) for i in range(len(self.graph.outputs))
            ]
        return Objective.of(self.graph, loss, loss_weights)

    # -- files and words ----------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write the network to one safetensors file: weights and JSON, no code."""
        save(self, path)

    def save_spec(self, path: Any) -> None:
        """Write the layers to a spec (TOML), to be read, changed and trained.

        Raises:
            ValueError: a part of a layer is code, not data.
        """
        write_atomically(path, toml.write(tables_of(self.graph, self.dtype)))

    def summary(self) -> str:
        """A table of the layers: shape, parameters, FLOPs and bytes of each.

        FLOPs are of the forward pass of one sample; bytes are of the parameters and of
        one sample's output.

        >>> import nervure as nv
        >>> net = nv.Network([nv.Input(2), nv.Dense(3, activation="relu")])
        >>> print(net.summary())
        layer             type        inputs  shape  parameters  FLOPs  bytes
        input             input               (2,)            0      0      8
        dense             dense       input   (3,)            9     15     48
        dense.activation  activation  dense   (3,)            0      3     12
        <BLANKLINE>
        9 parameters (36 B), 18 FLOPs per sample
        """
        return summary(self.graph, self.dtype, self.frozen)

    def __repr__(self) -> str:
        names = [f"{n.name}{n.shape}" for n in self.graph.nodes]
        weights = many(self.layout.count, "parameter")
        whole = f"<Network {' -> '.join(names)}, {weights}>"
        if len(whole) <= LONGEST_REPR:
            return whole
        ends = f"{names[0]} -> ... -> {names[-1]}"
        return f"<Network {ends}, {many(len(names), 'layer')}, {weights}>"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return html_summary(self.graph, self.dtype, self.frozen)


def _graph(
    layers: Sequence[Layer] | None,
    inputs: Layer | Sequence[Layer] | None,
    outputs: Symbol | Layer | Sequence[Symbol | Layer] | None,
) -> Graph:
    if layers is not None and outputs is None and inputs is None:
        return Graph.of(sequence(layers))
    if outputs is None or layers is not None:
        raise ValueError(
            "[network] expected a list of layers, or inputs= and outputs= of a graph; "
            "give one of the two"
        )
    begins = [] if inputs is None else _several(inputs)
    return Graph.of(*from_symbols(_several(outputs), begins))


def _several(given: Any) -> list[Any]:
    return list(cast(Any, given)) if isinstance(given, list | tuple) else [given]


def _memory(layout: Layout, dtype: str) -> tuple[Floats, Floats]:
    """Arrays for the parameters and their gradients."""
    both = 2 * layout.size * np.dtype(dtype).itemsize
    check_memory(both, "network", f"{layout.count:,} parameters and their gradients")
    return aligned_zeros(layout.size, dtype), aligned_zeros(layout.size, dtype)


def _fitting_loss(graph: Graph, output: int) -> str:
    activation = activation_of(graph.nodes[answering(graph, output)].layer)
    if activation in ("softmax", "log_softmax"):
        return "cross_entropy"
    if activation == "logistic":
        return "binary_cross_entropy"
    return "mse"
