from dataclasses import replace

import pytest
import torch

from secateur.data import ImageData, Split, image_data
from secateur.errors import DataError


def make_split(count: int = 4, channels: int = 2, side: int = 3, start: int = 0) -> Split:
    numbers = torch.arange(count * channels * side * side) + start
    images = (numbers % 256).to(torch.uint8).view(count, channels, side, side)
    return Split(images, torch.arange(count) % 2)


def make_data(**changes: object) -> ImageData:
    parts = {"train": make_split(), "val": make_split(3), "test": make_split(2), "classes": 2}
    return image_data("tiny", **{**parts, **changes})


def test_a_split_counts_its_images() -> None:
    assert len(make_split(5)) == 5


def test_mean_and_deviation_are_those_of_the_training_split_alone() -> None:
    train = Split(
        torch.tensor([[[[0, 255]], [[51, 51]]], [[[0, 255]], [[51, 51]]]], dtype=torch.uint8),
        torch.tensor([0, 1]),
    )
    other = Split(torch.full((1, 2, 1, 2), 200, dtype=torch.uint8), torch.tensor([0]))
    data = make_data(train=train, val=other, test=other)
    assert data.mean == (0.5, 0.2)
    assert data.std == (0.5, 1.0)  # a channel that never varies is not divided by nothing


def test_normalise_follows_its_equation() -> None:
    data = make_data()
    images = data.val.images
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (data.mean, data.std))
    expected = (images.double() / 255 - mean) / std
    for layout in (torch.contiguous_format, torch.channels_last):
        found = data.normalise(images, layout)
        assert found.dtype == torch.float32
        assert found.is_contiguous(memory_format=layout)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    assert images.dtype == torch.uint8
    assert torch.equal(images, make_split(3).images)


def test_the_training_split_is_normalised_to_zero_and_one() -> None:
    floats = make_data().normalise(make_data().train.images)
    torch.testing.assert_close(floats.mean((0, 2, 3)), torch.zeros(2), rtol=0, atol=1e-6)
    torch.testing.assert_close(floats.std((0, 2, 3), correction=0), torch.ones(2))


def test_example_is_the_first_validation_images() -> None:
    data = make_data()
    assert torch.equal(data.example(2), data.normalise(data.val.images)[:2])
    assert data.shape == (2, 3, 3)


def test_to_moves_every_split() -> None:
    moved = make_data().to("meta")
    for split in (moved.train, moved.val, moved.test):
        assert split.images.is_meta
        assert split.labels.is_meta


def test_fingerprint_is_pinned() -> None:
    assert make_data().fingerprint() == make_data().fingerprint()
    assert make_data().fingerprint() == (
        "e938247870bdf7ce3621f2c5078cd57e0c83010bf5fbe70e4ce72c2e9d4e6e25"
    )


def test_fingerprint_sees_every_setting_and_every_byte_but_not_the_name() -> None:
    data = make_data()
    prints = {data.fingerprint()}
    prints.add(make_data(flip=True).fingerprint())
    prints.add(make_data(crop=1).fingerprint())
    prints.add(make_data(classes=3).fingerprint())
    prints.add(replace(data, mean=(0.0, 0.0)).fingerprint())
    for part in ("train", "val", "test"):
        split = getattr(data, part)
        pixels, labels = split.images.clone(), split.labels.clone()
        pixels[0, 0, 0, 0] += 1
        labels[0] = 1
        prints.add(replace(data, **{part: Split(pixels, split.labels)}).fingerprint())
        prints.add(replace(data, **{part: Split(split.images, labels)}).fingerprint())
    assert len(prints) == 11
    assert replace(data, name="other").fingerprint() == data.fingerprint()


def test_fingerprint_does_not_see_the_layout_in_memory() -> None:
    data = make_data()
    turned = data.val.images.contiguous(memory_format=torch.channels_last)
    assert replace(data, val=Split(turned, data.val.labels)).fingerprint() == data.fingerprint()


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("label", [-1, 2, 1000])
def test_a_label_outside_the_classes_is_named(part: str, label: int) -> None:
    split = make_split(4)
    split.labels[2] = label
    with pytest.raises(DataError) as caught:
        make_data(**{part: split})
    assert f"the label of {part} image 2 is {label}, expected 0 <= label < 2" in str(caught.value)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_an_empty_split_is_named(part: str) -> None:
    with pytest.raises(DataError, match=f"the {part} split is empty"):
        make_data(**{part: make_split(0)})


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (make_split(side=4), "val images is 2 x 4 x 4, expected 2 x 3 x 3 as in train"),
        (Split(make_split().images.float(), make_split().labels), "is float32 of shape"),
        (Split(make_split().images[0], make_split().labels), "is uint8 of shape 2 x 3 x 3"),
        (Split(make_split().images, make_split().labels.int()), "labels is int32 of shape 4"),
        (Split(make_split().images, make_split().labels[:3]), "labels is int64 of shape 3"),
        (Split(make_split().images, torch.tensor(1)), "labels is int64 of shape no axes"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(split: Split, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_data(val=split)


@pytest.mark.parametrize(("option", "value"), [("classes", 0), ("crop", -1)])
def test_settings_out_of_range_are_refused(option: str, value: int) -> None:
    with pytest.raises(DataError, match=f"{option} is {value}"):
        make_data(**{option: value})
