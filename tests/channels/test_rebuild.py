"""A copy with other tensors, also where a part of the network is TorchScript."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.channels.rebuild import rebuild


def scripted(module: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        return torch.jit.script(module)


def recorded(module: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(module.eval(), torch.randn(1, 8, 6, 6))


def net(script: Callable[[nn.Module], torch.jit.ScriptModule]) -> nn.Sequential:
    torch.manual_seed(0)
    part = script(nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(), part, nn.Conv2d(8, 6, 1), nn.ReLU()),
        *(nn.Conv2d(6, 6, 1), nn.Flatten(), nn.LazyLinear(2)),
    )


@pytest.mark.parametrize("script", [scripted, recorded])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_scripted_part_takes_other_tensors(
    script: Callable[[nn.Module], torch.jit.ScriptModule], device: str
) -> None:
    model = nn.Sequential(script(nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = {name: torch.zeros_like(one, device=device) for name, one in before.items()}
    new = rebuild(model, tensors)
    assert all(one.device.type == device for one in new.state_dict().values())
    assert [one.requires_grad for one in new.parameters()] == [True] * 4
    if device == "cpu":
        assert not any(one.any() for one in new.state_dict().values())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("script", [scripted, recorded])
def test_what_a_scripted_part_touches_stays_and_the_rest_is_cut(
    script: Callable[[nn.Module], torch.jit.ScriptModule],
) -> None:
    model, inputs = net(script), torch.randn(2, 3, 10, 10)
    model(inputs)
    model.eval()
    masks = secateur.prune(model, "l1-filter", sparsity=0.5, scope="all", example_inputs=inputs)
    small = secateur.compact(model, masks, inputs)
    layers: list[Tensor] = [small[number].weight for number in (0, 3, 5)]
    assert [tuple(one.shape[:2]) for one in layers] == [(8, 3), (3, 8), (3, 3)]
    assert "outside of torch's functions" in str(masks.report)
    other = torch.randn(2, 3, 10, 10)
    torch.testing.assert_close(small(other), model(other))
    small.train()(other).sum().backward()
