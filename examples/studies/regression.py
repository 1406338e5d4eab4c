"""The net and the data of regression.toml."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn

from secateur.data import from_tensors


def data():
    """442 patients, ten measurements each; the target is a number between 25 and 346."""
    x, y = load_diabetes(return_X_y=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = torch.tensor(x).float()[order], torch.tensor(y).float()[order]
    parts = {"train": slice(0, 300), "val": slice(300, 371), "test": slice(371, 442)}
    splits = {name: (x[rows], y[rows]) for name, rows in parts.items()}
    return from_tensors("diabetes", normalise=True, **splits)


class Net(nn.Sequential):
    """A net whose output starts where the target is, so that few epochs will do."""

    def forward(self, x):
        """From `[B, 10]` to `[B]`."""
        return 150 + 75 * super().forward(x).squeeze(1)


def net(shape):
    """Two hidden layers."""
    return Net(nn.Linear(shape[0], 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
