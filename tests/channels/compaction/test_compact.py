"""Compaction: what leaves, what stays, what is refused, and what the record says."""

from __future__ import annotations

import copy

import pytest
import torch
from cutting import assert_same, masked_copy, random_masks
from torch import nn
from torch.nn import functional
from zoo import Net

from secateur.channels import compact, compact_with_record, trace
from secateur.errors import ChannelError


def rows(model: nn.Module, **dead: list[int]) -> dict[str, torch.Tensor]:
    """Masks that empty rows of parameters, named with `__` for dots."""
    masks = {}
    for key, index in dead.items():
        name = key.replace("__", ".")
        mask = torch.ones_like(model.get_parameter(name), dtype=torch.bool)
        mask[index] = False
        masks[name] = mask
    return masks


def perceptron(*activations: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), *activations, nn.Linear(4, 2)).double()


def test_a_silent_neuron_leaves_both_layers() -> None:
    net = perceptron(nn.ReLU())
    small = compact(net, rows(net, **{"0__weight": [1], "0__bias": [1]}), torch.zeros(1, 3))
    kept = [0, 2, 3]
    assert torch.equal(small[0].weight, net[0].weight[kept])
    assert torch.equal(small[2].weight, net[2].weight[:, kept])
    assert torch.equal(small[2].bias, net[2].bias)
    assert (small[0].out_features, small[2].in_features) == (3, 3)


def test_a_constant_moves_into_the_bias() -> None:
    net = perceptron(nn.Sigmoid())
    small = compact(net, rows(net, **{"0__weight": [1], "0__bias": [1]}), torch.zeros(1, 3))
    torch.testing.assert_close(small[2].bias, net[2].bias + 0.5 * net[2].weight[:, 1])


def test_a_bias_that_the_mask_left_moves_too() -> None:
    net = perceptron(nn.ReLU())
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor([0.0, 2.0, -3.0, 0.0]))
    small = compact(net, rows(net, **{"0__weight": [1, 2]}), torch.zeros(1, 3))
    assert small[0].out_features == 2
    torch.testing.assert_close(small[2].bias, net[2].bias + 2.0 * net[2].weight[:, 1])


def test_a_layer_without_bias_gets_one_when_it_must() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2, bias=False)).double()
    masks = rows(net, **{"0__weight": [1], "0__bias": [1]})
    small = compact(net, masks, torch.zeros(1, 3))
    torch.testing.assert_close(small[2].bias, 0.5 * net[2].weight[:, 1])
    kept = compact_with_record(net, masks, torch.zeros(1, 3), fold=False).model
    assert kept[0].out_features == 4


@pytest.mark.parametrize(("padding", "width"), [(0, 3), (1, 4)])
def test_a_constant_does_not_leave_through_padding(padding: int, width: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.Sigmoid(), nn.Conv2d(4, 2, 3, padding=padding)
    ).double()
    masks = rows(net, **{"0__weight": [2], "0__bias": [2]})
    assert compact(net, masks, torch.zeros(1, 1, 5, 5))[0].out_channels == width


def test_a_zero_leaves_through_padding_and_a_norm_shift_does_not() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3, padding=1)
    ).double()
    nn.init.normal_(net[1].bias)
    example = torch.zeros(1, 1, 5, 5)
    filters = rows(net, **{"0__weight": [2], "0__bias": [2]})
    affine = rows(net, **{"1__weight": [2], "1__bias": [2]})
    assert compact(net, filters, example)[0].out_channels == 4
    assert compact(net, {**filters, **affine}, example)[0].out_channels == 3


def test_a_channel_that_nobody_reads_leaves() -> None:
    net = perceptron(nn.ReLU())
    mask = torch.ones(2, 4, dtype=torch.bool)
    mask[:, 3] = False
    small = compact(net, {"2.weight": mask}, torch.zeros(1, 3))
    assert torch.equal(small[0].weight, net[0].weight[:3])


def test_what_only_the_unread_read_leaves_as_well() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)
    ).double()
    last = torch.ones(2, 5, dtype=torch.bool)
    last[:, 0] = False
    middle = torch.ones(5, 4, dtype=torch.bool)
    middle[1:, 2] = False
    small = compact(net, {"4.weight": last, "2.weight": middle}, torch.zeros(1, 3))
    assert [small[0].out_features, small[2].out_features] == [3, 4]


def test_unstructured_masks_empty_neurons() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 10), nn.ReLU(), nn.Linear(10, 3)
    ).double()
    generator = torch.Generator().manual_seed(0)
    masks = {
        name: torch.rand(parameter.shape, generator=generator) > 0.95
        for name, parameter in net.named_parameters()
        if parameter.dim() == 2
    }
    masks["4.weight"][:, 0] = True
    example = torch.randn(4, 20, dtype=torch.float64)
    record = compact_with_record(net, masks, example)
    dead = int((~masks["0.weight"].any(1) | ~masks["2.weight"].any(0)).sum())
    assert record.model[0].out_features <= 30 - dead < 30
    assert_same(net, masks, record, example)


def test_expand_puts_everything_back() -> None:
    torch.manual_seed(0)
    net = (
        nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(54, 2)
        )
        .double()
        .eval()
    )
    example = torch.randn(2, 1, 5, 5, dtype=torch.float64)
    masks, _ = random_masks(net, trace(net, example).groups(), 0.5, 0)
    record = compact_with_record(net, masks, example, fold=False)
    full = copy.deepcopy(net)
    masked = masked_copy(net, masks)
    full.load_state_dict(record.expand(record.model.state_dict(), masked.state_dict()))
    torch.testing.assert_close(full(example), record.model(example), rtol=0, atol=1e-12)
    for name, mask in masks.items():
        assert not full.get_parameter(name)[~mask].any()


def test_shrink_follows_what_was_kept() -> None:
    net = perceptron(nn.ReLU())
    masks = rows(net, **{"0__weight": [1], "0__bias": [1]})
    record = compact_with_record(net, masks, torch.zeros(1, 3))
    momentum = torch.arange(8.0).view(2, 4)
    assert record.shrink("2.weight", momentum).tolist() == [[0, 2, 3], [4, 6, 7]]
    assert record.shrink("2.bias", momentum[0, :2]).tolist() == [0, 1]


def test_the_caller_keeps_its_model() -> None:
    net = perceptron(nn.ReLU()).train()
    before = copy.deepcopy(net.state_dict())
    small = compact(net, rows(net, **{"0__weight": [1], "0__bias": [1]}), torch.zeros(1, 3))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert net.training
    assert small.training
    assert small[0].weight.data_ptr() != net[0].weight.data_ptr()
    assert small[2].bias.data_ptr() != net[2].bias.data_ptr()


def test_frozen_parameters_stay_frozen() -> None:
    net = perceptron(nn.ReLU())
    net[0].weight.requires_grad_(False)
    small = compact(net, rows(net, **{"0__weight": [1], "0__bias": [1]}), torch.zeros(1, 3))
    assert [p.requires_grad for p in small.parameters()] == [False, True, True, True]


def test_half_precision_networks_keep_their_type() -> None:
    net = perceptron(nn.ReLU()).bfloat16()
    example = torch.zeros(1, 3, dtype=torch.bfloat16)
    small = compact(net, rows(net, **{"0__weight": [1], "0__bias": [1]}), example)
    assert small[0].weight.dtype == torch.bfloat16
    assert small(example).shape == (1, 2)


def test_tied_weights_stay_tied() -> None:
    net = Net(
        lambda m, x: functional.linear(functional.relu(m.a(x)), m.b.weight.t()),
        a=nn.Linear(5, 8),
        b=nn.Linear(5, 8, bias=False),
    ).double()
    net.b.weight = net.a.weight
    small = compact(net, rows(net, a__weight=[3], a__bias=[3]), torch.zeros(1, 5))
    assert small.a.weight is small.b.weight
    assert small.a.weight.shape == (7, 5)


@pytest.mark.parametrize(
    ("name", "mask", "message"),
    [
        ("9.weight", torch.ones(4, 3, dtype=torch.bool), "a mask of no parameter"),
        ("0.weight", torch.ones(3, 4, dtype=torch.bool), "of shape"),
        ("0.weight", torch.ones(4, 3), "of type"),
    ],
)
def test_masks_of_another_model_are_refused(name: str, mask: torch.Tensor, message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        compact(perceptron(nn.ReLU()), {name: mask}, torch.zeros(1, 3))


def test_a_layer_cut_to_nothing_keeps_one_channel() -> None:
    net = perceptron(nn.ReLU())
    masks = rows(net, **{"0__weight": [0, 1, 2, 3], "0__bias": [0, 1, 2, 3]})
    small = compact(net, masks, torch.zeros(1, 3))
    assert small[0].weight.shape == (1, 3)
    assert not small[0].weight.any()


def test_nothing_to_cut_is_a_copy() -> None:
    net = perceptron(nn.ReLU())
    small = compact(net, {}, torch.zeros(1, 3))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), small.parameters(), strict=True))
    assert small is not net
