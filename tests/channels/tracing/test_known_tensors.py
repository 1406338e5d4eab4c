"""What the tape did not see being made is no constant, and what it touches stays."""

from __future__ import annotations

import ctypes
import random
import threading
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes

import secateur
from secateur.channels import trace
from secateur.channels.tracing.known_tensors import Writes
from secateur.errors import ChannelError

WRITER = torch.library.Library("secateur_births", "DEF")
WRITER.define("fill(Tensor x, Tensor(a!) out) -> ()")
WRITER.define("fill_untold(Tensor x, Tensor out) -> ()")
WRITER.impl("fill_untold", lambda x, out: out.__setitem__(..., x), "CompositeExplicitAutograd")
WRITER.impl("fill", lambda x, out: out.__setitem__(..., x), "CompositeExplicitAutograd")


def standardised(x: Tensor) -> Tensor:
    return (x - 0.1) / 1.2


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    scripted = torch.jit.script(standardised)


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(_: object, x: Tensor) -> Tensor:
        return torch.from_numpy(2 * x.numpy())


def by_numpy(x: Tensor) -> Tensor:
    return torch.from_numpy(np.tanh(x.numpy()))


def into_shared_memory(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    out.numpy()[...] = x.numpy()
    return out


def by_data(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    out.data = x * 1.0
    return out


def through_another_name(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    out.data.copy_(x)
    return out


def through_a_view(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    out.view(-1).copy_(x.reshape(-1))
    return out


def by_a_kernel(x: Tensor) -> Tensor:
    out = torch.empty_like(x)
    torch.ops.secateur_births.fill(x, out)
    return out


def by_a_kernel_that_hides_it(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    torch.ops.secateur_births.fill_untold(x, out)
    return out


def by_addresses(x: Tensor) -> Tensor:
    out, x = torch.zeros(x.shape, dtype=x.dtype), x.contiguous()
    ctypes.memmove(out.data_ptr(), x.data_ptr(), x.numel() * x.element_size())
    return out


def when_nobody_looks(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        out.copy_(x)
    return out


def by_backward(x: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = torch.ones(x.shape, dtype=x.dtype, requires_grad=True)
        (leaf * x).sum().backward()
    return leaf.grad  # type: ignore[return-value]


SHARED = np.zeros((8, 10))
SHARING = torch.from_numpy(SHARED)


def into_memory_of_numpys(x: Tensor) -> Tensor:
    SHARED[: x.shape[0], : x.shape[1]] = x.numpy()
    return SHARING[: x.shape[0], : x.shape[1]] * 1.0


def number_by_number(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    for row, values in enumerate(x.tolist()):
        for column, value in enumerate(values):
            out[row, column] = value
    return out


def in_a_thread(x: Tensor) -> Tensor:
    made: list[Tensor] = []
    thread = threading.Thread(target=lambda: made.append(x * 1.5))
    thread.start()
    thread.join()
    return made[0]


def by_out(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    torch.mul(x, 1.5, out=out)
    return out


UNSEEN: dict[str, Callable[[Tensor], Tensor]] = {
    "jit.script": scripted,
    "numpy": by_numpy,
    "memory shared with numpy": into_shared_memory,
    ".data =": by_data,
    ".data.copy_": through_another_name,
    "a view's copy_": through_a_view,
    "a registered operator's out": by_a_kernel,
    "an operator that hides what it writes": by_a_kernel_that_hides_it,
    "addresses": by_addresses,
    "a copy when nobody looks": when_nobody_looks,
    "the gradient of a backward pass": by_backward,
    "memory of numpy's": into_memory_of_numpys,
    "numbers one by one": number_by_number,
    "a thread": in_a_thread,
    "func.grad": torch.func.grad(lambda x: (x**2).sum()),
    "out=": by_out,
    "autograd.Function": Twice.apply,
    "dlpack": lambda x: torch.from_dlpack(x * 1.0),
    "vmap": torch.vmap(lambda row: row * 2 - 0.1),
    "tolist": lambda x: torch.tensor(x.tolist(), dtype=x.dtype),
}


REFUSED = ("tolist", "numbers one by one", "a thread")


class Before(nn.Module):
    """Something unseen in front of a net whose units fire on rare inputs only."""

    def __init__(self, made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.made, self.a, self.b = made, nn.Linear(10, 16), nn.Linear(16, 3)
        with torch.no_grad():
            self.a.bias[:8] -= 4
            self.a.bias[8:] += 4

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.b(torch.relu(self.a(self.made(x).to(x.dtype))))
        return y


@pytest.mark.parametrize("way", UNSEEN)
def test_a_tensor_whose_birth_was_not_seen_is_no_constant(way: str) -> None:
    torch.manual_seed(0)
    net, x = Before(UNSEEN[way]).eval(), torch.randn(2, 10)
    masks = secateur.prune(net, "l1-filter", sparsity=0.25, scope="all", example_inputs=x)
    small = secateur.compact(net, masks, x)
    rare = 9 * net.a.weight[:8].detach().sign()
    assert small.a.out_features == int(masks["a.bias"].sum()) == 12
    with torch.no_grad():
        torch.testing.assert_close(net(rare), small(rare), atol=1e-4, rtol=1e-4)


class Inside(nn.Module):
    """Something unseen between two layers: the channels that it touches stay."""

    def __init__(self, made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.made, self.a, self.b, self.c = made, nn.Linear(4, 6), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.c(torch.relu(self.b(self.made(self.a(x)).to(x.dtype))))
        return y


@pytest.mark.parametrize("way", [way for way in UNSEEN if way not in REFUSED])
def test_channels_that_something_unseen_touches_are_cut_rightly_or_not_at_all(way: str) -> None:
    torch.manual_seed(0)
    net, x = Inside(UNSEEN[way]).eval(), torch.randn(3, 4)
    masks = secateur.prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=x)
    small = secateur.compact(net, masks, x)
    assert small.b.out_features < 8
    with torch.no_grad():
        torch.testing.assert_close(net(x), small(x))


def test_a_branch_on_numbers_of_an_activation_is_refused_with_its_line() -> None:
    with pytest.raises(secateur.SecateurError, match=r"tolist at test_known_tensors.py:\d+"):
        trace(Inside(UNSEEN["tolist"]), torch.randn(3, 4))


def is_rare(x: Tensor) -> Tensor:
    return (x > 2.5).any()


def a_mask(_: nn.Module, x: Tensor) -> Tensor:
    mask = torch.zeros(8, dtype=x.dtype)
    mask.view(-1)[: 8 * int(is_rare(x))] = 1.0
    return mask


# One where a number of the input is large, zero where it is not: on the example it is zero.
GATES: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "a branch": lambda _, x: torch.ones(8) if is_rare(x) else torch.zeros(8),
    "a branch with a number": lambda _, x: torch.tensor(1.0 if is_rare(x) else 0.0),
    "a number of numpy's": lambda _, x: torch.full((8,), np.float32(is_rare(x).numpy())),
    "an array": lambda _, x: torch.as_tensor(np.array([is_rare(x).item()] * 8)),
    "as many as": lambda _, x: torch.ones(len((x > 2.5).nonzero())).sum(),
    "as many as are chosen": lambda _, x: torch.ones(x[x > 2.5].numel()).sum(),
    "part of a mask": a_mask,
    "a literal beside a number": lambda _, x: torch.arange(8) < 8 * is_rare(x).item(),
    "a row of a table": lambda net, x: net.table[is_rare(x).long()],
    "a row of a list": lambda net, x: net.rows[int(is_rare(x))],
    "one-hot": lambda _, x: nn.functional.one_hot(torch.tensor(int(is_rare(x))), 8),
}


class Gated(nn.Module):
    def __init__(self, gate: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.gate, self.a, self.b, self.c = gate, nn.Linear(4, 6), nn.Linear(6, 8), nn.Linear(8, 2)
        self.register_buffer("table", torch.stack([torch.zeros(8), torch.ones(8)]))
        self.rows = [torch.zeros(8), torch.ones(8)]

    def forward(self, x: Tensor) -> Tensor:
        gate = self.gate(self, x).to(x.dtype)
        y: Tensor = self.c(torch.sigmoid(self.b(torch.relu(self.a(x)))) * gate + gate)
        return y


@pytest.mark.parametrize("way", GATES)
def test_what_a_number_of_an_input_decides_is_no_constant(way: str) -> None:
    torch.manual_seed(0)
    net, x = Gated(GATES[way]).eval(), torch.rand(3, 4)
    masks = secateur.prune(net, "l1-filter", sparsity=0.3, scope="all", example_inputs=x)
    small = secateur.compact(net, masks, x)
    with torch.no_grad():
        for other in (x, 5 + x):
            torch.testing.assert_close(net(other), small(other))


def test_a_branch_on_an_input_is_reported_with_its_line() -> None:
    note = trace(Gated(GATES["a branch"]).eval(), torch.rand(3, 4)).report.note
    assert "The branch at test_known_tensors.py:" in note
    assert note.endswith("looks at an input; what is traced is its way for False.")


class Sorted(nn.Module):
    """A mixture of experts whose router tells Python how many rows each of them gets."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(4, 3)
        self.up = nn.ModuleList(nn.Linear(4, 6) for _ in range(3))
        self.down = nn.ModuleList(nn.Linear(6, 4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.router(x).argmax(1)
        order, counts = chosen.argsort(), nn.functional.one_hot(chosen, 3).sum(0).tolist()
        parts = x[order].split(counts)
        rows = [
            down(torch.relu(up(part)))
            for up, down, part in zip(self.up, self.down, parts, strict=True)
        ]
        return torch.zeros_like(x).index_add(0, order, torch.cat(rows))


def test_counts_that_layers_decide_may_be_read_as_a_list() -> None:
    torch.manual_seed(0)
    net, x = Sorted().eval(), torch.randn(9, 4)
    masks = secateur.prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=x)
    small = secateur.compact(net, masks, x)
    assert small.up[0].out_features < 6
    assert small.router.out_features == 3
    assert "Python reads whole numbers that layers decide" in masks.report.note
    with torch.no_grad():
        for other in (x, torch.randn(5, 4)):
            torch.testing.assert_close(net(other), small(other))


def test_other_numbers_that_layers_decide_are_refused() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x)
            return y / max(y.flatten().tolist())

    with pytest.raises(ChannelError, match=r"tolist at test_known_tensors\.py"):
        trace(Scaled().eval(), torch.rand(3, 4))


class Counted(nn.Module):
    """A graph as large as an input says, whose channels are zero behind a ReLU all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act = nn.Linear(4, 6), nn.Linear(6, 2), nn.ReLU()

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        y = self.a(x)
        nodes = int(edges.max()) + 1
        summed = y.new_zeros((nodes, y.shape[1])).index_add(0, edges[1], y[edges[0]])
        out: Tensor = self.b(self.act(summed))
        return out


def test_a_switch_is_no_number_of_an_input() -> None:
    torch.manual_seed(0)
    net = Counted().eval()
    given = (torch.randn(5, 4), torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]]))
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, scope="all", example_inputs=given)
    small = secateur.compact(net, masks, given)
    assert small.a.out_features == 3
    with torch.no_grad():
        torch.testing.assert_close(net(*given), small(*given))


class Remembering(nn.Module):
    """What it adds is zero in its first run, and not in those behind it."""

    def __init__(self, memory: str) -> None:
        super().__init__()
        self.a, self.b, self.c, self.memory = (
            nn.Linear(4, 6),
            nn.Linear(6, 8),
            nn.Linear(8, 2),
            memory,
        )
        self.register_buffer("state", torch.zeros(1, 8))
        self.register_buffer("count", torch.zeros(()))
        self.kept, self.list = torch.zeros(1, 8), [torch.zeros(1, 8)]

    def forward(self, x: Tensor) -> Tensor:
        y = torch.sigmoid(self.b(torch.relu(self.a(x))))
        if self.memory == "a buffer that is written":
            y = y * self.state + self.state
            self.state.add_(1.0)
        elif self.memory == "a buffer that is another":
            y, self.state = y + self.state, y.detach().mean(0, keepdim=True)
        elif self.memory == "an attribute":
            y, self.kept = y * self.kept, y.detach().mean(0, keepdim=True)
        elif self.memory == "a list":
            y, self.list[0] = y * self.list[0], y.detach().mean(0, keepdim=True)
        elif self.memory == "a counter":
            self.count += 1
            y = y * (self.count > 1) + (self.count > 1)
        elif self.memory == "chance":
            y = y * torch.tensor(float(random.random() < 0.5))
        return self.c(y)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "memory",
    [
        *("a buffer that is written", "a buffer that is another", "an attribute", "a list"),
        *("a counter", "chance"),
    ],
)
def test_what_a_network_remembers_is_no_constant(memory: str) -> None:
    torch.manual_seed(0)
    net, x = Remembering(memory).eval(), torch.rand(3, 4)
    masks = secateur.prune(net, "l1-filter", sparsity=0.3, scope="all", example_inputs=x)
    small = secateur.compact(net, masks, x)
    with torch.no_grad():
        for seed in range(4):
            random.seed(seed)
            whole = net(x)
            random.seed(seed)
            torch.testing.assert_close(whole, small(x))


def test_what_cannot_be_followed_is_not_told_as_the_examples_fault() -> None:
    def swapped(x: Tensor) -> Tensor:
        one, other = x * 1.0, x * 2.0
        torch.utils.swap_tensors(one, other)
        return one

    with pytest.raises(
        secateur.SecateurError, match=r"tracing cannot follow.*test_known_tensors.py:\d+"
    ):
        trace(Inside(swapped), torch.randn(3, 4))


def test_an_error_of_the_network_is_told_with_its_line() -> None:
    def wrong(x: Tensor) -> Tensor:
        return x @ torch.ones(7, 7)

    with pytest.raises(
        secateur.SecateurError, match=r"failing on the example inputs.*test_known_tensors.py:\d+"
    ):
        trace(Inside(wrong), torch.randn(3, 4))


def test_writes_are_told_by_the_memory_and_not_by_the_name() -> None:
    writes, one, other = Writes(), torch.zeros(4), torch.zeros(4)
    before = writes.state(one)
    writes.note(one[2:])
    assert writes.state(one) != before
    assert writes.state(other) == before
    writes.hand_out(one.view(2, 2))
    assert writes.state(one) == -1
