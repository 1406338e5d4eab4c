"""Shares of a batch: every example once, and the mean of the ranks is the batch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from secateur.errors import DataError
from secateur.tasks.classification import Classification
from secateur.tasks.language_model import LanguageModel
from secateur.tasks.segmentation import Segmentation
from secateur.tasks.task import Task
from secateur.training.share import share_of


def shares(batch: Any, world: int, task: Task | None = None) -> list[Any]:
    return [share_of(batch, task or Classification(), rank, world) for rank in range(world)]


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_every_example_is_one_ranks(size: int, world: int) -> None:
    batch = torch.arange(float(size)), torch.arange(size)
    found = shares(batch, world)
    inputs = torch.cat([one.batch[0][: one.counted] for one in found])
    targets = torch.cat([one.batch[1][: one.counted] for one in found])
    assert torch.equal(inputs, batch[0])
    assert torch.equal(targets, batch[1])
    assert sum(one.fraction for one in found) == pytest.approx(1)
    counts = [one.counted for one in found]
    assert max(counts) - min(counts) <= 1
    assert all(len(one.batch[0]) == max(1, one.counted) for one in found)
    assert {one.whole for one in found} == {size}


def test_trees_are_shared_by_their_first_axis() -> None:
    inputs = {"ids": torch.arange(6).reshape(3, 2), "pair": (torch.arange(3), torch.tensor(7))}
    target = [{"box": torch.ones(number, 4)} for number in range(3)]
    first, second = shares((inputs, target), 2)
    assert first.batch[0]["ids"].tolist() == [[0, 1]]
    assert second.batch[0]["pair"][0].tolist() == [1, 2]
    assert int(second.batch[0]["pair"][1]) == 7
    assert [len(one["box"]) for one in second.batch[1]] == [1, 2]
    assert shares((torch.ones(4), None), 2)[0].batch[1] is None


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (pack_sequence([torch.ones(3), torch.ones(2)]), "PackedSequence"),
        ((torch.ones(4), torch.ones(3)), r"Tensor of shape \(3,\)"),
        ((torch.ones(4), object()), "object"),
    ],
)
def test_what_cannot_be_shared_is_refused(inputs: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        share_of((inputs, None), Classification(), 0, 2)


def weighed(task: Task, output: Tensor, batch: Any, world: int) -> Tensor:
    parts = shares(batch, world, task)
    begun, total = 0, torch.zeros(())
    for part in parts:
        own = output[begun : begun + part.counted]
        begun += part.counted
        if part.fraction:
            total = total + part.fraction * task.loss(own, part.batch)
    return total


@pytest.mark.parametrize("world", [2, 3])
def test_shares_of_a_loss_sum_to_the_whole_where_something_is_left_out(world: int) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(5, (4, 6), generator=generator)
    tokens[0, 1:] = tokens[2, 3:] = -100
    scores = torch.randn(4, 6, 5, generator=generator)
    words, beside = (nn.Identity(), tokens), ({"input_ids": tokens, "labels": tokens}, None)
    batch = (tokens.abs(), words[1])
    task = LanguageModel()
    for one in (batch, beside):
        torch.testing.assert_close(weighed(task, scores, one, world), task.loss(scores, one))
    pixels = torch.randint(3, (4, 5, 5), generator=generator)
    pixels[1], pixels[3, :2] = 255, 255
    maps, seen = torch.randn(4, 3, 5, 5, generator=generator), (torch.ones(4, 1), pixels)
    task = Segmentation()
    torch.testing.assert_close(weighed(task, maps, seen, world), task.loss(maps, seen))
