# SPDX-License-Identifier: BSD-3-Clause
"""Sheets of pictures: where each lies, what is written, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nervure.cli.pictures import as_bytes, make_sheet, write_sheet

GREY = np.full((64, 64), 100, np.uint8)


def test_every_picture_lies_in_its_place_of_the_grid() -> None:
    pictures = [np.full((64, 64), v, np.uint8) for v in (10, 20, 30)]
    sheet = make_sheet(pictures, columns=2)
    assert sheet.shape == (6 + 2 * 70, 6 + 2 * 70, 3)
    assert (sheet[6:70, 6:70] == 10).all()
    assert (sheet[6:70, 76:140] == 20).all()
    assert (sheet[76:140, 6:70] == 30).all()
    assert (sheet[76:140, 76:140] == 255).all()
    assert (sheet[:6] == 255).all()


def test_small_pictures_are_enlarged_by_whole_numbers() -> None:
    tiny = np.array([[0, 200], [50, 255]], np.uint8)
    sheet = make_sheet([tiny])
    assert sheet.shape == (76, 76, 3)
    assert (sheet[6:38, 38:70] == 200).all()


def test_colours_and_sizes_may_be_mixed() -> None:
    red = np.zeros((64, 32, 3), np.uint8)
    red[..., 0] = 255
    sheet = make_sheet([red, GREY], columns=2)
    assert sheet[10, 10].tolist() == [255, 0, 0]
    assert sheet[10, 80].tolist() == [100, 100, 100]


def test_titles_stand_above_their_pictures() -> None:
    sheet = make_sheet([GREY, GREY], ["cat", ""], columns=2)
    assert sheet.shape[0] == 6 + 14 + 64 + 6
    assert (sheet[6:20, 6:70] < 128).any()
    assert (sheet[6:20, 76:140] == 255).all()
    assert (sheet[20:84, 6:70] == 100).all()


def test_letters_that_no_font_has_are_replaced() -> None:
    assert make_sheet([GREY], ["日本\nλ"]).shape[0] == 90


def test_numbers_become_bytes() -> None:
    assert as_bytes([0.0, 0.5, 2.0], low=0, high=1).tolist() == [0, 128, 255]
    assert as_bytes([3.0, 3.0]).tolist() == [128, 128]


def test_heads_and_a_legend_stand_above_the_rows_and_below_them_all() -> None:
    sheet = make_sheet([GREY] * 3, ["a", "b", "c"], columns=2, heads=["x", "y"])
    assert sheet.shape[:2] == (6 + 2 * (6 + 28 + 64), 6 + 2 * 70)
    assert (sheet[6:20, 6:20] < 128).any()  # x
    assert (sheet[20:34, 6:20] < 128).any()  # a
    assert (sheet[34:98, 6:70] == 100).all()
    assert (sheet[104:118, 6:20] < 128).any()  # y
    long = make_sheet([GREY], legend="black is -1, grey 0 and white 1")
    assert long.shape[0] > 6 + 64 + 6 + 2 * 14  # in several lines
    assert (long[70:90] < 128).any()


def test_a_head_is_as_wide_as_its_row() -> None:
    """Not cut where the picture below it ends, as titles are."""
    name = "inception4.branch3x3.convolution"
    titled = make_sheet([GREY] * 4, [name, *[""] * 3], columns=4)
    headed = make_sheet([GREY] * 4, columns=4, heads=[name])
    assert (titled[6:20, 76:] == 255).all()
    assert (headed[6:20, 76:] < 128).any()


def test_the_file_is_a_png_of_the_sheet(tmp_path: Path) -> None:
    path = write_sheet(tmp_path / "sheet.png", [GREY] * 3, ["a", "b", "c"])
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert np.array_equal(image, make_sheet([GREY] * 3, ["a", "b", "c"]))
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("pictures", "titles", "said"),
    [
        ([], (), "[sheet] no pictures; expected at least one"),
        (
            [np.zeros((4, 4))],
            (),
            "picture 0 has shape (4, 4) of float64; expected uint8",
        ),
        ([np.zeros((4, 4, 2), np.uint8)], (), "picture 0 has shape (4, 4, 2) of uint8"),
        ([GREY], ("a", "b"), "2 titles for 1 pictures; expected one for each"),
    ],
)
def test_what_is_no_sheet(
    pictures: list[np.ndarray], titles: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=r"\[sheet\]") as caught:
        make_sheet(pictures, titles)
    assert said in str(caught.value)


def test_a_sheet_of_too_many_pixels_is_refused() -> None:
    large = np.broadcast_to(np.uint8(0), (9000, 9000))
    with pytest.raises(ValueError, match="show fewer"):
        make_sheet([large])


def test_a_name_that_is_no_png(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected \.png; rename the file"):
        write_sheet(tmp_path / "sheet.jpg", [GREY])
