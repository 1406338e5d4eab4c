from pathlib import Path

import numpy
import pytest
import torch

from secateur.data import ImageData, load
from secateur.data.npz import npz
from secateur.errors import DataError


def pixels(*shape: int) -> numpy.ndarray:
    return (numpy.arange(numpy.prod(shape)) % 256).astype(numpy.uint8).reshape(shape)


def make(shape: tuple[int, ...] = (5, 6), **changes: numpy.ndarray) -> dict[str, numpy.ndarray]:
    arrays = {
        "x_train": pixels(20, *shape),
        "y_train": numpy.arange(20) % 4,
        "x_test": pixels(8, *shape),
        "y_test": numpy.arange(8) % 4,
    }
    return {**arrays, **changes}


def read(tmp_path: Path, arrays: dict[str, numpy.ndarray], **options: object) -> ImageData:
    numpy.savez_compressed(tmp_path / "mine.npz", **arrays)
    return load("npz", path=str(tmp_path / "mine.npz"), **options)


def test_validation_is_held_out_where_it_is_missing(tmp_path: Path) -> None:
    data = read(tmp_path, make(), val_size=8)
    assert (data.name, data.classes, data.shape) == ("mine", 4, (1, 5, 6))
    assert [len(split) for split in (data.train, data.val, data.test)] == [12, 8, 8]
    assert data.val.labels.bincount().tolist() == [2] * 4
    assert len(read(tmp_path, make()).val) == 2


def test_validation_of_the_user_s_own(tmp_path: Path) -> None:
    arrays = make(x_val=pixels(3, 5, 6), y_val=numpy.array([[3], [0], [1]], numpy.uint8))
    data = read(tmp_path, arrays, classes=7)
    assert data.val.labels.tolist() == [3, 0, 1]
    assert (len(data.train), data.classes) == (20, 7)


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((5, 6), None, (1, 5, 6)),
        ((5, 6, 3), None, (3, 5, 6)),
        ((3, 5, 6), None, (3, 5, 6)),
        ((5, 6, 1), None, (1, 5, 6)),
        ((3, 5, 3), "NCHW", (3, 5, 3)),
        ((3, 5, 3), "NHWC", (3, 3, 5)),
        ((5, 6, 2), "NHWC", (2, 5, 6)),
    ],
)
def test_layouts(
    shape: tuple[int, ...], layout: str | None, expected: tuple[int, ...], tmp_path: Path
) -> None:
    data = read(tmp_path, make(shape), layout=layout)
    assert data.shape == expected
    last = pixels(8, *shape)[3]
    if len(shape) == 2:
        last = last[None]
    elif last.shape != expected or layout == "NHWC":
        last = last.transpose(2, 0, 1)
    assert torch.equal(data.test.images[3], torch.tensor(last.copy()))


@pytest.mark.parametrize("shape", [(3, 5, 3), (5, 6, 7), (6,), (1, 1, 5, 6)])
def test_a_layout_that_cannot_be_seen_is_asked_for(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Pass layout"):
        read(tmp_path, make(shape))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": pixels(8, 5, 6).astype(float)}, "x_test is float64, expected uint8"),
        ({"y_train": numpy.arange(20) / 2}, "y_train is float64, expected whole numbers"),
        ({"y_test": numpy.arange(8)}, "label of test image 4 is 4, expected 0 <= label < 4"),
        ({"y_test": -numpy.arange(8)}, "label of test image 1 is -1"),
        ({"y_test": numpy.arange(7)}, "labels is int64 of shape 7"),
        ({"x_test": pixels(0, 5, 6), "y_test": numpy.arange(0)}, "the test split is empty"),
        ({"x_test": pixels(8, 5, 5)}, "test images is 1 x 5 x 5, expected 1 x 5 x 6"),
        ({"x_val": pixels(8, 5, 6)}, "the array y_val is missing"),
        ({"y_train": numpy.array([None] * 20)}, "unreadable .*pickle"),
    ],
)
def test_arrays_that_do_not_fit(
    change: dict[str, numpy.ndarray], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, make(**change), classes=4)


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    arrays = make()
    del arrays["y_test"]
    with pytest.raises(DataError, match="y_test is missing, expected beside x_train"):
        read(tmp_path, arrays)


def test_files_that_are_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    with pytest.raises(DataError, match="is unreadable"):
        npz(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"is unreadable \(no archive and no array\)"):
        npz(path)
    with path.open("wb") as stream:
        numpy.save(stream, pixels(3, 3))
    with pytest.raises(DataError, match="is a single array"):
        npz(path)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_an_archive_that_is_cut_off(share: float, tmp_path: Path) -> None:
    read(tmp_path, make())
    whole = (tmp_path / "mine.npz").read_bytes()
    (tmp_path / "mine.npz").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match="is unreadable"):
        npz(tmp_path / "mine.npz")


def test_a_flipped_bit_is_seen(tmp_path: Path) -> None:
    noise = numpy.random.default_rng(0).integers(0, 256, (20, 5, 6), dtype=numpy.uint8)
    read(tmp_path, make(x_train=noise))
    content = bytearray((tmp_path / "mine.npz").read_bytes())
    content[300] ^= 1
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(DataError, match="is unreadable"):
        npz(tmp_path / "mine.npz")


def test_a_layout_that_does_not_exist(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "mine.npz", **make())
    with pytest.raises(DataError, match="layout is 'HW', expected one of NHWC, NCHW, NHW"):
        npz(tmp_path / "mine.npz", layout="HW")
    with pytest.raises(DataError, match="expected axes NHWC"):
        npz(tmp_path / "mine.npz", layout="NHWC")
