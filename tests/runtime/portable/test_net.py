"""Packaged networks give what the network gives, on every instruction set and batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur import models
from secateur.errors import ModelError
from secateur.runtime.compiler.portable import portable_plan
from secateur.runtime.kernels import kernels
from secateur.runtime.kernels.packs import Pack, pack_layer
from secateur.runtime.kernels.structs import KernelLayer
from secateur.runtime.portable.net import Net
from secateur.runtime.portable.plan_file import encode

pytestmark = pytest.mark.skipif(not kernels.available(), reason="no native kernels here")


class Block(nn.Module):
    """A value read twice, a norm without a layer before it, a pool, a reshape at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.down = nn.Conv2d(4, 6, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x).relu()
        y = self.down(self.conv(y) + x)
        return nn.functional.avg_pool2d(y, 2).flatten(2)


def packaged(net: nn.Module, example: Tensor, folder: Path, threads: int = 1) -> Net:
    (folder / "net.plan").write_bytes(encode(portable_plan(net, example)))
    return Net(folder / "net.plan", threads)


def check(net: nn.Module, run: Net, shape: tuple[int, ...]) -> None:
    for batch in (1, 3, 16, 21, 0):
        inputs = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(batch))
        expected = net(inputs).detach().numpy()
        given = run(inputs.numpy())
        assert given.shape == expected.shape
        assert np.allclose(given, expected, atol=1e-4)


def test_every_kind_of_op_on_every_instruction_set(tmp_path: Path, each_isa: str) -> None:
    torch.manual_seed(0)
    net = Block().eval()
    nn.init.uniform_(net.norm.running_mean)
    check(net, packaged(net, torch.zeros(1, 4, 8, 8), tmp_path), (4, 8, 8))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_reference_net_pruned_to_a_tenth(tmp_path: Path, threads: int) -> None:
    torch.manual_seed(0)
    net = models.build("resnet20", (3, 8, 8), 5).eval()
    secateur.prune(net, "magnitude", sparsity=0.9)
    check(net, packaged(net, torch.zeros(1, 3, 8, 8), tmp_path, threads), (3, 8, 8))


def test_a_batch_is_taken_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secateur.runtime.portable.net._PART_BYTES", 1)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    check(net, packaged(net, torch.zeros(1, 6), tmp_path), (6,))


def test_weights_are_packed_for_the_part_in_which_they_are_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def noted(layer: KernelLayer, *rest: object) -> Pack:
        sizes.append((layer.in_layout, layer.batch))
        return pack_layer(layer, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("secateur.runtime.portable.net._PART_BYTES", 1)
    monkeypatch.setattr("secateur.runtime.portable.net.pack_layer", noted)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    packaged(net, torch.zeros(1, 6), tmp_path)
    # The lanes' first layer reads the network's input, which lies plain.
    assert [size for _, size in sizes] == [1, 1, kernels.lanes(), kernels.lanes()]


def test_inputs_of_another_shape_or_type_are_refused(tmp_path: Path) -> None:
    run = packaged(nn.Linear(4, 2), torch.zeros(1, 4), tmp_path)
    for given in (np.zeros((1, 5), np.float32), np.zeros(4, np.float32), np.zeros((1, 4))):
        with pytest.raises(ModelError, match=r"expected of shape \['N', 4\], float32"):
            run(given)
    strided = np.zeros((4, 8), np.float32)[::2, ::2]
    assert run(strided).shape == (2, 2)
