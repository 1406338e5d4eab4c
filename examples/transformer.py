"""Prune a transformer of Hugging Face: hidden units and attention heads, cut for good.

    python examples/transformer.py

The model is built from a configuration with random weights, so nothing is downloaded; a pretrained
one is pruned the same way. Needs `pip install transformers`. SECATEUR_SMALL=1 makes it small.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

import secateur

SMALL = bool(os.environ.get("SECATEUR_SMALL"))
WIDTH, LAYERS, STEPS = (32, 2, 4) if SMALL else (256, 4, 100)


def build_model() -> BertForSequenceClassification:
    """The dense model, as `from_pretrained` would give it."""
    config = BertConfig(
        vocab_size=100,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        num_labels=2,
    )
    return BertForSequenceClassification(config)


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of 16 tokens; the label says whether token 7 is in it."""
    ids = torch.randint(10, 100, (count, 16))
    labels = torch.arange(count) % 2
    ids[labels.bool(), torch.randint(16, (int(labels.sum()),))] = 7
    return ids, labels


def train(model: BertForSequenceClassification, steps: int) -> float:
    """An ordinary loop; the loss of the last step."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    for _ in range(steps):
        ids, labels = draw(64)
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(input_ids=ids).logits, labels)
        loss.backward()
        optimizer.step()
    model.eval()
    return float(loss.detach())


def main() -> None:
    """Train, cut 40 % of every layer's units, compare, retrain, save, load."""
    torch.manual_seed(0)
    model = build_model()
    print(f"loss, dense: {train(model, STEPS):.3f}")

    inputs = {"input_ids": draw(2)[0]}  # keyword inputs, as the model takes them
    masks = secateur.prune(
        model, "l1-filter", sparsity=0.4, scope="all", granularity="channel", example_inputs=inputs
    )
    small = secateur.compact(model, masks, inputs)
    for name in ("attention.self.query", "intermediate.dense"):
        path = f"bert.encoder.layer.0.{name}"
        before, after = model.get_submodule(path), small.get_submodule(path)
        print(f"{name}: {before.out_features} -> {after.out_features}")

    ids, _ = draw(8)
    with torch.no_grad():
        same = torch.allclose(model(input_ids=ids).logits, small(input_ids=ids).logits, atol=1e-5)
    print(f"the same function: {same}")
    count = [sum(p.numel() for p in net.parameters()) for net in (model, small)]
    print(f"parameters: {count[0]:,} -> {count[1]:,}")
    print(f"loss, retrained: {train(small, STEPS):.3f}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bert.safetensors")
        secateur.save(small, path)
        again = secateur.load(path, build_model)
        with torch.no_grad():
            equal = torch.equal(again(input_ids=ids).logits, small(input_ids=ids).logits)
        print(f"loaded again, the same bits: {equal}")


if __name__ == "__main__":
    main()
