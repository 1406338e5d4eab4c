"""A loop of accelerate: zeros stay exact through AdamW, decay, a saved state and loading it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from secateur.errors import MaskError
from secateur.pruning.gradual import Gradual

accelerate = pytest.importorskip("accelerate")
from secateur.integrations.accelerate import FILE, Pruning  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
DATA = TensorDataset(X, (X.sum(1) > 0).long())


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """Each test has accelerate's settings, which a process shares, for itself."""
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


class Loop:
    """A net, its optimizer, eight batches an epoch, and what prunes it."""

    def __init__(self, sparsity: float | Gradual, **options: Any) -> None:
        self.accelerator = accelerate.Accelerator(cpu=True, **options)
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        adam = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1)
        self.net, self.optimizer, self.loader = self.accelerator.prepare(
            net, adam, DataLoader(DATA, batch_size=8)
        )
        self.pruning = Pruning(self.accelerator, self.net, self.optimizer, sparsity=sparsity)

    def train(self, first: int = 0, last: int = 8) -> None:
        for place, (inputs, labels) in enumerate(self.loader):
            if not first <= place < last:
                continue
            with self.accelerator.accumulate(self.net):
                loss = nn.functional.cross_entropy(self.net(inputs), labels)
                self.accelerator.backward(loss)
                self.optimizer.step()
                self.pruning.step()
                self.optimizer.zero_grad()

    @property
    def zeros(self) -> int:
        """How many elements the masks prune; all of them are checked bit by bit."""
        masks = self.pruning.masks
        if masks is None:
            return 0
        state = self.accelerator.unwrap_model(self.net).state_dict()
        for name, mask in masks.items():
            assert not state[name][~mask].view(torch.int32).count_nonzero()
        return masks.zeros


@pytest.mark.parametrize(
    "options", [{}, {"gradient_accumulation_steps": 2}, {"mixed_precision": "bf16"}]
)
def test_zeros_are_exact_after_training(options: dict[str, Any]) -> None:
    loop = Loop(0.75, **options)
    loop.train()
    assert loop.zeros == 72


def test_batches_that_are_gathered_are_no_steps() -> None:
    schedule = Gradual(0.75, begin=1, end=4, initial=0.25)
    loop = Loop(schedule, gradient_accumulation_steps=2)
    assert loop.zeros == 0
    loop.train(last=3)
    assert loop.zeros == 24
    loop.train()
    assert loop.zeros == 72


def test_a_schedule_is_followed_through_a_saved_state(tmp_path: Path) -> None:
    schedule = Gradual(0.75, end=6, every=2)
    whole, first, again = Loop(schedule), Loop(schedule), Loop(schedule)
    whole.train()
    first.train(last=4)
    assert first.zeros == round(96 * schedule.sparsity(4))
    first.accelerator.save_state(tmp_path)
    first.train(4)
    again.accelerator.load_state(tmp_path)
    assert again.zeros == round(96 * schedule.sparsity(4))
    again.train(4)
    for loop in (first, again):
        assert loop.zeros == 72
        for ours, theirs in zip(loop.net.parameters(), whole.net.parameters(), strict=True):
            assert torch.equal(ours, theirs)


def test_a_state_from_before_the_first_cut_lets_the_weights_go(tmp_path: Path) -> None:
    loop = Loop(Gradual(0.75, begin=2, end=4, initial=0.5))
    loop.accelerator.save_state(tmp_path)
    loop.train(last=5)
    assert loop.zeros == 72
    loop.accelerator.load_state(tmp_path)
    assert loop.pruning.masks is None
    loop.train(last=1)
    assert all(bool((weight != 0).all()) for weight in loop.net.parameters())


def test_damaged_and_missing_masks_are_refused(tmp_path: Path) -> None:
    loop = Loop(0.5)
    loop.accelerator.save_state(tmp_path)
    whole = json.loads((tmp_path / FILE).read_text())
    wrongs: list[Any] = [
        [], {}, {**whole, "steps": "x"}, {**whole, "steps": -1}, {**whole, "masks": 3},
        {**whole, "masks": whole["masks"][:-9]},
    ]  # fmt: skip
    for wrong in wrongs:
        (tmp_path / FILE).write_text(json.dumps(wrong))
        with pytest.raises(MaskError, match="damaged"):
            loop.accelerator.load_state(tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(MaskError, match="missing"):
        loop.accelerator.load_state(tmp_path)
    loop.pruning.stop()
    loop.accelerator.load_state(tmp_path)
