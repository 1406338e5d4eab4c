"""Every topology of the zoo, cut at random: the same function, forward and backward."""

from __future__ import annotations

import copy

import pytest
import torch
import zoo_convs  # noqa: F401
import zoo_joins  # noqa: F401
import zoo_sequences  # noqa: F401
from cutting import assert_same, random_masks
from zoo import ZOO, grow

from secateur.channels import compact_with_record, trace
from secateur.errors import ChannelError

REFUSED = {"multihead_module_weights": "multi_head_attention_forward"}


@pytest.mark.parametrize("name", sorted(ZOO))
@pytest.mark.parametrize(("seed", "ratio"), [(0, 0.3), (1, 0.6)])
def test_compact_net_is_the_masked_net(name: str, seed: int, ratio: float) -> None:
    model, example = grow(name, seed)
    if name in REFUSED:
        with pytest.raises(ChannelError, match=REFUSED[name]):
            trace(model, example).groups("all")
        return
    groups = trace(model, example).groups("all")
    masks, dead = random_masks(model, groups, ratio, seed)
    before = copy.deepcopy(model.state_dict())
    record = compact_with_record(model, masks, example)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert type(record.model) is type(model)
    assert_same(model, masks, record, example)
    for slot in groups.slots:
        if slot.role == "write":
            lost = int(dead[slot.groups.clamp(min=0)][slot.groups >= 0].sum())
            kept = record.kept.get(slot.parameter, {}).get(slot.axis)
            size = slot.groups.numel()
            assert size - (size if kept is None else kept.numel()) == lost, slot.parameter


def test_most_of_the_zoo_is_cut() -> None:
    assert len(ZOO) >= 80
    assert len(REFUSED) <= len(ZOO) // 10
