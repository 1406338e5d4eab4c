import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune
from torch.utils.flop_counter import FlopCounterMode

from secateur.errors import ModelError
from secateur.measure.cost import LayerCost, cost
from secateur.models import build
from secateur.registry import MODELS

# name -> net, shape of one example, parameters, multiply-adds, by hand.
GOLDEN = {
    "conv 3 to 4": (nn.Conv2d(3, 4, 3), (3, 5, 6), 4 * 27 + 4, 4 * 27 * 3 * 4),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2), (4, 5, 5), 6 * 18 + 6, 6 * 18 * 9),
    "depthwise": (nn.Conv2d(4, 4, 3, padding=1, groups=4), (4, 5, 5), 4 * 9 + 4, 4 * 9 * 25),
    "strided": (nn.Conv2d(1, 1, 2, stride=2), (1, 6, 6), 4 + 1, 4 * 9),
    "transposed": (nn.ConvTranspose2d(3, 2, 2, stride=2), (3, 4, 5), 24 + 2, 24 * 20),
    "transposed, grouped": (
        nn.ConvTranspose2d(4, 6, 3, groups=2),
        (4, 2, 2),
        4 * 3 * 9 + 6,
        4 * 3 * 9 * 4,
    ),
    "conv, padding by name": (nn.Conv2d(1, 1, 3, padding="same"), (1, 4, 4), 9 + 1, 9 * 16),
    "conv, dilated": (nn.Conv2d(1, 1, 3, dilation=2), (1, 6, 6), 9 + 1, 9 * 4),
    "conv 1d": (nn.Conv1d(2, 3, 4), (2, 10), 24 + 3, 24 * 7),
    "conv 3d": (nn.Conv3d(1, 2, 2), (1, 3, 3, 3), 16 + 2, 16 * 8),
    "linear": (nn.Linear(5, 7), (5,), 35 + 7, 35),
    "linear, no bias": (nn.Linear(5, 7, bias=False), (5,), 35, 35),
    "linear on a sequence": (nn.Linear(5, 7), (4, 5), 35 + 7, 35 * 4),
    "norm": (nn.BatchNorm2d(3), (3, 4, 4), 6, 0),
    "pool": (nn.MaxPool2d(2), (3, 4, 4), 0, 0),
    "gru, batch first": (nn.GRU(3, 2, batch_first=True), (5, 3), 18 + 12 + 12, 5 * (18 + 12)),
    "lstm, batch first": (nn.LSTM(3, 2, batch_first=True), (5, 3), 24 + 16 + 16, 5 * (24 + 16)),
}

# The reference nets: parameters, multiply-adds of each convolution and linear layer.
NETS = {
    ("conv4", (3, 25, 25), 5): (
        592_933,
        [864 * 625, 9_216 * 529, 18_432 * 121, 36_864 * 81, 1_024 * 512, 512 * 5],
    ),
    ("lenet-300-100", (1, 28, 28), 10): (266_610, [235_200, 30_000, 1_000]),
    ("lenet-5", (1, 28, 28), 10): (431_080, [500 * 576, 25_000 * 64, 400_000, 5_000]),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_layers(name: str) -> None:
    net, shape, parameters, macs = GOLDEN[name]
    counted = cost(net, torch.ones(1, *shape))
    assert (counted.parameters, counted.macs) == (parameters, macs)
    assert counted.nonzero_macs == macs


@pytest.mark.parametrize("key", NETS, ids=str)
def test_golden_nets(key: tuple[str, tuple[int, int, int], int]) -> None:
    name, shape, classes = key
    parameters, macs = NETS[key]
    counted = cost(build(name, shape, classes), torch.zeros(2, *shape))
    assert counted.parameters == parameters
    assert [layer.macs for layer in counted.layers] == macs
    assert counted.macs == sum(macs)


def test_resnet20_has_the_macs_of_its_paper() -> None:
    # 40.55 M: the 19 convolutions, and 64 x 10 of the classifier; option A costs nothing.
    stem, stage1 = 432 * 1024, 6 * 2_304 * 1024
    stage2, stage3 = (4_608 + 5 * 9_216) * 256, (18_432 + 5 * 36_864) * 64
    counted = cost(build("resnet20", (3, 32, 32), 10), torch.zeros(1, 3, 32, 32))
    assert counted.macs == stem + stage1 + stage2 + stage3 + 640 == 40_551_040


@pytest.mark.parametrize("name", MODELS)
def test_pytorchs_own_counter_agrees_on_the_reference_nets(name: str) -> None:
    net = build(name, (3, 20, 18), 7).eval()
    example = torch.zeros(1, 3, 20, 18)
    with FlopCounterMode(display=False) as library, torch.no_grad():
        net(example)
    assert 2 * cost(net, example).macs == library.get_total_flops()


def test_layers_in_full() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())
    net.append(nn.Linear(8, 3))
    with torch.no_grad():
        net[0].weight.fill_(1)
        net[0].weight[0, 0, 0, 0] = 0  # of 18
        net[0].bias.zero_()
        net[4].weight.fill_(1)
        net[4].weight[1] = 0  # 8 of 24
        net[4].bias.fill_(1)
    counted = cost(net, torch.zeros(1, 1, 4, 4))
    assert counted.layers == (
        LayerCost("0", "Conv2d", (2, 1, 3, 3), 20, 17, 72, 68),
        LayerCost("1", "BatchNorm2d", (2,), 4, 2, 0, 0),
        LayerCost("4", "Linear", (3, 8), 27, 19, 24, 16),
    )
    assert (counted.parameters, counted.nonzero) == (51, 38)
    assert (counted.macs, counted.nonzero_macs) == (96, 84)


def test_only_the_first_example_is_counted() -> None:
    net = nn.Linear(3, 2)
    assert cost(net, torch.zeros(7, 3)).macs == cost(net, torch.zeros(1, 3)).macs == 6


def test_a_zero_in_the_data_is_no_zero_weight() -> None:
    assert cost(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2)).nonzero_macs == 4


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.inner(x))


def test_a_module_that_runs_twice_counts_twice() -> None:
    counted = cost(Twice(), torch.zeros(1, 3))
    assert (counted.parameters, counted.macs) == (9, 18)


def test_a_tied_weight_is_stored_once_and_multiplied_twice() -> None:
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False))
    net[2].weight = net[0].weight
    counted = cost(net, torch.zeros(1, 4))
    assert (counted.parameters, counted.nonzero, counted.macs) == (16, 16, 32)
    assert [(layer.name, layer.parameters, layer.macs) for layer in counted.layers] == [
        ("0", 16, 16),
        ("2", 0, 16),
    ]


class Attention(nn.Module):
    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


def test_attention_counts_projections_and_scores() -> None:
    counted = cost(Attention(), torch.rand(1, 5, 8))
    by_name = {layer.name: layer for layer in counted.layers}
    # Input projections, and for each of 2 heads of 4: scores 5x4x5, values 5x5x4.
    assert by_name["attention"].macs == 5 * 3 * 64 + 2 * (100 + 100)
    assert by_name["attention.out_proj"].macs == 5 * 64
    assert counted.parameters == 3 * 64 + 24 + 64 + 8


def test_a_transformer_layer_hides_nothing_in_its_fast_path() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert cost(layer, torch.rand(1, 5, 8)).macs == 5 * 4 * 64 + 400 + 5 * 2 * 128


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(3))
        self.vector = nn.Parameter(torch.tensor([1.0, 0.0, 2.0]))

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.einsum("nc,cd->nd", x, self.matrix) + x @ self.matrix.t()
        return mixed @ self.vector + (x[0] @ x[0])


def test_functional_products_count_their_weights() -> None:
    counted = cost(Functional(), torch.ones(1, 3))
    assert counted.macs == 9 + 9 + 3 + 3
    assert counted.nonzero_macs == 3 + 3 + 2 + 3


class LowRank(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Parameter(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
        self.right = nn.Parameter(torch.tensor([[1.0, 1.0], [0.0, 1.0]]))

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.left @ self.right)


def test_a_product_of_two_weights_counts_the_pairs_that_are_not_zero() -> None:
    counted = cost(LowRank(), torch.ones(1, 3))
    # left @ right: 2*2 + 1*1 of 12; the result is [[1,1],[1,2],[0,0]]: 4 of 6.
    assert (counted.macs, counted.nonzero_macs) == (12 + 6, 5 + 4)


def test_bilinear() -> None:
    class Form(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.form = nn.Bilinear(3, 3, 2)
            nn.init.ones_(self.form.weight)
            with torch.no_grad():
                self.form.weight[0, 0, 0] = 0

        def forward(self, x: Tensor) -> Tensor:
            return self.form(x, x)

    counted = cost(Form(), torch.ones(1, 4, 3))
    assert (counted.macs, counted.nonzero_macs) == (18 * 4, 17 * 4)


def test_masks_of_torch_and_weight_norm_are_seen_through() -> None:
    net = nn.Linear(4, 4, bias=False)
    prune.l1_unstructured(net, "weight", amount=5)
    assert (cost(net, torch.ones(1, 4)).macs, cost(net, torch.ones(1, 4)).nonzero_macs) == (16, 11)
    normed = parametrizations.weight_norm(nn.Linear(4, 4, bias=False))
    counted = cost(normed, torch.ones(1, 4))
    assert (counted.parameters, counted.macs, counted.nonzero_macs) == (20, 16, 16)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_traced_net_costs_the_same() -> None:
    net = build("conv4", (1, 12, 12), 3).eval()
    example = torch.zeros(1, 1, 12, 12)
    traced = torch.jit.trace(net, example)
    assert [layer.macs for layer in cost(traced, example).layers] == [
        layer.macs for layer in cost(net, example).layers
    ]


def test_attention_that_is_fused_causal_or_grouped_counts_in_full() -> None:
    class Grouped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            few = x[:, :2]
            return functional.scaled_dot_product_attention(
                x, few, few, is_causal=True, enable_gqa=True
            )

    assert cost(Grouped(), torch.rand(1, 4, 5, 8)).macs == 4 * (5 * 8 * 5 + 5 * 5 * 8)


def test_lower_precision_costs_the_same() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    nn.init.zeros_(net[0].weight[0])
    wanted = cost(net, torch.zeros(1, 1, 4, 4))
    assert wanted.nonzero_macs == wanted.macs - 36
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert cost(net, torch.zeros(1, 1, 4, 4)) == wanted
    assert cost(net.half(), torch.zeros(1, 1, 4, 4).half()) == wanted


class Predicted(nn.Module):
    """A convolution whose weight is data."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, x[:, :, :2, :2] * 0)


def test_a_weight_made_from_data_has_no_zeros() -> None:
    counted = cost(Predicted(), torch.ones(1, 1, 3, 3))
    assert (counted.macs, counted.nonzero_macs) == (16, 16)


@settings(max_examples=25, deadline=None)
@given(
    groups=st.integers(1, 3),
    ins=st.integers(1, 3),
    outs=st.integers(1, 3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    transposed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_convolutions_agree_with_counting_one_weight_at_a_time(
    groups: int,
    ins: int,
    outs: int,
    kernel: int,
    stride: int,
    padding: int,
    transposed: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    kind = nn.ConvTranspose1d if transposed else nn.Conv1d
    net = kind(groups * ins, groups * outs, kernel, stride, padding, groups=groups, bias=False)
    with torch.no_grad():
        net.weight.mul_(torch.rand_like(net.weight) < 0.5)
    length = 6
    after = net(torch.zeros(1, groups * ins, length)).shape[-1]
    uses = length if transposed else after
    counted = cost(net, torch.zeros(1, groups * ins, length))
    assert counted.macs == groups * ins * outs * kernel * uses
    assert counted.nonzero_macs == int(net.weight.count_nonzero()) * uses


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), sparsity=st.floats(0, 1))
def test_fewer_weights_never_cost_more(seed: int, sparsity: float) -> None:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
    dense = cost(net, torch.zeros(1, 2, 4, 4))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(torch.rand_like(parameter) >= sparsity)
    pruned = cost(net, torch.zeros(1, 2, 4, 4))
    assert (pruned.parameters, pruned.macs) == (dense.parameters, dense.macs)
    assert pruned.nonzero <= dense.nonzero
    assert pruned.nonzero_macs <= dense.nonzero_macs
    assert pruned.nonzero == sum(int((p != 0).sum()) for p in net.parameters())


def test_the_model_and_the_backends_are_left_as_they_were() -> None:
    net = build("resnet20", (3, 8, 8), 2)
    net.block1_1.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    backends = torch.backends
    flags = backends.mkldnn.enabled, backends.cudnn.enabled, backends.mha.get_fastpath_enabled()
    cost(net, torch.rand(1, 3, 8, 8))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert flags == (
        backends.mkldnn.enabled,
        backends.cudnn.enabled,
        backends.mha.get_fastpath_enabled(),
    )


@pytest.mark.parametrize("example", [torch.tensor(1.0), torch.zeros(0, 3)])
def test_no_example(example: Tensor) -> None:
    with pytest.raises(ModelError, match="expected a batch of one input or more"):
        cost(nn.Linear(3, 2), example)


def test_an_example_that_does_not_fit() -> None:
    with pytest.raises(ModelError, match=r"counting the cost: .*1x4 is failing") as caught:
        cost(nn.Linear(3, 2), torch.zeros(1, 4))
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert cost(nn.Linear(3, 2), torch.zeros(1, 3)).macs == 6


def test_it_is_shown_in_one_line() -> None:
    net = nn.Sequential(*(nn.Linear(30, 30) for _ in range(40)))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1.0)  # of 37,200 weights that are drawn one may be zero
    counted = cost(net, torch.zeros(1, 30))
    assert repr(counted) == (
        "Cost(parameters=37,200, nonzero=37,200, macs=36,000, nonzero_macs=36,000, layers: 40)"
    )
