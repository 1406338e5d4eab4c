import pytest
import torch

from secateur.data import shapes as module
from secateur.data.shapes import shapes
from secateur.errors import DataError


def test_the_study_s_shape_is_the_default() -> None:
    data = shapes(train=11, val=7, test=6)
    assert data.shape == (3, 25, 25)
    assert data.classes == 5
    assert [len(split) for split in (data.train, data.val, data.test)] == [11, 7, 6]
    assert data.train.labels.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]


def test_the_seed_decides() -> None:
    first, again, other = (shapes(train=20, val=5, test=5, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint() == again.fingerprint()
    assert not torch.equal(first.train.images, other.train.images)


def test_splits_differ_and_do_not_depend_on_each_other() -> None:
    data = shapes(train=10, val=10, test=10)
    assert not torch.equal(data.train.images, data.val.images)
    assert not torch.equal(data.val.images, data.test.images)
    larger = shapes(train=500, val=10, test=10)
    assert torch.equal(larger.test.images, data.test.images)


def test_more_images_than_are_drawn_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 8)
    data = shapes(train=21, val=2, test=2, difficulty=0)
    assert len({image.numpy().tobytes() for image in data.train.images}) == 21


def test_an_easy_image_has_one_ground_and_one_shape_well_apart() -> None:
    data = shapes(train=50, val=2, test=2, difficulty=0, seed=3)
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        colours, counts = image.flatten(1).unique(dim=1, return_counts=True)
        ground, shape = counts.topk(2).indices
        apart = (colours[:, ground].int() - colours[:, shape].int()).abs()
        assert int(apart.min()) >= 0.6 * 255 - 2, int(label)
        assert 20 < int(counts[shape]) < 625 / 2


def test_each_label_has_its_outline() -> None:
    """Upright and clean, the shapes differ in the share of their bounding box that they fill."""
    data = shapes(train=100, val=2, test=2, difficulty=0, size=64)
    expected = {0: 0.785, 1: 1.0, 2: 0.5, 3: 0.51, 4: 0.589}
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        inside = (image[0].int() - int(image[0, 0, 0])).abs() > 64
        rows, columns = inside.any(1).sum(), inside.any(0).sum()
        filled = float(inside.sum() / (rows * columns))
        assert abs(filled - expected[int(label)]) < 0.04, (int(label), filled)


def test_difficulty_adds_noise_and_takes_contrast() -> None:
    easy, hard = (shapes(train=50, val=2, test=2, difficulty=level) for level in (0.0, 1.0))

    def roughness(images: torch.Tensor) -> float:
        return float(images.float().diff(dim=-1).abs().median())

    assert roughness(easy.train.images) == 0
    assert roughness(hard.train.images) > 20


def test_fewer_classes_and_other_sizes() -> None:
    data = shapes(train=6, val=3, test=3, size=12, classes=3, flip=True, crop=1)
    assert data.shape == (3, 12, 12)
    assert data.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert (data.classes, data.flip, data.crop) == (3, True, 1)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("train", 0),
        ("val", 0),
        ("test", -1),
        ("train", 100_000_000_000),
        ("val", 10**30),
        ("size", 7),
        ("size", 10**9),
        ("classes", 1),
        ("classes", 6),
        ("difficulty", -0.1),
        ("difficulty", 1.1),
        ("difficulty", float("nan")),
        ("seed", -1),
    ],
)
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(DataError, match=f"{option} is {value}"):
        shapes(**{option: value})
