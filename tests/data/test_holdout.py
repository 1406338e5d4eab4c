import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from secateur.data import Split, hold_out
from secateur.data.holdout import draw as draw_images
from secateur.errors import DataError


def make(labels: list[int]) -> Split:
    count = len(labels)
    numbers = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1)
    return Split(numbers, torch.tensor(labels))


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.data())
def test_parts_are_whole_disjoint_in_order_and_proportional(
    labels: list[int], draw: st.DataObject
) -> None:
    split = make(labels)
    size = draw.draw(st.integers(1, len(labels) - 1))
    rest, held = hold_out(split, size, seed=draw.draw(st.integers(0, 9)))
    numbers = [part.images.flatten().tolist() for part in (rest, held)]
    assert len(held) == size
    assert sorted(numbers[0] + numbers[1]) == list(range(len(labels)))
    assert numbers == [sorted(numbers[0]), sorted(numbers[1])]
    for part, its in ((rest, numbers[0]), (held, numbers[1])):
        assert part.labels.tolist() == [labels[number] for number in its]
    for label in set(labels):
        share = labels.count(label) * size / len(labels)
        assert abs(held.labels.tolist().count(label) - share) < 1


def test_shares_of_an_image_go_by_largest_remainder() -> None:
    # Shares of 5: 6 / 12 -> 2.5, 4 / 12 -> 1.67, 2 / 12 -> 0.83: two are left for 0.83 and 0.67.
    _, held = hold_out(make([0] * 6 + [1] * 4 + [2] * 2), 5)
    assert held.labels.bincount().tolist() == [2, 2, 1]


def test_the_seed_decides() -> None:
    split = make([0] * 50 + [1] * 50)
    first, again, other = (hold_out(split, 20, seed=seed)[1].images for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("size", [0, -1, 4, 5])
def test_both_parts_must_have_images(size: int) -> None:
    with pytest.raises(DataError, match=f"is {size} of 4, expected between 1 and 3"):
        hold_out(make([0, 1, 0, 1]), size)


def test_some_images_are_drawn_in_the_proportions_of_all() -> None:
    split = make([0, 0, 0, 0, 1, 1] * 5)
    some = draw_images(split, 15, seed=3)
    assert some.labels.bincount().tolist() == [10, 5]
    assert draw_images(split, None) is split
    assert draw_images(split, 30) is split


@pytest.mark.parametrize("count", [0, -1, 5, True, 2.0, "2"])
def test_so_many_images_that_are_not_there(count: object) -> None:
    with pytest.raises(DataError, match="a whole number from 1 to 4"):
        draw_images(make([0, 1, 0, 1]), count)  # type: ignore[arg-type]
