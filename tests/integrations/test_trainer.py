"""Hugging Face's own Trainer: zeros stay exact through AdamW, decay, a checkpoint and resuming."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from secateur.errors import MaskError
from secateur.pruning.gradual import Gradual
from secateur.verbs.prune import prune

transformers = pytest.importorskip("transformers")
from secateur.integrations.trainer import PruningCallback  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 2)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.last(self.first(x).relu())
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


ITEMS = [{"x": torch.randn(4), "labels": torch.tensor(i % 2)} for i in range(64)]


def trainer(folder: Path, callback: Any, **more: Any) -> Any:
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        per_device_train_batch_size=8,
        learning_rate=0.01,
        weight_decay=0.1,
        lr_scheduler_type="constant",
        save_steps=4,
        logging_steps=1000,
        **{"max_steps": 8, **more},
    )
    return transformers.Trainer(Net(), arguments, train_dataset=ITEMS, callbacks=[callback])


def pruned(model: nn.Module, masks: Any) -> list[int]:
    """Elements that a mask prunes and that are not exactly zero, by their bits."""
    state = model.state_dict()
    return [int(state[name][~masks[name]].view(torch.int32).count_nonzero()) for name in masks]


@pytest.mark.parametrize("more", [{}, {"gradient_accumulation_steps": 2}, {"bf16": True}])
def test_zeros_are_exact_after_training(more: dict[str, Any], tmp_path: Path) -> None:
    callback = PruningCallback(sparsity=0.75)
    held = trainer(tmp_path, callback, **more)
    held.train()
    assert callback.masks is not None
    assert (callback.masks.zeros, callback.masks.total) == (72, 96)
    assert not any(pruned(held.model, callback.masks))
    assert not held.model.first.weight._post_accumulate_grad_hooks


def test_masks_of_one_s_own_are_held(tmp_path: Path) -> None:
    masks = prune(Net(), "magnitude", sparsity=0.5)
    callback = PruningCallback(masks)
    held = trainer(tmp_path, callback)
    held.train()
    assert callback.masks == masks
    assert not any(pruned(held.model, masks))


def test_a_schedule_is_followed_through_a_checkpoint(tmp_path: Path) -> None:
    schedule = Gradual(0.75, end=6, every=2)
    first = PruningCallback(sparsity=schedule)
    trainer(tmp_path, first, max_steps=4).train()
    assert first.masks is not None
    assert first.masks.zeros == round(96 * schedule.sparsity(4))
    again = PruningCallback(sparsity=schedule)
    held = trainer(tmp_path, again)
    held.train(resume_from_checkpoint=True)
    assert again.masks is not None
    assert again.masks.is_within(first.masks)
    assert again.masks.zeros == 72
    assert not any(pruned(held.model, again.masks))
    once = PruningCallback(sparsity=schedule)
    whole = trainer(tmp_path / "whole", once)
    whole.train()
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, held.model.state_dict()[name])


def test_damaged_masks_are_refused(tmp_path: Path) -> None:
    trainer(tmp_path, PruningCallback(sparsity=0.5), max_steps=4).train()
    (tmp_path / "checkpoint-4" / "secateur-masks.json").write_text("{}")
    with pytest.raises(MaskError, match="damaged"):
        trainer(tmp_path, PruningCallback(sparsity=0.5)).train(resume_from_checkpoint=True)


def test_either_masks_or_a_sparsity() -> None:
    with pytest.raises(MaskError, match="neither masks nor a sparsity"):
        PruningCallback()


def test_masked_weights_make_the_round_trip_of_save_pretrained(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        vocab_size=50, max_position_embeddings=16,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config)
    masks = prune(model, "magnitude", sparsity=0.6)
    model.save_pretrained(tmp_path)
    again = transformers.BertForSequenceClassification.from_pretrained(tmp_path)
    from secateur.pruning.masks import Masks

    assert Masks.of(again) == masks
