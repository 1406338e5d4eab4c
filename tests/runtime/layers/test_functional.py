from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from secateur.errors import KernelError
from secateur.runtime.kernels import kernels
from secateur.runtime.layers.functional import sparse_conv2d, sparse_linear
from secateur.runtime.layers.weights import compress


@pytest.fixture(params=[*(kernels.isas() if kernels.available() else []), "torch"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With the kernels of each instruction set, and as on a machine that could not build them."""
    if request.param == "torch":
        monkeypatch.setattr(kernels, "available", lambda: False)
        yield
        return
    before = kernels.isa()
    kernels.use_isa(request.param)
    yield
    kernels.use_isa(before)


def pruned(*size: int) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randn(size, generator=random) * (torch.rand(size, generator=random) > 0.8)


LINEAR = pruned(7, 12)
CONV = pruned(6, 3, 3, 2)


def linear(x: Tensor, bias: Tensor | None = None, relu: bool = False) -> Tensor:
    return sparse_linear(x, *compress(LINEAR), bias, [7, 12], relu)


def conv(x: Tensor, bias: Tensor | None = None, relu: bool = False) -> Tensor:
    options = [2, 1], [1, 0, 2, 1], [1, 2]
    return sparse_conv2d(x, *compress(CONV), bias, [6, 3, 3, 2], *options, relu)


def dense_conv(x: Tensor, bias: Tensor | None = None) -> Tensor:
    padded = F.pad(x, (2, 1, 1, 0))
    return F.conv2d(padded, CONV, bias, stride=(2, 1), dilation=(1, 2))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("shape", [(12,), (1, 12), (5, 12), (2, 3, 12), (0, 12), (2, 0, 12)])
def test_linear_takes_any_leading_shape(shape: tuple[int, ...]) -> None:
    x, bias = torch.randn(shape), torch.randn(7)
    torch.testing.assert_close(linear(x), F.linear(x, LINEAR))
    torch.testing.assert_close(linear(x, bias, relu=True), F.linear(x, LINEAR, bias).relu())


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("batch", [0, 1, 4, 70])
def test_convolution_takes_any_batch(batch: int) -> None:
    x, bias = torch.randn(batch, 3, 9, 8), torch.randn(6)
    torch.testing.assert_close(conv(x), dense_conv(x))
    torch.testing.assert_close(conv(x, bias, relu=True), dense_conv(x, bias).relu())


@pytest.mark.usefixtures("engine")
def test_inputs_that_are_not_contiguous() -> None:
    x = torch.randn(12, 5).T
    torch.testing.assert_close(linear(x), F.linear(x, LINEAR))
    torch.testing.assert_close(linear(torch.randn(5, 24)[:, ::2]).shape, torch.Size([5, 7]))
    images = torch.randn(4, 3, 9, 8).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(conv(images), dense_conv(images))
    expanded = torch.randn(1, 3, 9, 8).expand(4, 3, 9, 8)
    torch.testing.assert_close(conv(expanded), dense_conv(expanded))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 11), r"the input is of shape \[2, 11\], expected \[..., 12\]"),
        (torch.zeros(()), r"the input is of shape \[\]"),
        (torch.zeros(2, 12, dtype=torch.float64), r"the input is torch.float64 on cpu"),
        (torch.zeros(2, 12, dtype=torch.bfloat16), r"the input is torch.bfloat16 on cpu"),
        (torch.zeros(2, 12, device="meta"), r"the input is torch.float32 on meta"),
    ],
)
def test_linear_refuses(x: Tensor, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        linear(x)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("shape", [(3, 9, 8), (1, 4, 9, 8), (1, 3, 1, 8), (1, 3, 9, 0)])
def test_convolution_refuses(shape: tuple[int, ...]) -> None:
    with pytest.raises(KernelError, match="sparse_conv2d: the input is"):
        conv(torch.zeros(shape))
