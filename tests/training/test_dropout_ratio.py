import pytest
import torch
from torch import Tensor, nn

from secateur.training.dropout_ratio import connections, dropout_ratios, dropping


class Net(nn.Module):
    """Dropout is defined first and called in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.late = nn.Dropout(0.5)
        self.early = nn.Dropout2d(0.25)
        self.never = nn.Dropout(0.5)
        self.first = nn.Conv2d(1, 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 1, bias=False)
        self.last = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        found = self.second(self.early(self.norm(self.first(images)))).mean((2, 3))
        answer: Tensor = self.last(self.late(found))
        return answer


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


EXAMPLE = torch.rand(2, 1, 3, 3)


def test_a_whole_net_drops_as_it_was_built(net: Net) -> None:
    assert dropout_ratios(net, EXAMPLE, connections(net)) == {"early": 0.25, "late": 0.5}


def test_each_goes_by_the_layer_that_reads_it(net: Net) -> None:
    dense = connections(net)
    assert dense == {"first": 4, "second": 16, "last": 8}
    with torch.no_grad():
        net.second.weight[:, 1:] = 0  # a quarter of 16 is left: half of the ratio
        net.last.weight[:, 2:] = 0  # a half of 8
    found = dropout_ratios(net, EXAMPLE, dense)
    assert found == {"early": 0.125, "late": round(256 * 0.5 * 0.5**0.5) / 256}


def test_a_compact_net_has_lost_what_is_not_there(net: Net) -> None:
    small = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 2))
    assert dropout_ratios(small, torch.rand(2, 1), {"1": 8}) == {"0": 0.25}


def test_it_is_for_a_while(net: Net) -> None:
    with dropping(net, {"late": 0.125}):
        assert (net.late.p, net.early.p) == (0.125, 0.25)
    assert (net.late.p, net.early.p) == (0.5, 0.25)
    with pytest.raises(ValueError, match="stop"), dropping(net, {"late": 0.125}):
        raise ValueError("stop")
    assert net.late.p == 0.5


def test_nothing_is_left_on_the_net(net: Net) -> None:
    dropout_ratios(net, EXAMPLE, connections(net))
    assert not any(module._forward_pre_hooks for module in net.modules())
    assert net.training
