# SPDX-License-Identifier: BSD-3-Clause
"""The JAX executor against the native one: forward, gradients, training."""

import subprocess
import sys

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data, Job, Stretch, make_executor
from nervure.graph.parameters import aligned_zeros
from nervure.layers import INFERENCE, LAYERS
from nervure.losses import LOSSES, CrossEntropy, LogCosh, LossError
from nervure.losses._loss import softplus
from nervure.network.inputs import make_data
from nervure.optimizers import OPTIMIZERS, SGD, Adam, RMSprop
from nervure.regularizers import L1, L2, MaxNorm

jax = pytest.importorskip("jax")

TOLERANCE = {
    "float32": {"rtol": 2e-5, "atol": 2e-6},
    "float64": {"rtol": 1e-10, "atol": 1e-12},
}
DTYPES = tuple(TOLERANCE)
EXECUTORS = ("native", "jax")


def close(found, expected, dtype, slack=1):
    tolerance = {name: slack * value for name, value in TOLERANCE[dtype].items()}
    np.testing.assert_allclose(found, expected, **tolerance)


def normal(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# -- graphs ----------------------------------------------------------------------


def around(example):
    """A graph of one layer, fed by inputs and by what makes it a whole network."""
    inputs = [nv.Input(shape) for shape in example.shapes]
    if inputs:
        return inputs, example.layer(*inputs)
    shape = example.layer.output_shape()
    if example.layer.kind == "input":
        return [example.layer], nv.Activation("tanh")(example.layer)
    inputs = [nv.Input(shape)]
    return inputs, nv.Multiply()(example.layer, inputs[0])


def branches():
    """Two inputs, a skip, a node used twice, a bias node, two outputs."""
    a, b = nv.Input(3), nv.Input((2, 2))
    flat = nv.Flatten()(b)
    hidden = nv.Dense(5, activation="tanh")(nv.Concatenate()(a, flat))
    skip = nv.Add()(hidden, nv.Dense(5, activation="gelu")(hidden))
    biased = nv.Concatenate()(nv.Dropout(0.3)(skip), nv.Constant())
    gated = nv.Multiply()(nv.Slice(0, 3)(biased), nv.Normalize(0.5, 2.0)(a))
    classes = nv.Dense(3, activation="softmax", name="classes")(biased)
    value = nv.Dense(2, name="value")(gated)
    return [a, b], [classes, value]


def branching_net(dtype="float32", seed=1):
    inputs, outputs = branches()
    return nv.Network(inputs=inputs, outputs=outputs, dtype=dtype, seed=seed)


def branching_data(rows=23, seed=2):
    X = [normal(rows, 3, seed=seed), normal(rows, 2, 2, seed=seed + 1)]
    classes = np.random.default_rng(seed).integers(0, 3, rows)
    return X, [classes, normal(rows, 2, seed=seed + 2)]


def small_net(dtype="float32", dropout=0.25):
    layers = [
        nv.Input(6),
        nv.Dense(9, activation="tanh"),
        nv.Dropout(dropout),
        nv.Dense(3, activation="softmax"),
    ]
    return nv.Network(layers, seed=4, dtype=dtype)


def small_data(rows=50, seed=5):
    X = normal(rows, 6, seed=seed)
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def rows_for(net, node, seed):
    """Four rows, or sequences of 2, 1, 4 and 3 steps, in the shape of a node."""
    node = net.graph.nodes[node]
    if node.clock is None:
        return normal(4, *node.shape, seed=seed)
    return nv.Ragged(normal(10, *node.shape, seed=seed), [2, 1, 4, 3])


def listed(arrays):
    """One array by itself, several as a list: as networks take them."""
    return arrays if len(arrays) > 1 else arrays[0]


def agree_on_traces(net, data, objective, training=False):
    draw = (3, 5) if training else None
    expected = net.executor("native").trace(data, objective, draw=draw)
    gradients = net.gradients.copy()
    found = net.executor("jax").trace(data, objective, draw=draw)
    close(found.cost, expected.cost, net.dtype)
    close(net.gradients, gradients, net.dtype)
    for mine, theirs in zip(found.values, expected.values, strict=True):
        close(mine, theirs, net.dtype)
    for node, mine, theirs in zip(
        net.graph.nodes, found.gradients, expected.gradients, strict=True
    ):
        assert (mine is None) == (theirs is None), node.name
        if mine is not None:
            close(mine, theirs, net.dtype)


@pytest.mark.parametrize(
    "kind", [k for k in LAYERS if k.examples()], ids=lambda kind: kind.kind
)
def test_every_layer_equals_the_native_one(kind):
    """All examples of a layer side by side in one network."""
    parts = [around(example) for example in kind.examples()]
    inputs = [x for begins, _ in parts for x in begins]
    outputs = [output for _, output in parts]
    net = nv.Network(inputs=inputs, outputs=outputs, dtype="float64")
    X = [rows_for(net, node, seed=i) for i, node in enumerate(net.graph.inputs)]
    for codes in net.graph.codes:
        flat = X[codes.input].reshape(4, -1)
        flat[:, codes.columns] = np.arange(4)[:, None] % codes.sizes
    y = [rows_for(net, node, seed=i) for i, node in enumerate(net.graph.outputs, 50)]
    objective = net.objective("mse")
    data = make_data(net, listed(X), listed(y), objective)
    agree_on_traces(net, data, objective)


@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_and_costs_of_a_graph(dtype):
    net = branching_net(dtype)
    X, y = branching_data(rows=1500)
    objective = net.objective(["cross_entropy", "huber"], [1.0, 0.25])
    data = make_data(net, X, y, objective)
    expected_outputs, expected_costs = net.executor("native").row_costs(data, objective)
    outputs, costs = net.executor("jax").row_costs(data, objective)
    for expected, found in zip(expected_outputs, outputs, strict=True):
        assert found.dtype == dtype
        close(found, expected, dtype)
    close(costs, expected_costs, dtype)
    for expected, found in zip(
        net.forward(X), net.forward(X, executor="jax"), strict=True
    ):
        close(found, expected, dtype)


@pytest.mark.parametrize(("dtype", "training"), [("float32", True), ("float64", False)])
def test_gradients_of_a_graph(dtype, training):
    net = branching_net(dtype)
    X, y = branching_data()
    objective = net.objective(["cross_entropy", "mae"], [2.0, 0.5])
    weights = np.random.default_rng(0).uniform(0, 3, 23) * 1e60
    data = make_data(net, X, y, objective, weights)
    more = {"training": training, "seed": 8}
    expected = net.executor("native").gradient(data, objective, **more)
    gradients = net.gradients.copy()
    net.gradients[:] = 7
    found = net.executor("jax").gradient(data, objective, **more)
    close(found, expected, dtype)
    for segment in net.layout.segments:
        if segment.parameter.trainable:
            close(segment.view(net.gradients), segment.view(gradients), dtype)
        else:
            assert not segment.view(net.gradients).any()


@pytest.mark.parametrize("training", [False, True])
def test_trace_of_a_graph(training):
    net = branching_net("float64")
    X, y = branching_data()
    objective = net.objective(["cross_entropy", "mse"])
    agree_on_traces(net, make_data(net, X, y, objective), objective, training)


def test_cost_of_an_output_whose_input_is_an_output_too():
    x = nv.Input(3)
    z = nv.Dense(4)(x)
    for last in (nv.LogSoftmax(), nv.Softmax()):
        net = nv.Network(inputs=x, outputs=[z, last(z)], dtype="float64")
        objective = net.objective(["mse", "cross_entropy"])
        y = [normal(5, 4, seed=1), np.arange(5) % 4]
        data = make_data(net, normal(5, 3), y, objective)
        agree_on_traces(net, data, objective)


def test_trace_without_targets():
    net = branching_net()
    X, _ = branching_data()
    found = net.executor("jax").trace(Data(net.arrays(X)), None)
    expected = net.executor("native").trace(Data(net.arrays(X)), None)
    assert np.isnan(found.cost)
    assert set(found.gradients) == {None}
    for mine, theirs in zip(found.values, expected.values, strict=True):
        close(mine, theirs, "float32")


def ends_for(loss, target, width):
    """Activations of an output layer that the loss accepts with such targets."""
    for activation in (None, "logistic", "softmax", "log_softmax", "softplus"):
        net = nv.Network([nv.Input(2), nv.Dense(width, activation=activation)])
        try:
            objective = net.objective(loss)
            objective.check_targets(net.graph, [target], "float64")
        except LossError:
            continue
        yield activation


ROWS = [kind for kind in LOSSES if not kind.aligns]  # the others: test_ctc.py


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.kind)
def test_every_loss_equals_the_native_one(kind):
    """All examples, behind every activation they accept, as outputs of one net."""
    x, outputs, losses, targets = nv.Input(2), [], [], []
    for example in kind.examples():
        target, width = np.array(example.target), len(example.output[0])
        for activation in ends_for(example.loss, target, width):
            outputs.append(nv.Dense(width, activation=activation)(x))
            losses.append(example.loss)
            targets.append(target)
    assert set(losses) == {example.loss for example in kind.examples()}
    net = nv.Network(inputs=x, outputs=outputs, dtype="float64", seed=3)
    objective = net.objective(losses)
    rows = len(targets[0])
    weights = np.arange(1.0, rows + 1)
    data = make_data(net, normal(rows, 2), listed(targets), objective, weights)
    expected = net.executor("native").gradient(data, objective)
    gradients = net.gradients.copy()
    close(net.executor("jax").gradient(data, objective), expected, "float64")
    close(net.gradients, gradients, "float64")


@pytest.mark.parametrize("kind", ["softmax", "log_softmax", "cross_entropy"])
def test_no_largest_element_is_differentiated(kind):
    """JAX compares for it, and 0 / 0 follows where XLA rounds an operand in two ways.

    Nesterov's look-ahead gave NaN so, compiled with most optimizations off.
    """
    formula = {
        "softmax": lambda z: nv.Softmax().formula(jax.numpy, {}, z, info=INFERENCE),
        "log_softmax": lambda z: nv.LogSoftmax().formula(
            jax.numpy, {}, z, info=INFERENCE
        ),
        "cross_entropy": lambda z: CrossEntropy().logits_formula(
            jax.numpy, z, np.array([0, 1])
        ),
    }[kind]
    derivative = jax.make_jaxpr(jax.grad(lambda z: formula(z)[0].sum()))
    assert "reduce_max" in str(derivative(np.ones((2, 3), np.float32)))
    assert " eq " not in str(derivative(np.ones((2, 3), np.float32)))


def test_softplus_of_the_losses_has_its_derivative_everywhere():
    """Also at 0, and without a comparison for equality (see above)."""
    z = np.array([-100.0, -1.0, 0.0, 1.0, 100.0])
    slope = jax.grad(lambda z: softplus(jax.numpy, z).sum())
    np.testing.assert_allclose(slope(z), 1 / (1 + np.exp(-z)), rtol=1e-6, atol=1e-40)
    assert " eq " not in str(jax.make_jaxpr(slope)(z))
    assert np.isfinite(softplus(np, np.array([-1e30, 1e30]))).all()


def test_the_gradient_of_log_cosh_under_jax_is_tanh():
    d = np.array([-800.0, -0.75, -1e-5, 0.0, 0.5, 800.0], np.float32)
    one = LogCosh()
    slope = jax.grad(lambda y: one.formula(jax.numpy, y[:, None], 0 * d[:, None]).sum())
    np.testing.assert_allclose(slope(d), np.tanh(d), rtol=2e-6, atol=1e-12)


POOLS = [nv.GlobalMaxPool2D, nv.GlobalAveragePool2D, nv.GlobalL2Pool2D]
SLIDING = [nv.MaxPool2D, nv.AveragePool2D, nv.L2Pool2D]


@pytest.mark.parametrize(
    "of",
    [
        *(lambda n, kind=kind: kind() for kind in POOLS),
        *(lambda n, kind=kind: kind(n, padding="same") for kind in SLIDING),
        lambda n: nv.AdaptiveMaxPool2D(n // 3),
    ],
    ids=[*(kind.kind for kind in (*POOLS, *SLIDING)), "adaptive_max_pool2d"],
)
def test_a_program_does_not_grow_with_the_windows_of_pooling(of):
    """One gather for each pixel of a window of 16 x 16 took 78 s to compile."""

    def program(n):
        def cost(x):
            return of(n).formula(jax.numpy, {}, x, info=INFERENCE).sum()

        return jax.make_jaxpr(jax.grad(cost))(np.ones((1, n, n, 2), np.float32))

    assert len(program(16).eqns) == len(program(4).eqns) < 60


# -- training --------------------------------------------------------------------


def job_of(net, X, y, rule, *, loss=None, weights=None, scale=1.0, **more):
    objective = net.objective(loss)
    data = make_data(net, X, y, objective, weights, scale=scale)
    slots = tuple(aligned_zeros(net.layout.size, net.dtype) for _ in rule.slots)
    return Job(objective, data, rule, slots, batch_size=8, seed=11, **more)


def order_of(rows, seed=3):
    return np.random.default_rng(seed).permutation(rows)


def train(executor, net, job, order, rate=0.05, cuts=()):
    """One epoch in the stretches that `cuts`, numbers of steps, begin."""
    trainer = net.executor(executor).trainer(job)
    shapes = net.graph.output_shapes
    outputs = [np.zeros((job.data.rows, *shape), net.dtype) for shape in shapes]
    total, size, results = -(-len(order) // job.batch_size), job.batch_size, []
    for begin, end in zip([0, *cuts], [*cuts, total], strict=True):
        rates = [rate / (1 + 0.1 * step) for step in range(begin, end)]
        rows = order[begin * size : end * size]
        results.append(trainer.run(Stretch(rows, rates, begin), outputs))
    return results, outputs


def both(make_net, make_job, **more):
    """The same epoch under both executors: nets, jobs, results and outputs."""
    found = []
    for executor in EXECUTORS:
        net = make_net()
        job = make_job(net)
        results, outputs = train(executor, net, job, order_of(job.data.rows), **more)
        found.append((net, job, results[0], outputs))
    return found


def agree(native, other, dtype, slack=1):
    (net, job, result, outputs), (net2, job2, result2, outputs2) = native, other
    close(result2.costs, result.costs, dtype, slack)
    np.testing.assert_allclose(result2.weights, result.weights, rtol=1e-15)
    assert result2.finite == result.finite
    close(net2.values, net.values, dtype, slack)
    for mine, theirs in zip(job2.slots, job.slots, strict=True):
        close(mine, theirs, dtype, slack)
    for mine, theirs in zip(outputs2, outputs, strict=True):
        close(mine, theirs, dtype, slack)


RULES = [
    *(kind() for kind in OPTIMIZERS if kind.stepwise),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True, weight_decay=0.01),
    Adam(amsgrad=True, clip_norm=0.2),
    RMSprop(momentum=0.5, centered=True, clip_value=0.01),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_every_rule_takes_the_native_steps(rule):
    X, y = small_data(rows=160)
    native, other = both(
        lambda: small_net("float64"), lambda net: job_of(net, X, y, rule)
    )
    assert len(native[2].costs) == 20
    agree(native, other, "float64", slack=100)


def test_training_in_float32():
    X, y = small_data(rows=165)
    native, other = both(small_net, lambda net: job_of(net, X, y, Adam()))
    assert len(native[2].costs) == 21
    agree(native, other, "float32", slack=50)


@pytest.mark.parametrize("regularizer", [L1(0.01), L2(0.1), MaxNorm(0.7)])
def test_regularizers(regularizer):
    X, y = small_data(rows=80)
    rule = SGD(momentum=0.9, nesterov=True)
    native, other = both(
        lambda: small_net("float64"),
        lambda net: job_of(net, X, y, rule, regularizer=regularizer),
    )
    agree(native, other, "float64", slack=100)


def test_several_outputs_weights_and_a_partial_batch():
    X, y = branching_data(rows=37)
    weights = np.random.default_rng(1).uniform(0, 2, 37)
    weights[order_of(37)[8:16]] = 0  # a batch that weighs nothing
    native, other = both(
        lambda: branching_net("float64"),
        lambda net: job_of(
            net, X, y, Adam(), loss=["cross_entropy", "mse"], weights=weights
        ),
    )
    assert len(native[2].costs) == 5
    assert native[2].weights[1] == 0
    agree(native, other, "float64", slack=100)


def test_bytes_are_read_with_their_scale():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (40, 2, 3), dtype=np.uint8)
    y = rng.integers(0, 2, 40)

    def net():
        layers = [nv.Input((2, 3)), nv.Flatten(), nv.Dense(2, activation="softmax")]
        return nv.Network(layers, seed=2)

    native, other = both(net, lambda net: job_of(net, X, y, SGD(), scale=1 / 255))
    agree(native, other, "float32", slack=5)
    data = other[1].data
    expected, found = (other[0].executor(e).outputs(data)[0] for e in EXECUTORS)
    close(found, expected, "float32")


def test_ends_before_the_update_of_a_cost_that_is_not_finite():
    X, y = small_data(rows=44)
    nets = [small_net("float64") for _ in EXECUTORS]
    for bad in (3, 21, 40):  # in the first, a later and the partial batch
        found = []
        for executor, net in zip(EXECUTORS, nets, strict=True):
            net.values[:] = small_net("float64").values
            job = job_of(net, X.copy(), y, SGD(momentum=0.9, nesterov=True))
            job.data.inputs[0][order_of(44)[bad]] = np.nan
            ((result,), _) = train(executor, net, job, order_of(44))
            found.append((result, net, job))
        (native, net, job), (other, net2, job2) = found
        assert not other.finite
        assert len(other.costs) == bad // 8
        close(other.costs, native.costs, "float64")
        assert np.isfinite(net2.values).all()
        close(net2.values, net.values, "float64", slack=100)
        close(job2.slots[0], job.slots[0], "float64", slack=100)  # the momentum


def test_the_bits_do_not_depend_on_how_training_is_cut():
    X, y = small_data(rows=84)
    rule = SGD(momentum=0.9, nesterov=True, weight_decay=0.01)
    nets, ends = [small_net()] * 3 + [small_net()], []
    for net, cuts in zip(nets, [(), (1, 2, 7), (10,), ()], strict=True):
        net.values[:] = small_net().values
        job = job_of(net, X, y, rule)
        train("jax", net, job, order_of(84), cuts=cuts)
        ends.append((net.values.tobytes(), *(slot.tobytes() for slot in job.slots)))
    assert len(set(ends)) == 1


def test_a_step_outside_of_the_loop_does_the_same():
    X, y = small_data(rows=40)
    ends = []
    for loops in (True, False):
        net = small_net("float64")
        job = job_of(net, X, y, Adam())
        trainer = net.executor("jax").trainer(job)
        trainer._program.loops = loops
        results = trainer.run(Stretch(order_of(40), [0.01] * 5, 0), ())
        ends.append((net.values.copy(), results.costs))
    close(ends[1][0], ends[0][0], "float64")
    close(ends[1][1], ends[0][1], "float64")


def test_frozen_parameters_keep_their_bits():
    X, y = small_data()
    net = small_net()
    model = net.executor("jax").model
    frozen = type(model)(
        net.graph, net.layout, net.values, net.gradients, frozenset({"dense.weight"})
    )
    before = net.values.copy()
    job = job_of(net, X, y, Adam(weight_decay=0.1))
    trainer = make_executor("jax", frozen).trainer(job)
    trainer.run(Stretch(order_of(50), [0.1] * 7, 0), ())
    for segment in net.layout.segments:
        same = np.array_equal(segment.view(net.values), segment.view(before))
        assert same == (segment.name == "dense.weight")


def test_two_trainers_of_one_kind_share_what_is_compiled():
    X, y = small_data()
    net = small_net()
    job = job_of(net, X, y, SGD())
    executor = net.executor("jax")
    first, second = executor.trainer(job), executor.trainer(job)
    for trainer in (first, second):
        for count in (1, 3, 6):
            rows = order_of(50)[: count * 8]
            trainer.run(Stretch(rows, [0.1] * count, 0), ())
    assert first._program is second._program
    assert first._program.many._cache_size() == 1


# -- the whole -------------------------------------------------------------------


def test_fit_goes_the_same_way():
    X, y = small_data(rows=90)
    runs, nets = [], []
    for executor in EXECUTORS:
        net = small_net("float64")
        run = nv.fit(
            net,
            X,
            y,
            epochs=3,
            batch_size=16,
            validation=0.2,
            class_weight="balanced",
            executor=executor,
            seed=6,
            progress=False,
        )
        runs.append(run)
        nets.append(net)
    for name, values in runs[0].history.items():
        if name != "seconds":
            np.testing.assert_allclose(runs[1].history[name], values, rtol=1e-9)
    np.testing.assert_allclose(nets[1].values, nets[0].values, rtol=1e-8, atol=1e-11)


def test_lbfgs_goes_the_same_way():
    X, y = small_data(rows=60)
    ends = []
    for executor in EXECUTORS:
        net = small_net("float64")
        more = {"epochs": 5, "executor": executor, "progress": False}
        ends.append(nv.fit(net, X, y, optimizer="lbfgs", **more).history["loss"])
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-6)


def test_divergence_is_reported():
    net = nv.Network([nv.Input(6), nv.Dense(1)], seed=0)
    X, _ = small_data()
    with pytest.raises(nv.DivergenceError, match="lower the learning rate"):
        nv.fit(
            net,
            X * 1e3,
            X[:, 0],
            optimizer=SGD(1e3),
            epochs=20,
            executor="jax",
            progress=False,
        )
    assert np.isfinite(net.values).all()


def test_float32_needs_no_64_bits_and_float64_leaves_none_behind():
    X, _ = small_data()
    for setting in (False, True):
        with jax.enable_x64(setting):
            for dtype in DTYPES:
                assert small_net(dtype).forward(X, executor="jax").dtype == dtype
            assert jax.config.jax_enable_x64 is setting


def test_a_python_function_as_loss_is_refused():
    def distance(output, target):
        return np.mean((output - target) ** 2), output - target

    net = nv.Network([nv.Input(2), nv.Dense(1)])
    objective = net.objective(distance)
    data = make_data(net, np.ones((3, 2)), np.ones(3), objective)
    job = Job(objective, data, SGD(), (), 1, 0)
    executor = net.executor("jax")
    expected = (
        r"^\[custom loss 'distance'\] a Python function of NumPy arrays cannot be "
        r'compiled by JAX; use executor="native" or a built-in loss$'
    )
    for call in (executor.gradient, executor.row_costs, executor.trace):
        with pytest.raises(LossError, match=expected):
            call(data, objective)
    with pytest.raises(LossError, match=expected):
        executor.trainer(job)


def test_without_jax_the_extra_is_named(monkeypatch):
    net = small_net()
    monkeypatch.setitem(sys.modules, "jax", None)
    expected = r'^\[executor="jax"\] needs JAX, .* run: pip install "nervure\[jax\]"$'
    with pytest.raises(ImportError, match=expected):
        net.executor("jax")


def test_jax_is_imported_only_where_it_is_used():
    code = (
        "import sys, nervure as nv\n"
        "net = nv.Network([nv.Input(2), nv.Dense(1)])\n"
        "net.forward([[1.0, 2.0]])\n"
        "import nervure.executors.jax\n"
        "assert 'jax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
