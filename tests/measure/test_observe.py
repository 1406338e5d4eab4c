import pytest
import torch
from torch import Tensor, nn

from secateur.errors import ModelError
from secateur.measure.observe import observed


class Restless(nn.Module):
    """Changes everything that a forward pass can change."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.dropout = nn.Dropout().eval()
        self.register_buffer("in_place", torch.zeros(2))
        self.register_buffer("replaced", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        self.train()
        self.in_place += 1
        self.replaced = self.replaced + 1
        return self.norm(x + torch.rand_like(x))


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_put_back(fails: bool) -> None:
    net = Restless()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    objects = [id(buffer) for buffer in net.buffers()]
    random = torch.get_rng_state()
    x = torch.rand(4, 2)
    torch.set_rng_state(random)
    try:
        with observed(net, "looking", x):
            assert not any(module.training for module in net.modules())
            assert not torch.is_grad_enabled()
            net(x)
            if fails:
                raise RuntimeError("no")
    except ModelError:
        assert fails
    assert [module.training for module in net.modules()] == [True, True, False]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert [id(buffer) for buffer in net.buffers()] == objects
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


def test_a_failure_is_one_line_and_keeps_its_cause() -> None:
    with (
        pytest.raises(ModelError, match=r"looking: .*1x2 is failing \(ValueError: a b\)") as caught,
        observed(nn.Identity(), "looking", torch.zeros(1, 2)),
    ):
        raise ValueError("a\nb")
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_interruption_is_no_failure_of_the_net() -> None:
    net = nn.Identity()
    with pytest.raises(KeyboardInterrupt), observed(net, "looking", torch.zeros(1)):
        raise KeyboardInterrupt
    assert net.training
