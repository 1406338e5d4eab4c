import gzip
import hashlib
import runpy
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from secateur.data import fashion_mini as module
from secateur.data import idx
from secateur.data.fashion_mini import fashion_mini
from secateur.errors import DataError

FILE = Path(module.__file__).with_name(module.FILE)


def test_sizes_shape_and_balance_of_every_prefix() -> None:
    data = fashion_mini()
    assert data.shape == (1, 28, 28)
    assert data.classes == 10
    for split, count in ((data.train, 10_000), (data.val, 2_000), (data.test, 4_000)):
        assert split.images.shape == (count, 1, 28, 28)
        assert split.labels[:10].tolist() == list(range(10))
        assert split.labels.bincount().tolist() == [count // 10] * 10


def test_a_prefix_of_each_split_is_the_same_images() -> None:
    whole, few = fashion_mini(), fashion_mini(train=100, val=20, test=30)
    for name, count in (("train", 100), ("val", 20), ("test", 30)):
        split = getattr(few, name)
        assert len(split) == count
        assert torch.equal(split.images, getattr(whole, name).images[:count])
        assert torch.equal(split.labels, getattr(whole, name).labels[:count])


@pytest.mark.parametrize(
    "asked", [{"train": 0}, {"train": 10_001}, {"val": -1}, {"test": 4_001}, {"train": 0.5}]
)
def test_more_than_there_are_is_refused(asked: dict[str, int]) -> None:
    with pytest.raises(DataError, match=f"{next(iter(asked))} is .*from 1 to"):
        fashion_mini(**asked)


def test_content_is_pinned() -> None:
    assert fashion_mini().fingerprint() == (
        "7d7d92d8710b753f7a3ef9026ad3238eb09e62ef6b96ffae0f0ba0ef874ca21e"
    )


def test_the_file_is_small_and_its_licence_beside_it() -> None:
    assert FILE.stat().st_size < 8_000_000
    assert "Copyright" in FILE.with_name("FASHION-MNIST-LICENSE").read_text()
    assert "Zalando" in FILE.with_name("FASHION-MNIST-LICENSE").read_text()


def test_augmentation_is_an_option() -> None:
    data = fashion_mini(flip=True, crop=2)
    assert (data.flip, data.crop) == (True, 2)


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_file_is_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(FILE.read_bytes())
    if damage == "cut":
        del content[-1000:]
    content[5000] ^= damage == "flipped"
    if damage != "missing":
        (tmp_path / module.FILE).write_bytes(content)
    monkeypatch.setattr(module.resources, "files", lambda _: tmp_path)
    with pytest.raises(DataError, match=r"fashion_mini\.png is (damaged|unreadable)"):
        fashion_mini()


@pytest.mark.skipif(
    not idx.DEBIAN_FASHION_MNIST.is_dir(), reason="needs Debian's dataset-fashion-mnist"
)
def test_it_is_the_first_images_of_the_official_files() -> None:
    data = fashion_mini()
    for prefix, parts in (
        ("train", ((data.train, 0), (data.val, 1000))),
        ("t10k", ((data.test, 0),)),
    ):
        with gzip.open(idx.DEBIAN_FASHION_MNIST / f"{prefix}-images-idx3-ubyte.gz") as file:
            pixels = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 28, 28)
        with gzip.open(idx.DEBIAN_FASHION_MNIST / f"{prefix}-labels-idx1-ubyte.gz") as file:
            labels = numpy.frombuffer(file.read(), numpy.uint8, offset=8)
        for split, start in parts:
            for label in range(10):
                count = len(split) // 10
                official = pixels[labels == label][start : start + count]
                assert torch.equal(split.images[label::10, 0], torch.tensor(official))


@pytest.mark.skipif(
    not idx.DEBIAN_FASHION_MNIST.is_dir(), reason="needs Debian's dataset-fashion-mnist"
)
def test_the_script_chooses_the_pixels_of_the_file() -> None:
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "make_fashion_mini.py"))
    images = script["choose"](idx.DEBIAN_FASHION_MNIST)
    assert hashlib.sha256(images.tobytes()).hexdigest() == script["PIXELS_SHA256"]
    with Image.open(FILE) as picture:
        assert numpy.array_equal(numpy.array(picture), script["arrange"](images))
