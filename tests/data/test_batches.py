from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from secateur.data import ImageData, Split, batches, image_data
from secateur.errors import DataError


def make_data(count: int = 10, side: int = 5, *, flip: bool = False, crop: int = 0) -> ImageData:
    """Images whose pixels are all different within an image, and never black."""
    pixels = torch.arange(2 * side * side).view(1, 2, side, side) + 1
    images = (pixels + 100 * (torch.arange(count).view(-1, 1, 1, 1) % 2)).to(torch.uint8)
    split = Split(images, torch.arange(count))
    return image_data(
        "numbered", train=split, val=split, test=split, classes=count, flip=flip, crop=crop
    )


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def run(data: ImageData, size: int, **options: object) -> tuple[Tensor, Tensor]:
    images, labels = zip(*batches(data, data.train, size, **options), strict=True)
    return torch.cat(images), torch.cat(labels)


def test_without_a_generator_images_come_in_order_and_as_they_are() -> None:
    data = make_data(10, flip=True, crop=2)
    images, labels = run(data, 4)
    assert labels.tolist() == list(range(10))
    assert torch.equal(images, data.normalise(data.train.images))


def test_the_last_short_batch_is_kept() -> None:
    data = make_data(10)
    for options in ({}, {"generator": seeded()}):
        sizes = [len(labels) for _, labels in batches(data, data.train, 4, **options)]
        assert sizes == [4, 4, 2]


def test_shuffling_keeps_every_image_with_its_label() -> None:
    data = make_data(10)
    images, labels = run(data, 3, generator=seeded())
    assert labels.tolist() != list(range(10))
    assert sorted(labels.tolist()) == list(range(10))
    assert torch.equal(images, data.normalise(data.train.images[labels]))


def test_the_generator_alone_decides() -> None:
    data = make_data(20, flip=True, crop=2)
    first, again, other = (run(data, 8, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_everything_is_drawn_at_the_call_and_every_pass_draws_anew() -> None:
    data = make_data(20)
    generator = seeded()
    one = batches(data, data.train, 20, generator=generator)
    two = batches(data, data.train, 20, generator=generator)
    later, earlier = next(two)[1], next(one)[1]
    generator = seeded()
    assert torch.equal(earlier, run(data, 20, generator=generator)[1])
    assert torch.equal(later, run(data, 20, generator=generator)[1])
    assert not torch.equal(earlier, later)


def test_the_batch_size_changes_no_image() -> None:
    data = make_data(20, flip=True, crop=1)
    whole, parts = (run(data, size, generator=seeded()) for size in (20, 3))
    assert torch.equal(whole[0], parts[0])


def test_flip_mirrors_about_half_and_nothing_else() -> None:
    data = make_data(400, flip=True)
    images, labels = run(data, 64, generator=seeded())
    plain = data.normalise(data.train.images[labels])
    same = (images == plain).flatten(1).all(1)
    mirrored = (images == plain.flip(-1)).flatten(1).all(1)
    assert torch.equal(same, ~mirrored)
    assert 150 < int(mirrored.sum()) < 250


def test_a_crop_is_a_window_of_the_image_in_a_black_frame() -> None:
    crop, side = 2, 5
    data = make_data(600, side, crop=crop)
    images, labels = run(data, 64, generator=seeded())
    framed = torch.nn.functional.pad(data.train.images[labels], (crop,) * 4)
    places = [(row, column) for row in range(2 * crop + 1) for column in range(2 * crop + 1)]
    matches = torch.stack(
        [
            (images == data.normalise(framed[:, :, r : r + side, c : c + side])).flatten(1).all(1)
            for r, c in places
        ]
    )
    assert matches.sum(0).tolist() == [1] * 600  # each image is exactly one window
    assert int(matches.sum(1).min()) > 5  # and every window occurs


def test_flip_and_crop_together_make_a_mirrored_window() -> None:
    data = make_data(200, 3, flip=True, crop=1)
    images, labels = run(data, 200, generator=seeded())
    framed = torch.nn.functional.pad(data.train.images[labels], (1,) * 4)
    windows = [
        data.normalise(framed[:, :, r : r + 3, c : c + 3]) for r in range(3) for c in range(3)
    ]
    found = torch.stack(
        [(images == w).flatten(1).all(1) for plain in windows for w in (plain, plain.flip(-1))]
    )
    assert found.sum(0).tolist() == [1] * 200


@pytest.mark.parametrize("generator", [None, seeded()])
def test_images_come_in_the_layout_asked_for(generator: torch.Generator | None) -> None:
    data = make_data(flip=True)
    layout = torch.channels_last
    for images, _ in batches(data, data.train, 4, generator=generator, memory_format=layout):
        assert images.is_contiguous(memory_format=layout)
        assert images.dtype == torch.float32


def test_the_data_are_left_alone() -> None:
    data = make_data(flip=True, crop=2)
    before = data.fingerprint()
    run(data, 4, generator=seeded())
    run(data, 4)
    assert data.fingerprint() == before


@given(
    count=st.integers(1, 30),
    size=st.integers(1, 12),
    world=st.integers(1, 5),
    shuffled=st.booleans(),
)
def test_ranks_share_every_batch(count: int, size: int, world: int, shuffled: bool) -> None:
    data = make_data(count, 3, flip=True, crop=1)

    def labels_of(rank: int, world: int) -> list[list[int]]:
        generator = seeded() if shuffled else None
        parts = batches(data, data.train, size, generator=generator, rank=rank, world=world)
        return [labels.tolist() for _, labels in parts]

    whole = labels_of(0, 1)
    ranks = [labels_of(rank, world) for rank in range(world)]
    assert {len(rank) for rank in ranks} == {len(whole)}
    for step, batch in enumerate(whole):
        parts = [rank[step] for rank in ranks]
        assert list(chain.from_iterable(parts)) == batch
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "the batch size is 0"),
        ({"batch_size": 4, "rank": 2, "world": 2}, "the rank is 2 of 2"),
        ({"batch_size": 4, "rank": -1}, "the rank is -1 of 1"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(options: dict[str, int], message: str) -> None:
    data = make_data()
    with pytest.raises(DataError, match=message):
        batches(data, data.train, **options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_same_batches() -> None:
    data = make_data(50, flip=True, crop=2)
    there = data.to("cuda")
    plain, moved = (run(one, 16, generator=seeded()) for one in (data, there))
    assert torch.equal(plain[1], moved[1].cpu())
    torch.testing.assert_close(plain[0], moved[0].cpu())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_generator_on_the_gpu_is_refused() -> None:
    data = make_data()
    with pytest.raises(DataError, match="the generator is on cuda"):
        batches(data, data.train, 4, generator=torch.Generator("cuda"))
