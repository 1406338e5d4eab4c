"""The net and the data of time-series.toml."""

import csv
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from secateur.data import from_tensors


def days(city):
    """A year of one city, a row a day, in degrees Fahrenheit; `vega_datasets` ships it."""
    (folder,) = find_spec("vega_datasets").submodule_search_locations
    with Path(folder, "_data", f"{city}-temps.csv").open() as file:
        hours = [float(row["temp"]) for row in csv.DictReader(file)]
    return torch.tensor(hours[: len(hours) // 24 * 24]).reshape(-1, 1, 24)


def data():
    """Both cities, a day an example; the day's mean is taken off, so that its course must tell."""
    cities = [days("seattle"), days("sf")]
    x = torch.cat(cities)
    y = torch.cat([torch.full((len(city),), label) for label, city in enumerate(cities)])
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = (x - x.mean(2, keepdim=True))[order] / 5, y[order]
    parts = {"train": slice(0, 430), "val": slice(430, 580), "test": slice(580, None)}
    splits = {name: (x[rows], y[rows]) for name, rows in parts.items()}
    return from_tensors("temperatures", classes=2, **splits)


def net(shape, classes):
    """Three convolutions over the hours."""
    return nn.Sequential(
        nn.Conv1d(shape[0], 32, 5, padding=2),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(32, 64, 3, padding=1),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Conv1d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(4),
        nn.Flatten(),
        nn.Linear(256, classes),
    )
