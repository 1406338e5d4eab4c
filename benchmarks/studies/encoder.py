"""The net and the data of encoder.toml: from which package is a passage of source code?

The text is the source code of eight packages that `constraints.txt` pins, as it lies on this
machine; nothing is downloaded, and nothing of it is imported. A passage is 32 words of one file
in a row. Files, not passages, are dealt to training, validation and test; the packages' own names
are left out.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from secateur.data import from_tensors
from secateur.data.tensors import TensorData

PACKAGES = ("matplotlib", "networkx", "numpy", "pandas", "scipy", "sklearn", "sympy", "torch")
NICKNAMES = {"np", "nx", "pd", "plt", "mpl", "sp"}
LENGTH = 32
WORDS = 1000
PASSAGES = {"train": 1000, "val": 250, "test": 500}
PARTS = ("train", "train", "train", "train", "train", "val", "test", "test")
PER_FILE = 24
UNKNOWN, FIRST = 0, 1
_WORD = re.compile(r"[a-z]+")
_SKIPPED = {"tests", "test", "testing", "_vendor"}

Passages = list[list[str]]


def net(classes: int, width: int = 64, layers: int = 2) -> nn.Module:
    """BERT over words, as `transformers` has it; from ids `[N, 32]` to `[N, classes]`."""
    from transformers import BertConfig, BertForSequenceClassification  # takes seconds

    config = BertConfig(
        vocab_size=FIRST + WORDS,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=4 * width,
        max_position_embeddings=LENGTH,
        num_labels=classes,
    )
    return BertForSequenceClassification(config)


def data() -> TensorData:
    """8,000 passages to train on, 2,000 to choose on, 4,000 to score: of each package as many."""
    found = [passages(name) for name in PACKAGES]
    counted = Counter(word for one in found for passage in one["train"] for word in passage)
    ranked = sorted(counted, key=lambda word: (-counted[word], word))[:WORDS]
    numbers = {word: number for number, word in enumerate(ranked, FIRST)}
    splits = {split: _tensors([one[split] for one in found], numbers) for split in PASSAGES}
    return from_tensors("sources", classes=len(PACKAGES), **splits)


def passages(package: str) -> dict[str, Passages]:
    """A package's passages, drawn by the digests of their names and so the same everywhere."""
    found: dict[str, Passages] = {split: [] for split in PASSAGES}
    for path, name in _files(package):
        split = PARTS[_digest(name)[0] % len(PARTS)]
        left = PASSAGES[split] - len(found[split])
        if left > 0:
            found[split] += _of_file(path, name)[:left]
    short = [split for split, own in found.items() if len(own) < PASSAGES[split]]
    if short:
        raise ValueError(f"{package} has too little source code for {', '.join(short)}")
    return found


def _files(package: str) -> list[tuple[Path, str]]:
    """Its modules but for tests, by the digests of their names."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed: pip install {package}")
    folder = Path(spec.submodule_search_locations[0])
    files = [
        (path, path.relative_to(folder.parent).as_posix())
        for path in folder.rglob("*.py")
        if not _SKIPPED & set(path.relative_to(folder).parts)
    ]
    return sorted(files, key=lambda pair: _digest(pair[1]))


def _of_file(path: Path, name: str) -> Passages:
    words = list(_words(path.read_text(encoding="utf-8", errors="replace")))
    starts = range(0, len(words) - LENGTH + 1, LENGTH)
    drawn = sorted(starts, key=lambda start: _digest(f"{name} {start}"))[:PER_FILE]
    return [words[start : start + LENGTH] for start in drawn]


def _words(text: str) -> Iterator[str]:
    named = {*PACKAGES, *NICKNAMES}
    return (word for word in _WORD.findall(text.lower()) if word not in named)


def _tensors(by_class: list[Passages], numbers: dict[str, int]) -> tuple[dict[str, Tensor], Tensor]:
    """Inputs and labels; one of each class in turn, so that every prefix is balanced."""
    rows = [
        ([numbers.get(word, UNKNOWN) for word in passage], label)
        for turn in zip(*by_class, strict=True)
        for label, passage in enumerate(turn)
    ]
    ids = torch.tensor([row for row, _ in rows])
    labels = torch.tensor([label for _, label in rows])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
