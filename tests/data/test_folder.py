from pathlib import Path

import numpy
import pytest
from PIL import Image

from secateur.data import ImageData, load
from secateur.errors import DataError


def paint(path: Path, value: int, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (value, 10, 20) if mode == "RGB" else value
    Image.new(mode, size, colour).save(path)
    return path


def read(root: Path, **options: object) -> ImageData:
    return load("folder", root=str(root), **options)


def make_plain(root: Path, count: int = 10) -> Path:
    for label, name in enumerate(("cat", "dog")):
        for number in range(count):
            paint(root / name / f"{number:02}.png", 100 * label + number)
    return root


def test_classes_in_folders_are_held_out_in_proportion(tmp_path: Path) -> None:
    data = read(make_plain(tmp_path / "pets"), val_share=0.2, test_share=0.3)
    assert (data.name, data.classes, data.shape) == ("pets", 2, (3, 4, 6))
    assert [len(split) for split in (data.train, data.val, data.test)] == [10, 4, 6]
    for split in (data.train, data.val, data.test):
        assert split.labels.bincount().tolist() == [len(split) // 2] * 2
        assert (split.images[:, 0, 0, 0] // 100).tolist() == split.labels.tolist()
        assert split.images[0, :, 0, 0].tolist()[1:] == [10, 20]


def test_splits_of_the_user_s_own(tmp_path: Path) -> None:
    for part, value in (("train", 1), ("val", 2), ("test", 3)):
        for name in ("a", "b"):
            paint(tmp_path / part / name / "x.png", value)
    data = read(tmp_path, flip=True, crop=1)
    for split, value in ((data.train, 1), (data.val, 2), (data.test, 3)):
        assert split.images[:, 0, 0, 0].tolist() == [value, value]
        assert split.labels.tolist() == [0, 1]
    assert (data.flip, data.crop) == (True, 1)


def test_validation_is_held_out_of_train_where_it_is_missing(tmp_path: Path) -> None:
    make_plain(tmp_path / "train")
    paint(tmp_path / "test" / "dog" / "x.png", 200)
    data = read(tmp_path, val_share=0.2)
    assert [len(split) for split in (data.train, data.val, data.test)] == [16, 4, 1]
    assert data.test.labels.tolist() == [1]


def test_grey_resized_and_upright(tmp_path: Path) -> None:
    make_plain(tmp_path)
    turned = Image.fromarray(numpy.arange(24, dtype=numpy.uint8).reshape(4, 6))
    note = Image.Exif()
    note[0x0112] = 3  # half a turn
    turned.save(tmp_path / "cat" / "00.png", exif=note)
    data = read(tmp_path, grey=True, val_share=0.1, test_share=0.1)
    everything = [row for split in (data.train, data.val, data.test) for row in split.images]
    assert data.shape == (1, 4, 6)
    assert any(image.flatten().tolist() == list(range(23, -1, -1)) for image in everything)
    assert read(tmp_path, resize=5).shape == (3, 5, 5)


def test_names_that_begin_with_a_dot_are_passed_over(tmp_path: Path) -> None:
    make_plain(tmp_path)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "cat" / ".hidden").write_bytes(b"x")
    assert read(tmp_path).classes == 2


def test_a_file_that_is_not_an_image_is_named(tmp_path: Path) -> None:
    make_plain(tmp_path)
    (tmp_path / "dog" / "notes.txt").write_text("woof")
    with pytest.raises(DataError, match=r"dog/notes\.txt is not an image"):
        read(tmp_path)


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    make_plain(tmp_path)
    path = tmp_path / "dog" / "03.png"
    noise = numpy.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=numpy.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:70])
    with pytest.raises(DataError, match=r"dog/03\.png is unreadable"):
        read(tmp_path)


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    make_plain(tmp_path)
    paint(tmp_path / "dog" / "03.png", 1, size=(6, 5))
    with pytest.raises(DataError, match=r"dog/03\.png is 5 x 6 pixels, expected 4 x 6") as caught:
        read(tmp_path)
    assert "resize" in str(caught.value)


def test_deep_images_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    make_plain(tmp_path)
    paint(tmp_path / "dog" / "03.png", 1000, mode="I;16")
    with pytest.raises(DataError, match=r"dog/03\.png is of Pillow's mode I;16"):
        read(tmp_path)


def test_a_class_that_train_lacks(tmp_path: Path) -> None:
    make_plain(tmp_path / "train")
    paint(tmp_path / "test" / "cow" / "x.png", 1)
    with pytest.raises(
        DataError, match="cow is a class that train lacks, expected one of cat, dog"
    ):
        read(tmp_path)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is unreadable"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is empty, expected a folder for each class"):
        read(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="is without images"):
        read(tmp_path)
    (tmp_path / "stray.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"stray\.png is a file"):
        read(tmp_path)


def test_train_needs_test_beside_it(tmp_path: Path) -> None:
    make_plain(tmp_path / "train")
    with pytest.raises(DataError, match="test is unreadable"):
        read(tmp_path)


@pytest.mark.parametrize(
    "options", [{"resize": 0}, {"val_share": 1.5}, {"test_share": float("nan")}]
)
def test_options_out_of_range(options: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{next(iter(options))} is"):
        read(make_plain(tmp_path), **options)


def test_nothing_to_hold_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is 0 of 20"):
        read(make_plain(tmp_path), test_share=0.0)
