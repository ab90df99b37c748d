# SPDX-License-Identifier: BSD-3-Clause
"""Autoencoder: what each variant costs, its halves, samples and anomalies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv

RNG = np.random.default_rng(5)
X = RNG.normal(size=(400, 2)) @ RNG.normal(size=(2, 6)) + 0.05 * RNG.normal(
    size=(400, 6)
)
ENCODER = [nv.Input(6), nv.Dense(12, activation="tanh"), nv.Dense(2)]
DECODER = [nv.Dense(12, activation="tanh"), nv.Dense(6)]


def made(**given: Any) -> nv.Autoencoder:
    return nv.Autoencoder(ENCODER, DECODER, seed=1, dtype="float64", **given)


def cost(autoencoder: nv.Autoencoder, rows: Any = X) -> float:
    """That of one step over all rows, which changes next to nothing."""
    given = {"optimizer": nv.SGD(1e-12), "epochs": 1, "batch_size": len(rows)}
    return autoencoder.fit(rows, progress=False, **given).history["loss"][0]


def test_the_linear_one_spans_the_space_of_the_principal_components() -> None:
    """Baldi and Hornik (1989): the best rank-two map of centred rows is PCA's."""
    rows = X - X.mean(axis=0)
    autoencoder = nv.Autoencoder(
        [nv.Input(6), nv.Dense(2, bias=False)],
        [nv.Dense(6, bias=False)],
        seed=2,
        dtype="float64",
    )
    exact = nv.LBFGS(tolerance=0, gradient_tolerance=1e-9)
    autoencoder.fit(rows, optimizer=exact, epochs=500, progress=False)
    axes = np.linalg.svd(rows, full_matrices=False)[2][:2]
    np.testing.assert_allclose(
        autoencoder.reconstruct(rows), rows @ axes.T @ axes, atol=1e-4
    )


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"noise": 0.1, "masking": 0.1},
        {"l1": 0.01},
        {"contraction": 0.01},
        {"beta": 0.01},
    ],
    ids=lambda given: next(iter(given), "plain"),
)
def test_every_variant_learns_to_reconstruct(given: dict[str, Any]) -> None:
    autoencoder = made(**given)
    begin = autoencoder.score(X).mean()
    run = autoencoder.fit(
        X, epochs=40, optimizer=nv.Adam(0.01), validation=0.25, progress=False
    )
    assert autoencoder.score(X).mean() < 0.2 * begin
    assert run.history["validation_loss"][-1] < run.history["validation_loss"][0]
    codes = autoencoder.encode(X)
    assert codes.shape == (400, 2)
    np.testing.assert_array_equal(autoencoder.decode(codes), autoencoder.reconstruct(X))


# -- what is added to the cost ---------------------------------------------------------


def test_l1_costs_the_mean_size_of_the_code() -> None:
    plain, sparse = made(), made(l1=0.5)
    expected = cost(plain) + 0.5 * np.abs(plain.encode(X)).mean()
    assert cost(sparse) == pytest.approx(expected, rel=1e-6)


def test_a_divergence_is_that_of_two_normal_distributions() -> None:
    """Against 1/2 (m^2 + e^v - v - 1) of what the two layers give."""
    with_it, without = made(beta=0.3), made(beta=0.0)
    whole = with_it.network
    trace = whole.trace(X)
    m, v = trace["code"].a, trace["log_variance"].a
    divergence = (0.5 * (m**2 + np.exp(v) - v - 1)).sum(axis=1).mean()
    assert cost(with_it) - cost(without) == pytest.approx(
        0.3 * divergence / 6, rel=1e-6
    )


def test_a_contraction_is_felt_as_the_slope_of_the_encoder() -> None:
    """Of a linear one the squares of its weights; felt at random, to some percent."""
    layers: Any = [nv.Input(6), nv.Dense(2)], [nv.Dense(6)]
    rows = np.tile(X, (50, 1))
    plain = nv.Autoencoder(*layers, seed=1, dtype="float64")
    tight = nv.Autoencoder(*layers, seed=1, dtype="float64", contraction=10.0)
    weight = plain.network.parameters["code.weight"]
    felt = (cost(tight, rows) - cost(plain, rows)) / 10
    assert felt == pytest.approx((weight**2).sum(axis=0).mean(), rel=0.03)


def test_sparsity_costs_the_divergence_of_mean_activities() -> None:
    layers: Any = [nv.Input(6), nv.Dense(3, activation="logistic")], [nv.Dense(6)]
    plain = nv.Autoencoder(*layers, seed=1, dtype="float64")
    sparse = nv.Autoencoder(*layers, seed=1, dtype="float64", sparsity=(0.1, 2.0))
    mean = plain.encode(X).mean(axis=0)
    kl = 0.1 * np.log(0.1 / mean) + 0.9 * np.log(0.9 / (1 - mean))
    assert cost(sparse) - cost(plain) == pytest.approx(2 * kl.sum(), rel=1e-6)
    strong = nv.Autoencoder(*layers, seed=1, dtype="float64", sparsity=(0.1, 20.0))
    strong.fit(X, epochs=100, optimizer=nv.Adam(0.02), batch_size=100, progress=False)
    assert np.abs(strong.encode(X).mean(axis=0) - 0.1).max() < 0.05


def test_gradients_of_all_terms_are_right() -> None:
    autoencoder = made(l1=0.1, contraction=0.1, beta=0.2, noise=0.1)
    rows = X[:20]
    zeros = [np.zeros((20, n)) for n in (1, 2, 2)]
    losses, targets = ["mse", "mae", "mse", "mae"], [rows, zeros[0] + 2, *zeros[1:]]
    check = nv.check_gradients(autoencoder.network, rows, targets, loss=losses)
    assert check.passed


# -- halves, files ---------------------------------------------------------------------


def test_a_tied_decoder_has_the_encoder_s_weights() -> None:
    code = nv.Dense(2, activation="tanh", name="narrow")
    back = nv.Tied("narrow", transposed=True)
    autoencoder = nv.Autoencoder([nv.Input(6), code], [back], seed=3, dtype="float64")
    autoencoder.fit(X, epochs=3, progress=False)
    weight = autoencoder.network.parameters["narrow.weight"]
    bias = autoencoder.network.parameters["tied.bias"]
    codes = autoencoder.encode(X)
    np.testing.assert_allclose(autoencoder.decode(codes), codes @ weight.T + bias)


def test_images_by_convolutions() -> None:
    images = RNG.random((60, 8, 8, 1))
    same = {"padding": "same", "activation": "relu"}
    autoencoder = nv.Autoencoder(
        [
            nv.Input((8, 8, 1)),
            nv.Conv2D(4, 3, stride=2, **same),
            nv.Flatten(),
            nv.Dense(3),
        ],
        [
            nv.Dense(64, activation="relu"),
            nv.Reshape((4, 4, 4)),
            nv.Conv2DTranspose(1, 3, stride=2, padding="same", activation="logistic"),
        ],
        loss="binary_cross_entropy",
    )
    run = autoencoder.fit(images, epochs=5, validation=0.2, progress=False)
    assert run.history["loss"][-1] < run.history["loss"][0]
    assert autoencoder.reconstruct(images).shape == images.shape
    assert autoencoder.encode(images).shape == (60, 3)


def test_a_data_set_gives_its_inputs_as_they_are_scaled() -> None:
    digits = nv.data.load("digits")
    layers: Any = [nv.Input((8, 8, 1)), nv.Flatten(), nv.Dense(4)]
    autoencoder = nv.Autoencoder(layers, [nv.Dense(64), nv.Reshape((8, 8, 1))])
    pixels = digits.inputs * np.float32(digits.preprocessing.scale)
    assert autoencoder.score(digits).tobytes() == autoencoder.score(pixels).tobytes()
    autoencoder.fit(digits, epochs=1, progress=False)


@pytest.mark.parametrize("beta", [None, 0.1])
def test_a_file_gives_it_back(beta: float | None, tmp_path: Path) -> None:
    autoencoder = made(beta=beta)
    autoencoder.fit(X, epochs=2, progress=False)
    autoencoder.save(tmp_path / "model.safetensors")
    found = nv.Autoencoder.load(tmp_path / "model.safetensors")
    assert found.reconstruct(X).tobytes() == autoencoder.reconstruct(X).tobytes()
    with pytest.raises(ValueError, match="made of a network, whose terms of cost"):
        found.fit(X)


def test_the_same_seed_gives_the_same_bits_whatever_the_threads() -> None:
    """Noise is a function of seed, step, node and element."""
    found = []
    for threads in (1, 2):
        autoencoder = made(beta=0.1, noise=0.1, contraction=0.1)
        given = {"seed": 4, "threads": threads, "progress": False}
        autoencoder.fit(X, epochs=3, batch_size=50, **given)
        found.append(autoencoder.network.values.tobytes())
    assert found[0] == found[1]


# -- samples and anomalies -------------------------------------------------------------


def test_samples_are_decoded_from_a_normal_distribution() -> None:
    autoencoder = made(beta=0.1)
    autoencoder.fit(X, epochs=60, optimizer=nv.Adam(0.01), progress=False)
    rows = autoencoder.sample(2_000, seed=1)
    assert rows.shape == (2_000, 6)
    assert np.array_equal(rows, autoencoder.sample(2_000, seed=1))
    ratio = rows.std(axis=0) / X.std(axis=0)
    assert ((ratio > 0.5) & (ratio < 1.5)).all()


def test_rows_of_another_kind_are_anomalies() -> None:
    autoencoder = made()
    autoencoder.fit(X[:300], epochs=60, optimizer=nv.Adam(0.01), progress=False)
    assert autoencoder.find_threshold(X[300:], 0.95) == autoencoder.threshold
    assert autoencoder.is_anomaly(X[300:]).mean() == pytest.approx(0.05)
    strange = np.random.default_rng(0).normal(size=(100, 6)) * X.std(axis=0)
    assert autoencoder.is_anomaly(strange).mean() > 0.9


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: nv.Autoencoder([nv.Dense(2)], DECODER),
            "[autoencoder] the encoder does not begin with nv.Input and end with the "
            "layer of the code; expected both; write e.g. [nv.Input(784), nv.Dense(32)]",
        ),
        (
            lambda: nv.Autoencoder(ENCODER, []),
            "[autoencoder] a decoder without layers; expected one that gives the "
            "input's shape; write e.g. [nv.Dense(784)]",
        ),
        (
            lambda: nv.Autoencoder(ENCODER, [nv.Dense(5)]),
            "[autoencoder] rows of shape (6,) and a decoder that gives (5,); expected "
            "the same; change its last layer",
        ),
        (
            lambda: made(l1=0.1, sparsity=(0.1, 1.0)),
            "[autoencoder] l1 and sparsity; expected one way to make codes sparse; "
            "leave one out",
        ),
        (
            lambda: made(sparsity=0.1),
            "[autoencoder] sparsity = 0.1; expected the mean activity of a unit and a "
            "weight; write e.g. (0.05, 1.0)",
        ),
        (
            lambda: made().fit([[1.0, 2.0], [3.0]]),
            "[X] rows of different lengths or kinds",
        ),
        (
            lambda: made().sample(3),
            "[sample] an autoencoder that is not variational; expected codes that "
            "follow a known distribution; train one with beta=1.0, or decode codes of "
            "your own",
        ),
        (
            lambda: made().is_anomaly(X),
            "[is_anomaly] no threshold; expected one; call find_threshold with sound "
            "rows first",
        ),
        (
            lambda: nv.Autoencoder.of(nv.Network([nv.Input(6), nv.Dense(6)])),
            "[autoencoder] unknown layer 'code'",
        ),
    ],
)
def test_what_is_refused(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        call()


def test_a_decoder_that_reads_past_the_code_is_refused() -> None:
    x = nv.Input(6)
    hidden = nv.Dense(4, name="hidden")(x)
    code = nv.Dense(2, name="code")(hidden)
    out = nv.Dense(6)(nv.Concatenate(name="both")(code, hidden))
    autoencoder = nv.Autoencoder.of(nv.Network(inputs=x, outputs=out))
    with pytest.raises(ValueError, match="'both' reads 'hidden', which is before the"):
        autoencoder.decode(np.zeros((1, 2)))
