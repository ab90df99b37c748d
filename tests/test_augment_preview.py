# SPDX-License-Identifier: BSD-3-Clause
"""``nervure inspect --augment``: the sheet it writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nervure.cli.app import run
from nervure.data import load
from nervure.data.augmentation import Mixup, Shift, augment

SPEC = """
[[layer]]
type = "flatten"
[[augmentation]]
type = "shift"
pixels = 2
[[augmentation]]
type = "mixup"
alpha = 1.0
[training]
seed = 5
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("aug.toml").write_text(SPEC)
    return "aug.toml"


def read(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def tile(sheet: np.ndarray, line: int, column: int) -> np.ndarray:
    """A digit of 8 x 8 in the sheet, where it takes 64 x 64 pixels below its title."""
    y, x = 6 + 14 + line * 84, 6 + column * 70
    return sheet[y : y + 64 : 8, x : x + 64 : 8, 0] / 255


def test_the_sheet_shows_originals_and_what_training_would_see(
    spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", "digits", "--augment", "--spec", spec]) == 0
    said = capsys.readouterr().out
    assert said == "digits-augmented.png: 8 images, and 7 of each by shift, mixup\n"
    sheet = read("digits-augmented.png")
    digits = load("digits")
    rows = [int(np.flatnonzero(digits.targets == c)[0]) for c in range(8)]
    images = digits.inputs[rows]
    changes = [Shift(2), Mixup(1.0)]
    made, _ = augment(images, changes, seed=5, step=3, scale=1 / 16)
    for line in (0, 3, 7):
        original = images[line, ..., 0] / 16
        np.testing.assert_allclose(tile(sheet, line, 0), original, atol=0.04)
        np.testing.assert_allclose(tile(sheet, line, 4), made[line, ..., 0], atol=0.04)
    assert sorted(p.name for p in Path().iterdir()) == [
        "aug.toml",
        "digits-augmented.png",
    ]


def test_a_spec_with_a_source_is_enough(spec: str) -> None:
    Path(spec).write_text('[data]\nsource = "digits"\n' + SPEC)
    assert run(["inspect", spec, "--augment", "--out", "seen.png"]) == 0
    assert read("seen.png").shape == (6 + 8 * 84 + 14, 6 + 8 * 70, 3)  # and a legend


def test_images_are_shown_as_they_are_trained_on_by_default(spec: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 20, 3), np.uint8)
    np.savez("data.npz", X=pixels, y=[0, 1, 2] * 2)
    assert run(["inspect", "data.npz", "--augment"]) == 0
    assert Path("data-augmented.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["digits", "--augment"],
            "[digits] is trained on as it is; expected at least one; name a spec",
        ),
        (
            ["digits", "--augment", "--spec", "plain.toml"],
            "[plain.toml] has no [[augmentation]]; expected at least one",
        ),
        (
            ["iris", "--augment", "--spec", "aug.toml"],
            "[augmentation] shift for rows of shape (4,); expected images",
        ),
        (
            ["digits", "--augment", "--spec", "aug.toml", "--out", "a.jpg"],
            "[a.jpg] ends in '.jpg'; expected .png; rename the file",
        ),
        (
            ["digits", "--out", "a.png"],
            "[--out] without a sheet to write; expected --augment",
        ),
        (
            ["digits", "--augment", "--spec", "aug.toml", "--out", "none/a.png"],
            "[none/a.png] cannot be written",
        ),
    ],
)
def test_what_cannot_be_shown(
    spec: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    Path("plain.toml").write_text('[[layer]]\ntype = "flatten"\n')
    assert run(["inspect", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not list(Path().glob("*.png"))
