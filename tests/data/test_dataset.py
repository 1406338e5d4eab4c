from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from torch.utils.data import IterableDataset, TensorDataset

import secateur
from secateur.data import from_dataset
from secateur.errors import DataError

BYTES = (torch.arange(4 * 3 * 5 * 6) % 256).to(torch.uint8).view(4, 3, 5, 6)
LABELS = torch.tensor([0, 1, 2, 1])
GOOD = TensorDataset(BYTES, LABELS)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(())


def test_items_are_read_in_order() -> None:
    data = from_dataset(GOOD, GOOD, GOOD, classes=3, name="mine", flip=True, crop=2)
    assert (data.name, data.shape, data.flip, data.crop) == ("mine", (3, 5, 6), True, 2)
    assert torch.equal(data.train.images, BYTES)
    assert data.val.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    "item",
    [
        BYTES[2].float() / 255,
        BYTES[2].double() / 255,
        BYTES[2].permute(1, 2, 0).numpy(),
        Image.fromarray(BYTES[2].permute(1, 2, 0).numpy()),
    ],
)
@pytest.mark.parametrize("label", [1, torch.tensor(1), numpy.int32(1)])
def test_what_an_item_may_be(item: object, label: object) -> None:
    data = from_dataset(GOOD, [(item, label)], GOOD, classes=3)
    assert torch.equal(data.val.images[0], BYTES[2])
    assert data.val.labels.tolist() == [1]


def test_images_without_channels_get_one() -> None:
    grey = [(BYTES[0, 0], 0), (BYTES[0, 1].numpy(), 1), (BYTES[0, 2].float() / 255, 0)]
    data = from_dataset(grey, grey, grey, classes=2)
    assert torch.equal(data.train.images[:, 0], BYTES[0])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ((BYTES[0].float() / 255 - 0.5, 0), "image of test item 1 is floats that are not bytes"),
        ((torch.full((3, 5, 6), 2.0), 0), "floats that are not bytes / 255"),
        ((torch.full((3, 5, 6), float("nan")), 0), "floats that are not bytes / 255"),
        ((BYTES[0].int(), 0), "is int32"),
        ((BYTES, 0), r"of shape \(4, 3, 5, 6\)"),
        ((BYTES[0, :, :4], 0), r"of shape \(3, 4, 6\), expected .* of one shape"),
        ((numpy.zeros((5, 6, 3)), 0), "float64 of shape"),
        (("text", 0), "image of test item 1 is"),
        ((BYTES[0], 0.5), "the label of test item 1 is 0.5, expected one whole number"),
        ((BYTES[0], torch.tensor([0, 1])), "the label of test item 1"),
        ((BYTES[0], True), "the label of test item 1 is True"),
        ((BYTES[0], 3), "the label of test image 1 is 3"),
        (BYTES[0], "test item 1 is of type Tensor, expected a pair"),
    ],
)
def test_items_that_cannot_be_read_are_named(item: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_dataset(GOOD, GOOD, [GOOD[0], item], classes=3)


def test_empty_and_endless_datasets() -> None:
    with pytest.raises(DataError, match="the val split is empty"):
        from_dataset(GOOD, [], GOOD, classes=3)
    with pytest.raises(DataError, match="the train dataset is without a length"):
        from_dataset(Stream(), GOOD, GOOD, classes=3)


class Pairs(list[Any]):
    """A dataset of one item."""


OTHER_TASKS = {
    "tabular": (torch.randn(20), 1),
    "regression": (BYTES[0], 0.25),
    "tokens": (torch.randint(1000, (30,)), 1),
    "multi-label": (BYTES[0], torch.tensor([1, 0, 1])),
    "one-hot": (BYTES[0], numpy.array([0.0, 1.0])),
    "segmentation": (BYTES[0], torch.zeros(8, 8, dtype=torch.int64)),
    "detection": (BYTES[0], {"boxes": [], "labels": []}),
    "a word for a class": (BYTES[0], "cat"),
    "a truth": (BYTES[0], True),
    "without a label": (BYTES[0],),
    "image, mask and label": (BYTES[0], BYTES[0], 1),
    "a map": {"image": BYTES[0], "label": 1},
    "words": ("a sentence", 1),
    "video": (torch.zeros(3, 4, 8, 8, dtype=torch.uint8), 1),
    "nothing": None,
}


@pytest.mark.parametrize("item", OTHER_TASKS.values(), ids=OTHER_TASKS)
def test_other_tasks_are_told_what_is_taken(item: Any) -> None:
    items = Pairs([item])
    with pytest.raises(DataError) as refused:
        from_dataset(items, items, items, classes=2)  # type: ignore[arg-type]
    assert (
        "image" in refused.value.expected
        or "class" in refused.value.expected
        or ("bytes" in refused.value.expected)
    )


@pytest.mark.parametrize(
    "data",
    [torch.zeros(3), (torch.zeros(3), torch.zeros(3)), [], None, {}, 5, iter(())],
    ids=["tensor", "tensors", "list", "none", "dict", "number", "iterator"],
)
def test_what_is_no_data_is_refused_before_anything(data: Any) -> None:
    for use in (
        lambda: secateur.sweep("lenet-5", data, out="never"),
        lambda: secateur.fit(torch.nn.Linear(2, 2), data, epochs=1),
    ):
        with pytest.raises(DataError, match="data with three splits"):
            use()
