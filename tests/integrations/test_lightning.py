"""Lightning's own Trainer: zeros stay exact through AdamW, decay, a checkpoint and resuming."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from secateur.errors import MaskError
from secateur.pruning.gradual import Gradual

lightning = pytest.importorskip("pytorch_lightning")
from secateur.integrations.lightning import PruningCallback  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))

    def training_step(self, batch: list[Tensor], place: int) -> Tensor:
        del place
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01, weight_decay=0.1)


X = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
LOADER = DataLoader(TensorDataset(X, (X.sum(1) > 0).long()), batch_size=8)


class Two(Module):
    """Two optimizers, each for its own layer; Lightning counts the steps of both."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: list[Tensor], place: int) -> None:  # type: ignore[override]
        loss = super().training_step(batch, place)
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
            optimizer.zero_grad()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:  # type: ignore[override]
        return [
            torch.optim.AdamW(self.net[place].parameters(), lr=0.01, weight_decay=0.1)
            for place in (0, 2)
        ]


def fit(
    folder: Path, callback: Any, start: Path | None = None, kind: Any = Module, **more: Any
) -> Any:
    trainer = lightning.Trainer(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[callback], **{"max_steps": 8, **more},
    )  # fmt: skip
    module = kind()
    trainer.fit(module, LOADER, ckpt_path=start)
    trainer.save_checkpoint(folder / "last.ckpt")
    return module


def pruned(model: nn.Module, masks: Any) -> int:
    state = model.state_dict()
    return sum(int(state[name][~masks[name]].view(torch.int32).count_nonzero()) for name in masks)


@pytest.mark.parametrize("more", [{}, {"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"}])
def test_zeros_are_exact_after_training(more: dict[str, Any], tmp_path: Path) -> None:
    callback = PruningCallback(sparsity=0.75)
    module = fit(tmp_path, callback, **more)
    assert callback.masks is not None
    assert (callback.masks.zeros, callback.masks.total) == (72, 96)
    assert not pruned(module, callback.masks)


def test_a_schedule_is_followed_through_a_checkpoint(tmp_path: Path) -> None:
    schedule = Gradual(0.75, end=6, every=2)
    first = PruningCallback(sparsity=schedule)
    fit(tmp_path, first, max_steps=4)
    assert first.masks is not None
    assert first.masks.zeros == round(96 * schedule.sparsity(4))
    again = PruningCallback(sparsity=schedule)
    module = fit(tmp_path / "again", again, tmp_path / "last.ckpt")
    assert again.masks is not None
    assert again.masks.is_within(first.masks)
    assert again.masks.zeros == 72
    assert not pruned(module, again.masks)


def test_two_optimizers_hold_what_each_trains_and_pass_no_cut_by(tmp_path: Path) -> None:
    callback = PruningCallback(sparsity=Gradual(0.75, end=9, every=3))
    module = fit(tmp_path, callback, kind=Two, max_steps=12)
    assert callback.masks is not None
    assert callback.masks.zeros == 72
    assert not pruned(module, callback.masks)
    assert module.net[0].weight.count_nonzero() < 64


def test_damaged_masks_are_refused() -> None:
    for state in ({}, {"masks": "{}"}, {"masks": 3}):
        with pytest.raises(MaskError, match="damaged"):
            PruningCallback(sparsity=0.5).load_state_dict(state)
