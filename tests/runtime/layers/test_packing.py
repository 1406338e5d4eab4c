from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch

from secateur.runtime.kernels import kernels
from secateur.runtime.layers import packing
from secateur.runtime.layers.weights import compress

pytestmark = [
    pytest.mark.skipif(not kernels.available(), reason=kernels.why_not()),
    pytest.mark.usefixtures("each_isa"),
]
SIZE = [4, 6]


def made() -> tuple[torch.Tensor, torch.Tensor]:
    return compress(torch.eye(4, 6))


def test_a_pack_is_made_once() -> None:
    values, positions = made()
    first = packing.linear_pack(values, positions, None, SIZE, 5)
    assert packing.linear_pack(values, positions, None, SIZE, 8) is first
    assert packing.linear_pack(values, positions, None, SIZE, 64) is not first


def test_a_change_in_place_makes_a_new_one() -> None:
    values, positions = made()
    bias = torch.zeros(4)
    first = packing.linear_pack(values, positions, bias, SIZE, 1)
    values.mul_(2)
    second = packing.linear_pack(values, positions, bias, SIZE, 1)
    bias.add_(1)
    third = packing.linear_pack(values, positions, bias, SIZE, 1)
    assert len({id(first), id(second), id(third)}) == 3
    assert packing.linear_pack(values, positions, bias, SIZE, 1) is third


def test_a_copy_has_packs_of_its_own() -> None:
    values, positions = made()
    first = packing.linear_pack(values, positions, None, SIZE, 1)
    assert packing.linear_pack(copy.deepcopy(values), positions, None, SIZE, 1) is not first


def test_packs_go_with_their_weight() -> None:
    values, positions = made()
    gone = weakref.ref(packing.linear_pack(values, positions, None, SIZE, 1))
    del values
    gc.collect()
    assert gone() is None


def test_only_the_latest_are_kept() -> None:
    values, positions = compress(torch.ones(1, 1, 1, 1))
    packs = [
        weakref.ref(
            packing.conv2d_pack(
                values,
                positions,
                None,
                [1, 1, 1, 1],
                height=height,
                width=4,
                stride=[1, 1],
                padding=[0] * 4,
                dilation=[1, 1],
                batch=1,
            )
        )
        for height in range(1, packing.PACKS_OF_A_WEIGHT + 4)
    ]
    gc.collect()
    alive = [pack() is not None for pack in packs]
    assert alive == [False] * 3 + [True] * packing.PACKS_OF_A_WEIGHT


def test_scratch_grows_and_stays() -> None:
    first = packing.scratch(10)
    assert packing.scratch(5) is first
    larger = packing.scratch(first.numel() + 1)
    assert larger.numel() > first.numel()
    assert packing.scratch(1) is larger
