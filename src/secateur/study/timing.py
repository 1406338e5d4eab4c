"""Timing: the latency of every point, measured side by side once nothing else runs."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor, nn

from secateur.channels import compact
from secateur.data.images import ImageData
from secateur.errors import ChannelError
from secateur.measure.latency import compare
from secateur.point import Latency, Point
from secateur.pruning.masks import Masks
from secateur.study.checkpoint import load_checkpoint
from secateur.study.experiment import Setup
from secateur.study.store import Store

BATCHES = (1, 64)
ENGINE = "torch-eager"
_SECONDS = 20.0
_ROUNDS = (5, 50)

Signature = tuple[tuple[int, ...], ...]


def time_points(
    store: Store, setup: Setup, data: ImageData, on_begin: Callable[[int], None]
) -> None:
    """Time the compact net of every point of the plan on the CPU, and write the medians.

    Ratios are only fair within one run, so all are timed again when one is new. Eager torch
    multiplies zeros like any number: points whose compact nets have the same shapes take the same
    time, and one of them is timed for all.

    Args:
        store: Open for writing.
        setup: Says how the model is built.
        data: The data, on the CPU.
        on_begin: Told how many different nets there are.
    """
    points = store.points()
    if all(point.latency for point in points):
        return
    nets: dict[Signature, nn.Module] = {}
    signatures: dict[str, Signature] = {}
    for point in points:
        net = _compact_net(store, setup, data, point)
        signature = tuple(tuple(parameter.shape) for parameter in net.parameters())
        signatures[point.digest] = signature
        nets.setdefault(signature, net)
    on_begin(len(nets))
    measured = {batch: _measure(nets, data, batch) for batch in BATCHES}
    store.timed(
        {
            digest: [measured[batch][signature] for batch in BATCHES]
            for digest, signature in signatures.items()
        }
    )


def _compact_net(store: Store, setup: Setup, data: ImageData, point: Point) -> nn.Module:
    model = setup.build_model(data)
    state, masks = load_checkpoint(store.checkpoint(point.digest))
    model.load_state_dict(state)
    try:
        return compact(model, masks or Masks({}), data.example(2)).eval()
    except ChannelError:
        return model.eval()


def _measure(
    nets: dict[Signature, nn.Module], data: ImageData, batch: int
) -> dict[Signature, Latency]:
    images = data.example(batch)
    inputs = images[torch.arange(batch) % len(images)].contiguous()
    names = {str(number): signature for number, signature in enumerate(nets)}
    runs = {name: _call(nets[signature], inputs) for name, signature in names.items()}
    begun = perf_counter()
    compare(runs, repeats=1, warmup=1)
    rounds = int(_SECONDS / max(perf_counter() - begun, 1e-9) * 2)
    timings = compare(runs, repeats=min(max(rounds, _ROUNDS[0]), _ROUNDS[1]), warmup=1)
    return {
        names[name]: Latency(
            each.n, each.median, each.q1, each.q3, ENGINE, torch.get_num_threads(), batch
        )
        for name, each in timings.items()
    }


def _call(net: nn.Module, inputs: Tensor) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return net(inputs)

    return run
