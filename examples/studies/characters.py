"""The net and the data of characters.toml."""

import argparse
import inspect
import tarfile
import zipfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from secateur.data import from_tensors

LENGTH = 64
SOURCES = {"train": (argparse, tarfile), "val": (zipfile,), "test": (inspect,)}


def data(characters=120_000):
    """The source of some modules, a byte a token, in pieces of 64."""
    return from_tensors(
        "library", **{split: pieces(modules, characters) for split, modules in SOURCES.items()}
    )


def pieces(modules, characters):
    """Tokens, and beside them the token that follows each."""
    text = "".join(inspect.getsource(module) for module in modules)[:characters]
    tokens = torch.tensor(list(text.encode("ascii", "replace")))
    count = (len(tokens) - 1) // LENGTH
    inputs = tokens[: count * LENGTH].reshape(count, LENGTH)
    return {"input_ids": inputs}, tokens[1 : count * LENGTH + 1].reshape(count, LENGTH)


def net(width=64, layers=2):
    """GPT-2 over 128 characters."""
    config = GPT2Config(
        vocab_size=128,
        n_positions=LENGTH,
        n_embd=width,
        n_layer=layers,
        n_head=4,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config)
