"""Export a pruned network to ONNX, serve it with ONNX Runtime alone, and time it.

    python examples/serve.py

Needs `pip install 'secateur[export]'`. SECATEUR_SMALL=1 makes everything small.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import secateur
from secateur.data import load
from secateur.models import build

SMALL = bool(os.environ.get("SECATEUR_SMALL"))
IMAGES, EPOCHS, ROUNDS = (200, 1, 5) if SMALL else (4000, 4, 100)


def main() -> None:
    """Train, cut half of the filters, retrain, export, serve, time."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/serve")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    data = load("shapes", train=IMAGES, val=100, test=100)

    dense = build("conv4", data.shape, data.classes)
    secateur.fit(dense, data, epochs=EPOCHS, device="cpu")
    example = data.example(2)
    masks = secateur.prune(dense, "l1-filter", sparsity=0.5, example_inputs=example, round_to=8)
    small = secateur.compact(dense, masks, example)
    secateur.fit(small, data, epochs=EPOCHS, device="cpu")
    for name, net in (("dense", dense), ("small", small)):
        print(f"{name}: {secateur.evaluate(net, data, data.val).value:.3f} on validation data")

    # Checked by onnx.checker and beside the net in ONNX Runtime before the file has its name.
    secateur.export_onnx(dense, example, folder / "dense.onnx")
    secateur.export_onnx(small, example, folder / "small.onnx")

    # A server needs this much: the file, the engine, and the normalisation of the images.
    session = onnxruntime.InferenceSession(
        folder / "small.onnx", providers=["CPUExecutionProvider"]
    )
    mean = 255 * np.array(data.mean, np.float32)[:, None, None]
    std = 255 * np.array(data.std, np.float32)[:, None, None]
    images = data.val.images.numpy()
    scores = session.run(None, {"input": (images.astype(np.float32) - mean) / std})[0]
    right = (scores.argmax(1) == data.val.labels.numpy()).mean()
    print(f"served: {right:.3f} of {len(images)} images right")

    made = secateur.bench(
        folder / "small.onnx", dense=folder / "dense.onnx", batches=(1, 16), repeats=ROUNDS
    )
    for row in made.rows:
        noise = "  (within the noise)" if row.is_within_noise else ""
        print(
            f"{row.engine}, batch {row.batch}: {1e3 * row.pruned.median:.2f} ms, "
            f"{row.speedup:.2f}x the dense net's speed{noise}"
        )


if __name__ == "__main__":
    main()
