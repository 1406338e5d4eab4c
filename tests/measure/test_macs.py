import pytest
import torch
from torch import Tensor, nn

from secateur.measure.macs import MacCounter, count_macs


def counted(net: nn.Module, *inputs: Tensor) -> MacCounter:
    with torch.no_grad(), MacCounter(net) as counter:
        net(*inputs)
    return counter


def test_products_without_a_weight_belong_to_the_running_module() -> None:
    class Scores(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ x.transpose(-1, -2)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scores = Scores()

        def forward(self, x: Tensor) -> Tensor:
            return self.scores(x).sum() + x.flatten() @ x.flatten()

    counter = counted(Net(), torch.zeros(2, 3, 4))
    assert counter.macs == {"scores": 2 * 3 * 4 * 3, "": 24}
    assert counter.nonzero_macs == counter.macs


def test_a_borrowed_weight_belongs_to_its_holder() -> None:
    class Borrower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lent = nn.Linear(3, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.lent.weight

    assert counted(Borrower(), torch.zeros(1, 3)).macs == {"lent": 9}


def test_a_buffer_is_a_weight() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("matrix", torch.eye(3))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.matrix

    counter = counted(Fixed(), torch.zeros(1, 3))
    assert (counter.macs, counter.nonzero_macs) == ({"": 9}, {"": 3})


def test_a_buffer_that_data_flowed_into_is_data() -> None:
    class Cache(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("kept", torch.zeros(3, 3))

        def forward(self, x: Tensor) -> Tensor:
            self.kept += x * 0
            return x @ self.kept

    counter = counted(Cache(), torch.ones(1, 3))
    assert (counter.macs, counter.nonzero_macs) == ({"": 9}, {"": 9})


def test_counts_add_up_over_runs() -> None:
    net = nn.Linear(2, 2)
    with torch.no_grad(), MacCounter(net) as counter:
        net(torch.zeros(1, 2))
        net(torch.zeros(3, 2))
    assert counter.macs.total() == 16


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_are_counted_step_by_step(kind: type[nn.RNNBase]) -> None:
    net = kind(3, 2, num_layers=2, bidirectional=True)  # type: ignore[call-arg]
    weights = sum(p.numel() for name, p in net.named_parameters() if name.startswith("weight"))
    with torch.no_grad():
        assert count_macs(net, torch.rand(5, 1, 3)).macs.total() == 5 * weights


def test_every_example_of_a_batch_counts() -> None:
    net = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ConvTranspose1d(2, 1, 2), nn.Linear(5, 1))
    assert counted(net, torch.zeros(3, 1, 6)).macs == {"0": 3 * 24, "1": 3 * 16, "2": 3 * 5}


def test_the_hooks_are_gone_when_the_net_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[nn.Module] = []

    def named(_: MacCounter, module: nn.Module) -> str:
        entered.append(module)
        return ""

    monkeypatch.setattr(MacCounter, "_name_of", named)
    net = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), MacCounter(net):
        net(torch.zeros(1, 3))
    net(torch.zeros(1, 2))
    assert entered == [net]


def test_a_net_that_fails_leaves_no_module_running() -> None:
    net = nn.Linear(2, 2)
    counter = MacCounter(net)
    with pytest.raises(RuntimeError), counter:
        net(torch.zeros(1, 3))
    assert not counter.macs
    assert counter._running == [""]
