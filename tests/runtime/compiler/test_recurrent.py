"""Recurrent: torch's numbers from sparse matrices, in every form of an LSTM and a GRU."""

import pytest
import torch
from torch import Tensor, nn

from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.choice import SPARSE
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.planner import Planner
from secateur.runtime.compiler.recurrent import is_recurrent
from secateur.runtime.kernels import library

pytestmark = [
    pytest.mark.skipif(not library.available(), reason="no native kernels here"),
    pytest.mark.usefixtures("each_isa"),
]
FORMS = {
    "lstm": nn.LSTM(8, 12, batch_first=True),
    "gru": nn.GRU(8, 12, batch_first=True),
    "time in front": nn.GRU(8, 12),
    "two layers, both ways": nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True),
    "two layers of a gru, both ways": nn.GRU(8, 6, 2, bidirectional=True),
    "no biases": nn.LSTM(8, 12, bias=False, batch_first=True),
}


class Head(nn.Module):
    def __init__(self, cells: nn.Module) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.cells.batch_first
        outputs, last = self.cells(x if first else x.transpose(0, 1))
        outputs = outputs if first else outputs.transpose(0, 1)
        return outputs, last if isinstance(last, Tensor) else last[1]


def pruned(cells: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    net = Head(cells).eval().requires_grad_(False)
    for weight in net.parameters():
        if weight.dim() == 2:
            weight *= torch.rand_like(weight) > 0.8
    return net


@pytest.mark.parametrize("name", FORMS)
def test_it_gives_torchs_numbers(name: str) -> None:
    net = pruned(FORMS[name])
    made = Planner(folded(capture(net, torch.randn(2, 5, 8))), threads=1, seconds=0)
    assert SPARSE in made.backends(1)
    run = made.build(SPARSE, 2)
    for first in (1, 2, 4):
        x = torch.randn(first, 5, 8)
        for one, other in zip(run(x), net(x), strict=True):
            assert one.shape == other.shape
            assert torch.allclose(one, other, atol=1e-5)


def test_dense_matrices_and_other_forms_stay_with_torch() -> None:
    cells = nn.LSTM(8, 12, batch_first=True)
    graph = capture(Head(cells).eval().requires_grad_(False), torch.randn(2, 5, 8))
    assert not any(map(is_recurrent, graph.nodes))
    projected = pruned(nn.LSTM(8, 12, proj_size=4, batch_first=True))
    assert not any(map(is_recurrent, capture(projected, torch.randn(2, 5, 8)).nodes))
