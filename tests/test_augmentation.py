# SPDX-License-Identifier: BSD-3-Clause
"""Augmentation: every change against its formula in NumPy, and training with them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure import random
from nervure.data import DataError
from nervure.data.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    Brightness,
    ColorJitter,
    Contrast,
    Crop,
    CutMix,
    Cutout,
    Elastic,
    Flip,
    Mixup,
    Rotate,
    Scale,
    Shear,
    Shift,
    augment,
    augmentations,
    engine_changes,
)
from nervure.executors import Job, Stretch
from nervure.network.inputs import make_data
from nervure.spec.reading import parse_spec
from nervure.spec.tables import SpecError
from nervure.spec.written import write_spec

SEED, STEP = 2**40 + 3, 2**33 + 5


# -- the reference: the same numbers, the formulas in NumPy ---------------------------


def draws(key: int, row: int, size: int = 8) -> np.ndarray:
    words = random.uniform(np, SEED, STEP, key, (row + 1) * size)
    return words[row * size :].astype(np.float64)


def about_middle(matrix: list[list[float]], height: int, width: int) -> np.ndarray:
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    found = np.eye(3)
    found[:2, :2] = matrix
    found[:2, 2] = middle - np.array(matrix) @ middle
    return found


def shift_source(one: Any, u: np.ndarray, height: int, width: int) -> np.ndarray:
    found = np.eye(3)
    for i, most in enumerate((one.attributes()["down"], one.attributes()["across"])):
        found[i, 2] = most - int(u[1 + i] * (2 * most + 1))
    return found


def flip_source(one: Any, u: np.ndarray, height: int, width: int) -> np.ndarray:
    found = np.eye(3)
    for i, (chosen, side) in enumerate(
        [(one.vertical, height), (one.horizontal, width)]
    ):
        if chosen and u[1 + i] < 0.5:
            found[i, i], found[i, 2] = -1, side - 1
    return found


def angle(one: Any, u: np.ndarray) -> float:
    return math.radians(-one.degrees + u[1] * 2 * one.degrees)


def rotate_source(one: Any, u: np.ndarray, height: int, width: int) -> np.ndarray:
    c, s = math.cos(angle(one, u)), math.sin(angle(one, u))
    return about_middle([[c, s], [-s, c]], height, width)


def scale_source(one: Any, u: np.ndarray, height: int, width: int) -> np.ndarray:
    factor = 1 / (one.smallest + u[1] * (one.largest - one.smallest))
    return about_middle([[factor, 0], [0, factor]], height, width)


def shear_source(one: Any, u: np.ndarray, height: int, width: int) -> np.ndarray:
    return about_middle([[1, 0], [math.tan(angle(one, u)), 1]], height, width)


SOURCES: dict[type, Callable[..., np.ndarray]] = {
    Shift: shift_source,
    Crop: shift_source,
    Flip: flip_source,
    Rotate: rotate_source,
    Scale: scale_source,
    Shear: shear_source,
}


def displacement(
    one: Elastic, key: int, row: int, height: int, width: int
) -> np.ndarray:
    """Two fields (2, height, width)."""
    drawn = (height * width + 3) // 4 * 4
    noise = random.uniform(np, SEED, STEP, key, 2 * (row + 1) * drawn).astype(float)
    reach = math.ceil(3 * one.sigma)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / one.sigma) ** 2)
    taps /= taps.sum()
    fields = []
    for axis in (0, 1):
        start = (2 * row + axis) * drawn
        field = 2 * noise[start : start + height * width].reshape(height, width) - 1
        for along in (0, 1):
            padded = np.pad(
                field, [(reach, reach) if a == along else (0, 0) for a in (0, 1)]
            )
            field = sum(
                w * np.take(padded, np.arange(k, k + field.shape[along]), axis=along)
                for k, w in enumerate(taps)
            )
        fields.append(one.alpha * field)
    return np.stack(fields)


def sampled(image: np.ndarray, places: np.ndarray, fill: float | str) -> np.ndarray:
    """The image at places (2, height, width), bilinearly, ``fill`` outside of it."""
    height, width, _ = image.shape
    if isinstance(fill, str):  # by NumPy's own padding, as far as any place lies
        most = int(np.abs(places).max()) + max(height, width) + 2
        padded = np.pad(image, ((most, most), (most, most), (0, 0)), fill)
        return sampled(padded, places + most, 0.0)
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), constant_values=fill)
    y = np.clip(places[0], -1.5, height + 0.5) + 2
    x = np.clip(places[1], -1.5, width + 0.5) + 2
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    fy, fx = (y - top)[..., None], (x - left)[..., None]
    upper = (1 - fx) * padded[top, left] + fx * padded[top, left + 1]
    lower = (1 - fx) * padded[top + 1, left] + fx * padded[top + 1, left + 1]
    return (1 - fy) * upper + fy * lower


WEIGHTS = np.array([0.213, 0.715, 0.072])


def jittered(one: Augmentation, image: np.ndarray, u: np.ndarray) -> np.ndarray:
    a = one.attributes()
    b, c, s = (
        1 - a[n] + u[i] * 2 * a[n]
        for i, n in enumerate(("brightness", "contrast", "saturation"), 1)
    )
    x = b * image
    grey = x @ WEIGHTS if image.shape[2] == 3 else x.mean(axis=2)
    x = grey.mean() + c * (x - grey.mean())
    if image.shape[2] == 3 and (a["saturation"] or a["hue"]):
        turn = math.radians(-a["hue"] + u[4] * 2 * a["hue"])
        luma = np.tile(WEIGHTS, (3, 1))
        sine = np.array(
            [[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]]
        )
        hues = luma + math.cos(turn) * (np.eye(3) - luma) + math.sin(turn) * sine
        x = x @ (((luma + s * (np.eye(3) - luma)) @ hues).T)
    return x


def cut_out(one: Any, image: np.ndarray, u: np.ndarray) -> np.ndarray:
    height, width, _ = image.shape
    top, left = int(u[1] * height) - one.size // 2, int(u[2] * width) - one.size // 2
    found = image.copy()
    found[
        max(0, top) : max(0, top + one.size), max(0, left) : max(0, left + one.size)
    ] = one.fill
    return found


def beta(a: float, u: np.ndarray) -> float:
    def log_gamma(v: np.ndarray) -> float:
        numbers = iter(1 - v)
        boost = math.log(next(numbers)) / a if a < 1 else 0.0
        d = (a + 1 if a < 1 else a) - 1 / 3
        c = 1 / math.sqrt(9 * d)
        while True:
            radius = math.sqrt(-2 * math.log(next(numbers)))
            x = radius * math.cos(2 * math.pi * next(numbers))
            cube, uniform = (1 + c * x) ** 3, next(numbers)
            if cube > 0 and math.log(uniform) < x * x / 2 + d - d * cube + d * math.log(
                cube
            ):
                return boost + math.log(d * cube)

    return 1 / (1 + math.exp(log_gamma(u[32:]) - log_gamma(u[:32])))


def mixed(
    one: Any, pair: np.ndarray, share: float, u: np.ndarray
) -> tuple[np.ndarray, float]:
    if isinstance(one, Mixup):
        return share * pair + (1 - share) * pair[::-1], share
    found = pair.copy()
    cuts = []
    for side, v in zip(pair.shape[1:3], u[1:], strict=False):
        half, middle = int(math.sqrt(1 - share) * side) // 2, int(v * side)
        cuts.append(slice(max(0, middle - half), min(side, middle + half)))
    found[:, cuts[0], cuts[1]] = pair[::-1, cuts[0], cuts[1]]
    area = math.prod(cut.stop - cut.start for cut in cuts)
    return found, 1 - area / math.prod(pair.shape[1:3])


def reference(
    images: np.ndarray, changes: list[Augmentation]
) -> tuple[np.ndarray, np.ndarray]:
    """What the engine makes of float images, with the interpolations that it makes."""
    keys = [(e["key"], e["field_key"]) for e in engine_changes(changes)]
    found = np.stack(
        [
            _row(image, i, changes, keys)
            for i, image in enumerate(images.astype(np.float64))
        ]
    )
    shares = np.ones(len(images))
    for one, (key, field) in zip(changes, keys, strict=True):
        for row in range(0, len(images) - 1, 2):
            u = draws(key, row)
            if one.mixes and u[0] < one.probability:
                share = beta(one.alpha, draws(field, row, 64))
                found[row : row + 2], kept = mixed(one, found[row : row + 2], share, u)
                old = shares[row]
                shares[row : row + 2] = kept * old + (1 - kept) * (1 - old)
    return found, shares


def _row(
    image: np.ndarray, row: int, changes: list[Augmentation], keys: list[Any]
) -> np.ndarray:
    height, width, _ = image.shape
    grid = np.stack(
        np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    ).astype(float)
    waiting: list[Any] = []

    def flush() -> np.ndarray:
        matrix, moved, fill = np.eye(3), grid, 0.0
        for one, u, field in waiting:
            fill = one.fill
            if isinstance(one, Elastic):
                moved = grid + displacement(one, field, row, height, width)
            else:
                matrix = matrix @ SOURCES[type(one)](one, u, height, width)
        waiting.clear()
        places = np.tensordot(matrix[:2, :2], moved, 1) + matrix[:2, 2, None, None]
        return sampled(image, places, fill)

    for one, (key, field) in zip(changes, keys, strict=True):
        u = draws(key, row)
        moves = isinstance(one, (*SOURCES, Elastic))
        if waiting and not (
            moves
            and waiting[-1][0].fill == one.fill
            and not isinstance(waiting[-1][0], Elastic)
        ):
            image = flush()
        if one.mixes or not u[0] < one.probability:
            continue
        if moves:
            waiting.append((one, u, field))
        else:
            image = (cut_out if isinstance(one, Cutout) else jittered)(one, image, u)
    return flush() if waiting else image


# -- every change ---------------------------------------------------------------------

LISTS: dict[str, list[Augmentation]] = {
    "shift": [Shift((2, 1), fill=0.3)],
    "crop": [Crop(3)],
    "flip": [Flip(vertical=True)],
    "rotate": [Rotate(40, fill=-1)],
    "scale": [Scale(0.5, 1.8)],
    "shear": [Shear(30)],
    "elastic": [Elastic(8, 2)],
    "brightness": [Brightness(0.7)],
    "contrast": [Contrast(0.9)],
    "color_jitter": [ColorJitter(0.4, 0.3, 0.8, 90)],
    "cutout": [Cutout(5, fill=0.5)],
    "mixup": [Mixup(0.4)],
    "cutmix": [CutMix(1.5)],
    "moves in a row": [Rotate(20), Shift(2), Scale(0.8, 1.2), Elastic(6, 2), Flip()],
    "another fill": [Rotate(20), Shift(2, fill=1)],
    "edge": [Rotate(40, fill="edge"), Scale(0.2, 0.9, fill="edge")],
    "reflect": [Scale(0.2, 0.5, fill="reflect"), Elastic(9, 2, fill="reflect")],
    "every fill": [Shift(2, fill="edge"), Rotate(30, fill="reflect"), Shear(9)],
    "everything, at times": [
        Flip(probability=0.5),
        Rotate(30, probability=0.5),
        Cutout(3, probability=0.5),
        Shift(1, probability=0.5),
        Elastic(5, 1.5, probability=0.5),
        Brightness(0.5, probability=0.5),
        Mixup(1, probability=0.5),
        CutMix(1, probability=0.5),
    ],
}


def some_images(
    rows: int = 9, height: int = 13, width: int = 10, channels: int = 3
) -> np.ndarray:
    return np.random.default_rng(1).random((rows, height, width, channels), np.float32)


@pytest.mark.parametrize("name", LISTS)
def test_it_is_what_the_formula_says(name: str) -> None:
    images, changes = some_images(), LISTS[name]
    found, shares = augment(images, changes, seed=SEED, step=STEP)
    expected, expected_shares = reference(images, changes)
    np.testing.assert_allclose(found, expected, atol=3e-6)
    np.testing.assert_allclose(shares, expected_shares, atol=1e-12)
    assert np.abs(found - images).max() > 0.01


def test_every_change_is_tested() -> None:
    assert {one.kind for one in AUGMENTATIONS} == {
        kind for kind in LISTS if any(kind == c.kind for c in LISTS[kind])
    }


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_any_number_of_channels(channels: int) -> None:
    images = some_images(channels=channels)
    changes = [Rotate(20), Contrast(0.5), Cutout(3)]
    found, _ = augment(images, changes, seed=SEED, step=STEP)
    np.testing.assert_allclose(found, reference(images, changes)[0], atol=3e-6)


# -- values worked out by hand --------------------------------------------------------

RAMP = np.arange(1.0, 10.0, dtype=np.float32).reshape(1, 3, 3, 1)


def until(change: Augmentation, wanted: list[list[float]]) -> bool:
    """Whether one of some steps gives these values."""
    made = (augment(RAMP, [change], step=step)[0][0, ..., 0] for step in range(60))
    return any(np.allclose(found, wanted, atol=1e-5) for found in made)


def test_a_shift_moves_down_and_to_the_right() -> None:
    assert until(Shift(1, fill=7), [[7, 7, 7], [7, 1, 2], [7, 4, 5]])
    assert until(Shift(1, fill=7), [[5, 6, 7], [8, 9, 7], [7, 7, 7]])
    assert until(Shift(1, fill="edge"), [[1, 1, 2], [1, 1, 2], [4, 4, 5]])
    assert until(Shift(1, fill="reflect"), [[5, 4, 5], [2, 1, 2], [5, 4, 5]])
    assert until(Shift(2, fill="reflect"), [[9, 8, 7], [6, 5, 4], [3, 2, 1]])
    assert until(Shift((0, 1)), [[2, 3, 0], [5, 6, 0], [8, 9, 0]])


def test_flips_mirror() -> None:
    assert until(Flip(), [[3, 2, 1], [6, 5, 4], [9, 8, 7]])
    assert until(
        Flip(horizontal=False, vertical=True), [[7, 8, 9], [4, 5, 6], [1, 2, 3]]
    )


def test_a_rotation_turns_against_the_clock() -> None:
    """A bright spot on the right goes up."""
    image = np.zeros((1, 21, 21, 1), np.float32)
    image[0, 10, 18] = 1
    for step in range(40):
        found = augment(image, [Rotate(90)], step=step)[0][0, ..., 0]
        u = random.uniform(np, 0, step, engine_changes([Rotate(90)])[0]["key"], 8)
        turn = math.radians(-90 + 180 * float(u[1]))
        y, x = np.unravel_index(found.argmax(), found.shape)
        assert abs(y - (10 - 8 * math.sin(turn))) < 1
        assert abs(x - (10 + 8 * math.cos(turn))) < 1


def test_scaling_by_two_spreads_the_middle() -> None:
    found, _ = augment(RAMP, [Scale(2, 2)])
    assert found[0, ..., 0].tolist() == [[3, 3.5, 4], [4.5, 5, 5.5], [6, 6.5, 7]]


def test_the_saturation_of_grey_is_nothing() -> None:
    grey = np.full((2, 4, 4, 3), 0.4, np.float32)
    found, _ = augment(grey, [ColorJitter(0, 0, 1, 180)])
    np.testing.assert_allclose(found, 0.4, atol=1e-3)


def test_contrast_keeps_the_mean() -> None:
    found, _ = augment(RAMP, [Contrast(1)])
    assert found.mean() == pytest.approx(5)
    assert found.std() < RAMP.std() * 2


def test_bytes_stay_bytes() -> None:
    white = np.full((8, 4, 4, 1), 255, np.uint8)
    found, _ = augment(white, [Brightness(0.9)])
    assert found.max() == 1.0
    assert found.min() < 0.9
    floats, _ = augment(white / np.float32(255), [Brightness(0.9)])
    assert floats.max() > 1.05


def test_elastic_moves_by_the_stated_deviation() -> None:
    """0.163 alpha / sigma: sqrt(1/3) of uniform noise over 2 sqrt(pi) sigma."""
    fields = [
        displacement(Elastic(34, 4), 5, row, 60, 60)[:, 20:40, 20:40]
        for row in range(40)
    ]
    assert np.std(fields) == pytest.approx(0.163 * 34 / 4, rel=0.1)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_beta_distributed(alpha: float) -> None:
    """Mean 1/2 and variance 1 / (4 (2 alpha + 1))."""
    images = np.zeros((4000, 1, 1, 1), np.float32)
    _, shares = augment(images, [Mixup(alpha)])
    kept = shares[::2]
    assert np.array_equal(kept, shares[1::2])
    assert kept.mean() == pytest.approx(0.5, abs=0.02)
    assert kept.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.08)


def test_the_last_row_of_an_odd_batch_is_not_mixed() -> None:
    images = some_images(rows=3)
    found, shares = augment(images, [Mixup(1.0)])
    assert np.array_equal(found[2], images[2])
    assert shares[2] == 1


# -- training -------------------------------------------------------------------------

ALL = [
    Shift(1),
    Rotate(15),
    Elastic(4, 2, probability=0.5),
    Brightness(0.3),
    Cutout(2),
    Mixup(0.5, probability=0.5),
    CutMix(1.0, probability=0.5),
]


def digits(rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    data = nv.data.load("digits")
    return data.inputs[:rows] / np.float32(16), data.targets[:rows]


def small_net(seed: int = 0, dtype: str = "float32") -> nv.Network:
    layers = [
        nv.Input((8, 8, 1)),
        nv.Conv2D(4, 3, activation="relu"),
        nv.Flatten(),
        nv.Dropout(0.2),
        nv.Dense(10, activation="softmax"),
    ]
    return nv.Network(layers, seed=seed, dtype=dtype)


def fitted(**more: Any) -> nv.Run:
    X, y = digits()
    options = {
        "epochs": 2,
        "batch_size": 14,
        "progress": False,
        "augmentation": ALL,
        "seed": 4,
    }
    return nv.fit(small_net(), X, y, **{**options, **more})


def test_the_same_bits_for_any_number_of_threads() -> None:
    found = [fitted(threads=threads).network.values for threads in (1, 2, 3)]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], fitted(augmentation=None).network.values)


def test_the_same_bits_after_a_break(tmp_path: Path) -> None:
    X, y = digits()
    whole = fitted()
    first = fitted(max_steps=11, directory=tmp_path / "run")
    assert first.stopped == "max_steps = 11 reached"
    resumed = nv.resume(tmp_path / "run", X, y, max_steps=None, progress=False)
    assert np.array_equal(resumed.network.values, whole.network.values)
    spec = nv.load_spec(tmp_path / "run" / "spec.toml")
    assert list(spec.augmentation) == ALL


def test_training_goes_on_with_the_same_augmentation(tmp_path: Path) -> None:
    X, y = digits()
    fitted(max_steps=3, directory=tmp_path / "run")
    with pytest.raises(ValueError, match="augmentation"):
        nv.resume(tmp_path / "run", X, y, augmentation=[Shift(3)], progress=False)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_is_one_on_the_changed_images_and_targets(dtype: str) -> None:
    """The engine's step on integer classes, and by hand on what `augment` gives."""
    X, y = digits(11)
    changes: list[Augmentation] = [Shift(2), Rotate(20), Mixup(0.7), CutMix(1.0)]
    layers = [nv.Input((8, 8, 1)), nv.Flatten(), nv.Dense(10, activation="softmax")]
    net = nv.Network(layers, seed=1, dtype=dtype)
    other = net.copy()
    order = np.random.default_rng(0).permutation(11)
    objective = net.objective("cross_entropy")
    job = Job(
        objective,
        make_data(net, X, y, objective),
        nv.GradientDescent(0.5),
        (),
        11,
        SEED,
        augmentation=tuple(changes),
    )
    result = net.executor().trainer(job).run(Stretch(order, [0.5], STEP), ())

    images, shares = augment(X[order], changes, seed=SEED, step=STEP)
    one_hot = np.eye(10)[y[order]]
    partner = np.append(np.arange(10) ^ 1, 10)
    targets = shares[:, None] * one_hot + (1 - shares[:, None]) * one_hot[partner]
    cost = other.executor().gradient(
        make_data(other, images, targets, other.objective("cross_entropy")),
        other.objective("cross_entropy"),
    )
    tolerance = 1e-5 if dtype == "float32" else 1e-6
    assert (shares < 1).any()
    assert result.costs[0] == pytest.approx(cost, rel=tolerance)
    np.testing.assert_allclose(
        net.values, other.values - 0.5 * other.gradients, atol=tolerance
    )


def test_batches_in_several_passes_see_the_same_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where memory is short a batch is taken in parts; they count rows as the whole does."""
    whole = fitted(epochs=1, batch_size=40)
    monkeypatch.setattr("nervure.executors._planning.ARENA_BYTES", 20_000)
    parts = fitted(epochs=1, batch_size=40)
    np.testing.assert_allclose(parts.network.values, whole.network.values, atol=1e-4)


def test_what_a_frozen_beginning_sees_is_changed_too() -> None:
    """Its features are not computed once: they are others in each step."""
    X, y = digits()
    found: list[np.ndarray] = []
    for changes in ([Shift(2)], []):
        net = small_net()
        net.freeze("conv2d")
        nv.fit(net, X, y, epochs=1, augmentation=changes, progress=False)
        found.append(net.values)
    assert not np.array_equal(*found)


def test_only_training_changes_images() -> None:
    X, y = digits()
    run = fitted(validation=(X, y))
    net = run.network
    assert net.evaluate(X, y)["loss"] == run.history["validation_loss"][-1]


def test_values_are_mixed_too() -> None:
    """A regression: targets are mixed by the same shares."""
    X, _ = digits(10)
    layers = [nv.Input((8, 8, 1)), nv.Flatten(), nv.Dense(2)]
    net = nv.Network(layers, seed=1)
    values = np.random.default_rng(0).random((10, 2))
    run = nv.fit(
        net, X, values, loss="mse", augmentation=Mixup(1.0), epochs=60, progress=False
    )
    assert run.history["loss"][-1] < run.history["loss"][0]


# -- specs and bad input --------------------------------------------------------------

NET = '[[layer]]\ntype = "dense"\nunits = 3\n'


def test_a_spec_holds_augmentation() -> None:
    text = (
        NET
        + '[[augmentation]]\ntype = "shift"\npixels = [2, 3]\nfill = 0.5\n[[augmentation]]\ntype = "mixup"\n'
    )
    spec = parse_spec(text)
    assert spec.augmentation == (Shift((2, 3), fill=0.5), Mixup())
    assert parse_spec(write_spec(spec)) == spec
    assert '[[augmentation]]\ntype = "mixup"' in write_spec(spec)


@pytest.mark.parametrize(
    "one", [c for changes in LISTS.values() for c in changes], ids=lambda c: c.kind
)
def test_every_change_goes_through_a_spec(one: Augmentation) -> None:
    spec = dataclasses.replace(parse_spec(NET), augmentation=(one,))
    assert parse_spec(write_spec(spec)).augmentation == (one,)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            'type = "shif"',
            "augmentation[0].type: unknown augmentation 'shif'; did you mean 'shift'",
        ),
        (
            'type = "shift"\npixel = 2',
            "augmentation[0].pixel: unknown key; did you mean 'pixels'",
        ),
        (
            'type = "rotate"\ndegrees = 200',
            "augmentation[0]: degrees = 200.0; expected a finite number (>= 0) and (<= 180)",
        ),
        (
            'type = "scale"\nsmallest = 2.0',
            "largest = 1.1; expected a finite number (>= 2)",
        ),
        (
            'type = "flip"\nprobability = 2',
            "probability = 2.0; expected a finite number (>= 0) and (<= 1)",
        ),
        ('type = "cutout"\nsize = 0', "size = 0; expected a whole number (>= 1)"),
        ('type = "mixup"\nalpha = 0', "alpha = 0.0; expected a finite number (> 0)"),
        (
            'type = "elastic"\nsigma = 100',
            "sigma = 100.0; expected a finite number (> 0) and (<= 64)",
        ),
    ],
)
def test_faults_of_a_spec(table: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(f"{NET}[[augmentation]]\n{table}\n")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("turn", "[augmentation[0]] unknown augmentation 'turn'"),
        (
            [Mixup(), Shift(1)],
            "[augmentation] mixup before a change of single images; expected it behind them; put mixup and cutmix last",
        ),
        (
            [Shift(9)],
            "[shift] up to 9 pixels for images of 8 x 8; expected fewer than a side; shift by less",
        ),
        (
            [ColorJitter()],
            "[color_jitter] saturation or hue of images with 1 channels; expected 3",
        ),
        (
            [Flip] * 1,
            "[augmentation[0]] the class Flip; expected an object of it; write Flip(...)",
        ),
    ],
)
def test_lists_that_fit_cannot_use(given: Any, said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fitted(augmentation=given)
    assert said in str(caught.value)


def test_a_table_is_not_augmented() -> None:
    net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=0)
    expected = r"\[augmentation\] shift for rows of shape \(4,\); expected images \(height, width, channels\); leave"
    with pytest.raises(DataError, match=expected):
        nv.fit(
            net,
            np.zeros((6, 4)),
            [0, 1, 2] * 2,
            augmentation=[Shift(2)],
            progress=False,
        )


def test_who_cannot_augment() -> None:
    with pytest.raises(
        DataError,
        match="executor='jax' cannot change images; expected the engine's own",
    ):
        fitted(executor="jax")
    with pytest.raises(
        DataError, match="lbfgs cannot change images; expected an optimizer that"
    ):
        fitted(optimizer="lbfgs")
    net = nv.Network([nv.Input((8, 8, 1)), nv.Flatten(), nv.Dense(10)])
    X, y = digits()
    expected = "mixup with the loss hinge, which takes no shares of"
    with pytest.raises(DataError, match=expected):
        nv.fit(net, X, y, loss="hinge", augmentation=Mixup(), progress=False)


def test_augment_wants_images() -> None:
    with pytest.raises(DataError, match="expected images"):
        augment(np.zeros((3, 4)), [Shift(1)])
    assert augmentations(None) == ()
