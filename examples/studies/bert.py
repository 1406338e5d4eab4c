"""The net, the data and the training of bert.toml."""

import argparse
import ast
import inspect
import tempfile
import unittest.mock

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from secateur.data import from_tensors
from secateur.integrations.trainer import PruningCallback

MODULES = (argparse, ast, unittest.mock)
LENGTH = 48


def data(lines=1500):
    """Lines of three modules, a byte a token, cut or padded to 48."""
    texts, labels = [], []
    for label, module in enumerate(MODULES):
        own = [line.strip() for line in inspect.getsource(module).splitlines()]
        own = [line for line in own if len(line) > 12]
        texts += own[:lines]
        labels += [label] * len(own[:lines])
    ids = torch.zeros(len(texts), LENGTH, dtype=torch.int64)
    for row, text in enumerate(texts):
        held = torch.tensor(list(text.encode("ascii", "replace")[:LENGTH]))
        ids[row, : len(held)] = held
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))
    ids, labels = ids[order], torch.tensor(labels)[order]
    ends = (0, int(0.7 * len(ids)), int(0.85 * len(ids)), len(ids))
    splits = {}
    for split, begin, end in zip(("train", "val", "test"), ends, ends[1:], strict=False):
        rows = slice(begin, end)
        inputs = {"input_ids": ids[rows], "attention_mask": (ids[rows] > 0).long()}
        splits[split] = (inputs, labels[rows])
    return from_tensors("lines", classes=len(MODULES), **splits)


def net(classes, width=64, layers=2):
    """BERT over bytes."""
    config = BertConfig(
        vocab_size=128,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=LENGTH,
        num_labels=classes,
    )
    return BertForSequenceClassification(config)


def train(model, run):
    """Hugging Face's Trainer; the callback holds what was pruned, and each epoch is reported."""
    inputs, labels = next(iter(run.data.batches("train", run.data.size("train"))))
    items = [
        {**{name: one[row] for name, one in inputs.items()}, "labels": labels[row]}
        for row in range(len(labels))
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=run.epochs,
            per_device_train_batch_size=run.settings.batch_size,
            learning_rate=run.settings.learning_rate,
            weight_decay=run.settings.weight_decay,
            seed=run.seed % 2**32,
            use_cpu=run.device.type == "cpu",
            save_strategy="no",
            logging_strategy="epoch",
            report_to=[],
            disable_tqdm=True,
        )
        callbacks = [PruningCallback(run.masks)] if run.masks else []
        trainer = Trainer(model, arguments, train_dataset=items, callbacks=callbacks)
        trainer.train()
        for entry in trainer.state.log_history:
            if "loss" in entry:
                run.report(loss=float(entry["loss"]))
