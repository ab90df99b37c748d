# SPDX-License-Identifier: BSD-3-Clause
"""Image files and folders of them: what is read, how it is seen, what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nervure as nv
from nervure.cli.app import run
from nervure.data import DataError, load, prepare, read, row_names
from nervure.data._errors import DataWarning
from nervure.data.image_files import ImageError, read_header, read_pixels
from nervure.spec.rows import load_data
from nervure.spec.tables import DataSpec

HALVES = np.zeros((20, 10, 3), np.uint8)
HALVES[:10] = (250, 0, 0)
HALVES[10:] = (0, 0, 250)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def grey(value: int, height: int = 20, width: int = 20) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Dark and light pictures of mixed sizes and formats, grey."""
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for i in range(12):
        size = (int(rng.integers(18, 40)), int(rng.integers(18, 40)))
        suffix = ("png", "jpg", "bmp", "webp")[i % 4]
        save(folder / "dark" / f"{i:02}.{suffix}", grey(20 + i, *size))
        save(folder / "light" / f"{i:02}.{suffix}", grey(220 + i, *size))
    return folder


# -- one file -------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp"])
def test_pixels_of_a_file(tmp_path: Path, suffix: str) -> None:
    pixels = np.kron(
        np.array([[0, 255], [128, 64]], np.uint8), np.ones((16, 16), np.uint8)
    )
    path = save(tmp_path / f"a.{suffix}", pixels)
    found = read_pixels(path, (32, 32), 1)
    assert found.shape == (32, 32, 1)
    centres = found[8::16, 8::16, 0].astype(int)
    assert np.abs(centres - [[0, 255], [128, 64]]).max() <= 4


def test_resizing_is_the_mean_of_what_falls_into_a_pixel(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64), np.uint8)
    pixels[:, ::2] = 200  # stripes of one pixel, which sampling alone would miss
    found = read_pixels(save(tmp_path / "a.png", pixels), (8, 8), 1)
    assert np.abs(found.astype(int) - 100).max() <= 4


@pytest.mark.parametrize(
    ("orientation", "first", "last"),
    [(1, "red", "blue"), (3, "blue", "red"), (6, "blue", "red"), (8, "red", "blue")],
)
def test_the_orientation_of_exif_is_respected(
    tmp_path: Path, orientation: int, first: str, last: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", HALVES, exif=exif)
    turned = orientation >= 5
    size = (10, 20) if turned else (20, 10)
    assert read_header(path).size == size
    found = read_pixels(path, size, 3)
    # 6 turns a quarter clockwise: what was the top is the right side.
    line = found[5] if turned else found[:, 5]
    colours = {"red": [250, 0, 0], "blue": [0, 0, 250]}
    assert line[0].tolist() == colours[first]
    assert line[-1].tolist() == colours[last]


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = (10, 20, 30, 255)
    found = read_pixels(save(tmp_path / "a.png", pixels), (4, 4), 3)
    assert found[0, 0].tolist() == [10, 20, 30]
    assert found[3, 3].tolist() == [255, 255, 255]


def test_a_photo_of_several_pictures_is_its_first(tmp_path: Path) -> None:
    """Phones write such JPEG files (MPO) for previews and depth."""
    two = [Image.fromarray(grey(v)).convert("RGB") for v in (40, 200)]
    path = tmp_path / "a.jpg"
    two[0].save(path, format="MPO", save_all=True, append_images=two[1:])
    assert abs(int(read_pixels(path, (20, 20), 1)[0, 0, 0]) - 40) <= 3


def test_damaged_exif_beside_a_whole_image_is_no_fault(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", grey(90), exif=b"Exif\0\0garbage")
    assert read_header(path).size == (20, 20)


# -- what is refused ------------------------------------------------------------------


def png_of(width: int, height: int) -> bytes:
    """A header that declares this size, and next to nothing behind it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(10))
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png16_in_colour() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    data = zlib.compress((b"\0" + bytes(12)) * 2)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write_bad_files(folder: Path) -> dict[str, str]:
    """One file of each kind of fault, and what is said about it."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = [Image.fromarray(grey(v)) for v in (0, 120, 250)]
    rest = {"save_all": True, "append_images": frames[1:]}
    frames[0].save(folder / "moving.gif", **rest)
    frames[0].save(folder / "moving.png", **rest)
    Image.fromarray(grey(9).astype(np.float32)).save(folder / "floats.tiff")
    (folder / "bomb.png").write_bytes(png_of(50_000, 50_000))
    (folder / "large.png").write_bytes(png_of(10_000, 9_000))
    (folder / "text.jpg").write_text("not an image")
    (folder / "empty.png").write_bytes(b"")
    whole = save(
        folder / "cut.jpg",
        np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8),
    )
    whole.write_bytes(whole.read_bytes()[:900])
    Image.fromarray(grey(9)).save(folder / "icon.jpg", format="ICO")
    return {
        "moving.gif": "animated; keep one of its pictures",
        "moving.png": "animated; keep one of its pictures",
        "floats.tiff": "values of mode F; convert it to 8 or 16 bits",
        "bomb.png": "more pixels; expected at most 64,000,000; shrink it",
        "large.png": "10,000 x 9,000 pixels; expected at most 64,000,000",
        "text.jpg": "not an image that can be read (JPEG, PNG, BMP, GIF, WEBP, TIFF)",
        "empty.png": "not an image that can be read",
        "cut.jpg": "truncated, damaged or unreadable (image file is truncated",
        "icon.jpg": "not an image that can be read",
    }


def test_every_fault_of_every_file_is_named_at_once(photos: Path) -> None:
    expected = write_bad_files(photos / "dark")
    with pytest.raises(DataError) as caught:
        load(photos)
    head, *lines = str(caught.value).splitlines()
    assert head == (
        "[photos] 9 of 33 images cannot be used; expected whole pictures; repair or "
        "remove them, or leave them out by --skip-bad:"
    )
    assert [line.split(":")[0].strip() for line in lines] == [
        f"dark/{name}" for name in sorted(expected)
    ]
    for name, text in expected.items():
        assert f"  dark/{name}: {text}" in str(caught.value)


def test_images_that_cannot_be_read_are_left_out_if_asked(photos: Path) -> None:
    rows = len(load(photos).inputs)
    write_bad_files(photos / "dark")
    said = r"\[photos\] 9 of 33 images left out, which cannot be read \(dark/bomb.png: more"
    with pytest.warns(DataWarning, match=said) as caught:
        data = load(photos, skip_bad=True)
    assert len(caught) == 1
    assert "and 6 more)" in str(caught[0].message)
    assert len(data.inputs) == rows == len(data.targets)


def test_print_colours_and_sixteen_bits_are_converted(tmp_path: Path) -> None:
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    Image.fromarray(values).save(tmp_path / "deep.tiff")
    for name in ("deep.png", "deep.tiff"):
        assert read_header(tmp_path / name).grey
        pixels = read_pixels(tmp_path / name, (16, 16), 1)
        assert pixels.ravel().tolist() == list(range(256))
    Image.new("CMYK", (4, 4), (255, 0, 0, 0)).save(tmp_path / "print.tiff")
    red, green, blue = read_pixels(tmp_path / "print.tiff", (4, 4), 3)[0, 0]
    assert (red, green, blue) == (0, 255, 255)
    (tmp_path / "deep_colour.png").write_bytes(png16_in_colour())
    assert read_pixels(tmp_path / "deep_colour.png", (2, 2), 3).max() == 0


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("training", "testing"), ("Train", "val"), ("train", "eval")],
)
def test_names_of_the_parts_of_a_split(tmp_path: Path, train: str, test: str) -> None:
    """They are no classes, also within a folder that an archive wraps around them."""
    for part in (train, test):
        for i, name in enumerate(("cat", "dog", "cat", "dog")):
            folder = tmp_path / "wrapper" / part / name
            folder.mkdir(parents=True, exist_ok=True)
            save(folder / f"{i}.png", grey(50 * i))
    (tmp_path / "__MACOSX" / "wrapper").mkdir(parents=True)
    save(tmp_path / "__MACOSX" / "wrapper" / "._1.png", grey(1))
    data = load(tmp_path)
    assert data.preprocessing.target.labels == ("cat", "dog")
    assert data.rows == 4
    assert data.test is not None
    assert len(data.test[0]) == 4


def test_long_lists_of_faults_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nervure.data.image_folders._MOST_SHOWN", 30)
    for i in range(40):
        path = tmp_path / "p" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no")
    with pytest.raises(DataError, match="40 of 40 images") as caught:
        load(tmp_path / "p")
    lines = str(caught.value).splitlines()
    assert len(lines) == 32
    assert lines[-1] == "  ... and 10 more"


def test_a_file_of_too_many_bytes_is_not_opened(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("nervure.data.image_files.MOST_BYTES", 10)
    with pytest.raises(ImageError, match="bytes; expected at most 10"):
        read_header(save(tmp_path / "a.png", grey(1)))


# -- folders --------------------------------------------------------------------------


def test_a_folder_becomes_bytes_of_one_size(photos: Path) -> None:
    data = load(photos)
    assert data.inputs.dtype == np.uint8
    assert data.inputs.shape[0] == 24
    assert data.inputs.shape[3] == 1
    assert data.preprocessing.scale == 1 / 255
    labels = data.preprocessing.decode_classes(data.targets)
    assert labels.tolist() == ["dark"] * 12 + ["light"] * 12
    middle = data.inputs.reshape(24, -1).mean(axis=1)
    assert (middle[:12] < 40).all()
    assert (middle[12:] > 215).all()
    assert "resized to" in data.summary()
    assert "grey" in data.summary()


def test_the_size_is_the_median_and_no_larger_than_64(tmp_path: Path) -> None:
    for i, (height, width) in enumerate([(300, 400), (300, 400), (30, 40)]):
        save(tmp_path / "p" / "a" / f"{i}.png", grey(i, height, width))
        save(tmp_path / "p" / "b" / f"{i}.png", grey(i, height, width))
    assert load(tmp_path / "p").inputs.shape == (6, 48, 64, 1)
    assert load(tmp_path / "p", image_size=(100, 90)).inputs.shape == (6, 100, 90, 1)
    assert read(tmp_path / "p").image_size == (48, 64)


def test_one_picture_in_colour_makes_all_of_them_so(photos: Path) -> None:
    save(photos / "light" / "red.png", HALVES)
    assert load(photos).inputs.shape[3] == 3


def test_pictures_that_are_grey_though_stored_in_colour(photos: Path) -> None:
    Image.fromarray(grey(200)).convert("RGB").save(photos / "light" / "rgb.png")
    Image.fromarray(grey(200)).convert("P").save(photos / "light" / "palette.gif")
    assert load(photos).inputs.shape[3] == 1


def test_other_files_are_left_alone_and_told(photos: Path) -> None:
    (photos / "dark" / "notes.txt").write_text("x")
    (photos / "dark" / ".hidden.png").write_bytes(b"x")
    (photos / ".cache").mkdir()
    save(photos / "loose.png", grey(1))
    data = load(photos)
    assert data.rows == 24
    assert "files that are no images, not read: 'dark/notes.txt'" in data.summary()
    assert "images that lie in no class, not read: 'loose.png'" in data.summary()


def test_the_working_folder_has_a_name(photos: Path, monkeypatch) -> None:
    monkeypatch.chdir(photos)
    assert load("./").source == "photos"


def test_large_images_are_decoded_too(photos: Path, monkeypatch) -> None:
    monkeypatch.setattr("nervure.data.image_folders._LARGE", 500)
    assert load(photos).rows == 24


def test_images_may_lie_deeper(photos: Path) -> None:
    save(photos / "dark" / "2024" / "may" / "a.png", grey(1))
    assert load(photos).rows == 25


def test_a_class_without_an_image_is_named(photos: Path) -> None:
    (photos / "empty").mkdir()
    (photos / "text").mkdir()
    (photos / "text" / "a.txt").write_text("x")
    with pytest.raises(
        DataError, match=r"no image in 'empty', 'text'; expected images in"
    ):
        load(photos)


def test_images_in_no_class(photos: Path) -> None:
    expected = (
        "images that lie in no class \\(12\\); expected one sub-folder for each class"
    )
    with pytest.raises(DataError, match=expected):
        load(photos / "dark")
    save(photos.parent / "one" / "only" / "a.png", grey(1))
    with pytest.raises(DataError, match="has one class"):
        load(photos.parent / "one")


def test_an_image_size_is_for_images(photos: Path) -> None:
    with pytest.raises(DataError, match="for a source without image files; leave"):
        load("digits", image_size=(8, 8))
    with pytest.raises(ValueError, match="image_size = 0; expected a whole number"):
        DataSpec("photos", image_size=(0, 8))


def test_train_and_test_folders_are_the_two_parts(photos: Path, tmp_path: Path) -> None:
    parted = tmp_path / "parted"
    parted.mkdir()
    photos.rename(parted / "train")
    save(parted / "test" / "dark" / "a.png", grey(3))
    save(parted / "test" / "light" / "a.png", grey(250))
    data = load(parted)
    assert data.rows == 24
    assert data.test is not None
    assert data.test[0].shape[1:] == data.inputs.shape[1:]
    assert data.test[1].tolist() == [0, 1]


def test_validation_keeps_the_shares_of_classes(photos: Path) -> None:
    data = load_data(DataSpec(str(photos), validation=0.25))
    assert data.held_out_rows is not None
    assert np.bincount(data.targets[data.held_out_rows]).tolist() == [3, 3]


# -- for a network that is trained ----------------------------------------------------


@pytest.fixture
def trained(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sets = ["--set", "training.epochs=3", "--set", "data.image_size=[16, 16]"]
    assert run(["train", "photos", "-q", "--out", "run", *sets]) == 0
    return tmp_path / "run"


def test_training_out_of_the_box(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = nv.load_spec(trained / "spec.toml")
    assert spec.data.image_size == (16, 16)
    kinds = [entry.layer.kind for entry in spec.layers]
    assert kinds[:4] == ["input", "conv2d", "batch_norm", "activation"]
    capsys.readouterr()
    assert run(["evaluate", "run", "photos"]) == 0
    assert "accuracy" in capsys.readouterr().out


def test_predictions_name_their_files(
    trained: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(photos.parent / "new" / "b.png", grey(250, 90, 50))
    Image.fromarray(grey(3)).convert("RGB").save(photos.parent / "new" / "a.jpg")
    capsys.readouterr()
    assert run(["predict", "run", "new"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.split()] == [
        "file",
        "a.jpg",
        "b.png",
    ]
    assert run(["predict", "run", "new/b.png", "--out", "p.csv"]) == 0
    assert Path("p.csv").read_text().startswith("file,prediction\nb.png,")
    assert run(["inspect", "new/b.png"]) == 0
    assert "images: 90 x 50, resized to 64 x 36, grey" in capsys.readouterr().out
    assert row_names("new") == ["a.jpg", "b.png"]


def test_what_a_trained_network_cannot_use(trained: Path, photos: Path, capsys) -> None:
    capsys.readouterr()
    assert run(["evaluate", "run", "photos/dark"]) == 2
    assert (
        "images without a class; expected one sub-folder for" in capsys.readouterr().err
    )
    save(photos / "third" / "a.png", grey(3))
    assert run(["evaluate", "run", "photos"]) == 2
    assert "class 'third' in row 24" in capsys.readouterr().err
    record = load("digits").preprocessing
    with pytest.raises(
        DataError, match=r"images for a network of 8 x 8 x 1 inputs that are not"
    ):
        prepare(photos, record)


def test_arrays_and_images_are_seen_alike(trained: Path, photos: Path) -> None:
    record = nv.load(trained / "model.safetensors").preprocessing
    assert record is not None
    inputs, _ = prepare(photos, record)
    assert inputs.dtype == np.uint8
    assert inputs.shape == (24, 16, 16, 1)
    assert np.array_equal(record.encode(str(photos)), inputs)
