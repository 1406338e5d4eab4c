"""Hugging Face's own Trainer: zeros stay exact through AdamW, decay, a checkpoint and resuming."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks
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


def trainer(
    folder: Path, callback: Any, evaluation: dict[str, Any] | None = None, **more: Any
) -> Any:
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
    return transformers.Trainer(
        Net(), arguments, train_dataset=ITEMS, callbacks=[callback], **(evaluation or {})
    )


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
    path = tmp_path / "checkpoint-4" / "trainer_state.json"
    state = json.loads(path.read_text())
    for wrong in ("{}", {"masks": {}}):
        state["stateful_callbacks"]["secateur"] = wrong
        path.write_text(json.dumps(state))
        with pytest.raises(MaskError, match="damaged"):
            trainer(tmp_path, PruningCallback(sparsity=0.5)).train(resume_from_checkpoint=True)


def test_a_checkpoint_of_another_folder_brings_its_own_masks(tmp_path: Path) -> None:
    """Not those of a checkpoint of the same number in the new training's folder."""
    first, other = PruningCallback(sparsity=0.75), PruningCallback(sparsity=0.25)
    trainer(tmp_path / "first", first, max_steps=4).train()
    trainer(tmp_path / "new", other, max_steps=4).train()
    again = PruningCallback(masks=prune(Net(), "magnitude", sparsity=0.0))
    held = trainer(tmp_path / "new", again)
    held.train(resume_from_checkpoint=str(tmp_path / "first" / "checkpoint-4"))
    assert again.masks == first.masks
    assert not any(pruned(held.model, again.masks))


def test_a_dense_checkpoint_is_cut_when_training_goes_on(tmp_path: Path) -> None:
    held = trainer(tmp_path, transformers.TrainerCallback(), max_steps=4)
    held.train()
    for plan in (0.75, Gradual(0.75, end=2)):
        callback = PruningCallback(sparsity=plan)
        held = trainer(tmp_path, callback, save_strategy="no")
        held.train(resume_from_checkpoint=True)
        assert callback.masks is not None
        assert callback.masks.zeros == 72
        assert not any(pruned(held.model, callback.masks))


def test_the_masks_are_those_of_the_best_model_that_is_loaded_at_the_end(tmp_path: Path) -> None:
    callback = PruningCallback(sparsity=Gradual(0.75, end=6, every=2))
    scores = iter((1.0, 0.0))
    evaluation: dict[str, Any] = {
        "eval_dataset": ITEMS, "compute_metrics": lambda _: {"score": next(scores)},
    }  # fmt: skip
    held = trainer(
        tmp_path, callback, evaluation, eval_strategy="steps", eval_steps=4,
        load_best_model_at_end=True,
        metric_for_best_model="eval_score", greater_is_better=True,
    )  # fmt: skip
    held.train()
    assert held.state.best_model_checkpoint.endswith("checkpoint-4")
    assert callback.masks is not None
    assert callback.masks.zeros == round(96 * Gradual(0.75, end=6, every=2).sparsity(4))
    assert not any(pruned(held.model, callback.masks))


def test_filters_by_a_schedule_go_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "sparsity": Gradual(0.5, end=7, every=3), "method": "l1-filter", "scope": "all",
        "example_inputs": {"x": torch.randn(2, 4), "labels": torch.tensor([0, 1])},
    }  # fmt: skip
    whole, first, again = (PruningCallback(**options) for _ in range(3))
    once = trainer(tmp_path / "whole", whole)
    once.train()
    trainer(tmp_path / "parts", first, max_steps=4).train()
    held = trainer(tmp_path / "parts", again)
    held.train(resume_from_checkpoint=True)
    assert again.masks == whole.masks
    assert again.masks is not None
    assert again.masks.zeros
    for name, tensor in once.model.state_dict().items():
        assert torch.equal(tensor, held.model.state_dict()[name])


def test_a_callback_trains_twice(tmp_path: Path) -> None:
    callback = PruningCallback(sparsity=Gradual(0.75, end=6, every=2))
    held = trainer(tmp_path, callback, save_strategy="no")
    held.train()
    first = callback.masks
    held.train()
    assert first is not None
    assert callback.masks is not None
    assert callback.masks.is_within(first)
    assert not any(pruned(held.model, callback.masks))


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
    assert Masks.of(again) == masks


def test_a_compact_bert_goes_through_our_own_file(tmp_path: Path) -> None:
    def build() -> Any:
        config = transformers.BertConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            vocab_size=50, max_position_embeddings=16,
        )  # fmt: skip
        return transformers.BertForSequenceClassification(config).eval()

    model, tokens = build(), {"input_ids": torch.randint(50, (2, 8))}
    masks = prune(
        model, "l1-filter", sparsity=0.5, scope="all", exclude=["*embeddings*"],
        example_inputs=tokens,
    )  # fmt: skip
    small = secateur.compact(model, masks, tokens)
    secateur.save(small, tmp_path / "small.safetensors")
    again = secateur.load(tmp_path / "small.safetensors", build)
    sizes = [sum(one.numel() for one in net.parameters()) for net in (model, small, again)]
    assert sizes[0] > sizes[1] == sizes[2]
    with torch.no_grad():
        assert torch.equal(small(**tokens).logits, again.eval()(**tokens).logits)
        assert torch.allclose(small(**tokens).logits, model(**tokens).logits, atol=1e-5)
