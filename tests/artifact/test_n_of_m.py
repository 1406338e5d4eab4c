"""A net of 2:4 comes back from its file, and torch's semi-structured form holds all of it.

`torch.sparse.to_sparse_semi_structured` itself takes tensors of a GPU only. Its CUTLASS form is
made here by the conversion that torch keeps in Python, which runs anywhere: what is not 2:4 (of
32-bit numbers 1:2) does not survive it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import secateur

conversions: Any = pytest.importorskip("torch.sparse._semi_structured_conversions")


def build() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(16, 32, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 64),
        nn.Linear(64, 9),
    )


def holds(matrix: Tensor) -> bool:
    """Whether the compressed form has every number of a matrix, each at its place."""
    compressed, meta = conversions.sparse_semi_structured_from_dense_cutlass(matrix)
    numbers = torch.equal(compressed.flatten(), matrix[matrix != 0])
    if matrix.dtype == torch.float32:  # the way back goes by halves, which changes bits of some
        return numbers
    return numbers and torch.equal(
        conversions.sparse_semi_structured_to_dense_cutlass(compressed, meta), matrix
    )


def matrices(net: nn.Module) -> list[Tensor]:
    """The weights as a GPU multiplies them: of the convolution, inputs last at each place."""
    conv, linear = net[0].weight, net[3].weight  # type: ignore[index]
    laid = conv.detach().permute(0, 2, 3, 1).flatten(1).contiguous()
    return [laid, linear.detach()]


@pytest.mark.parametrize(
    ("pattern", "dtype"),
    [("2:4", torch.float16), ("2:4", torch.bfloat16), ("1:2", torch.float32)],
)
def test_what_is_loaded_is_what_torch_compresses(
    tmp_path: Path, pattern: str, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    net = build()
    masks = secateur.prune(net, granularity=pattern)
    secateur.save(net, tmp_path / "net.safetensors", masks)
    loaded = secateur.load(tmp_path / "net.safetensors", build)
    for saved, back in zip(matrices(net), matrices(loaded), strict=True):
        assert torch.equal(saved, back)
        assert int(back.count_nonzero()) * 2 == back.numel()
        assert holds(back.to(dtype))


def test_another_pattern_does_not_survive() -> None:
    torch.manual_seed(0)
    net = build()
    secateur.prune(net, sparsity=0.5)
    assert not any(holds(matrix.half()) for matrix in matrices(net))
