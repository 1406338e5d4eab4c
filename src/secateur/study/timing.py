"""Timing: the latency of every point on each engine, side by side once nothing else runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from secateur.channels import compact
from secateur.data.data import Data
from secateur.errors import ChannelError, SecateurError
from secateur.foundation.run_example import (
    Inputs,
    batch_size,
    call_arguments,
    each_tensor,
    take_rows,
)
from secateur.foundation.threads import cores
from secateur.measure.latency import compare_within, torch_threads
from secateur.point import Latency, Point
from secateur.pruning.masks import Masks
from secateur.pruning.weights import prunable_weights
from secateur.runtime.compiler import Engine
from secateur.runtime.compiler import compile as compile_engine
from secateur.study.checkpoint import restore
from secateur.study.job import Setup
from secateur.study.store import Store

BATCHES = (1, 64)
EAGER = "torch-eager"
OTHER = "other"
_SECONDS = 15.0
_CHOOSING = 0.05
_ROUNDS = (5, 50)
_REST = 0.001
_SPARSE = 0.5
"""With fewer zeros in every weight, zeros save no time: what counts are the shapes."""

Signature = tuple[object, ...]
Maker = Callable[[Inputs, int], tuple[str, Callable[[], object]]]
"""From inputs and threads to the name of an engine and a pass of it."""


def time_points(
    store: Store,
    setup: Setup,
    data: Data,
    on_begin: Callable[[int], None],
    others: Mapping[str, Maker] | None = None,
) -> dict[str, list[Latency]]:
    """Time the compact net of every point of the plan on the CPU, and write the medians.

    Each runs in eager torch and, in the same rounds, on the engine of `secateur.compile`, dense
    ones too, so that ratios compare nets and not engines. They are only fair within one run, so
    all are timed again when one is new.

    Eager torch multiplies zeros like any number: points whose compact nets have the same shapes
    take the same time, and one of them is timed for all. On the engine this holds for nets of
    few zeros alone.

    Args:
        store: Open for writing.
        setup: Says how the model is built.
        data: The data, on the CPU.
        on_begin: Told how many different nets there are.
        others: What else is timed in the same rounds, by name; the points are then timed anew.

    Returns:
        The latencies of the others.
    """
    points, others = store.points(), others or {}
    if not others and all(point.latency for point in points):
        return {}
    nets: dict[Signature, nn.Module] = {}
    signatures: dict[str, tuple[Signature, Signature]] = {}
    for point in points:
        net = _compact_net(store, setup, data, point)
        shapes = tuple(tuple(parameter.shape) for parameter in net.parameters())
        own = (*shapes, point.digest) if _is_sparse(net) else shapes
        signatures[point.digest] = shapes, own
        nets.setdefault(own, net)
        nets.setdefault(shapes, net)
    on_begin(len(nets))
    eager = {shapes: nets[shapes] for shapes, _ in signatures.values()}
    # Torch counts the cores that it may run on, not the time on them that a container is given.
    with torch_threads(min(torch.get_num_threads(), cores())):
        engines = _compiled({own: nets[own] for _, own in signatures.values()}, data)
        measured = {batch: _measure(eager, engines, others, data, batch) for batch in BATCHES}
    store.write_latencies(
        {
            digest: [
                measured[batch][kind, signature]
                for batch in BATCHES
                for kind, signature in (("eager", shapes), ("engine", own))
                if (kind, signature) in measured[batch]
            ]
            for digest, (shapes, own) in signatures.items()
        }
    )
    return {name: [measured[batch][OTHER, (name,)] for batch in BATCHES] for name in others}


def _compact_net(store: Store, setup: Setup, data: Data, point: Point) -> nn.Module:
    model = setup.build_model(data)
    masks = restore(model, store.checkpoint(point.digest), store.sum(point.digest))
    try:
        return compact(model, masks or Masks({}), data.example(2)).eval()
    except ChannelError:
        return model.eval()


def _is_sparse(net: nn.Module) -> bool:
    weights = [weight.parameter for weight in prunable_weights(net).values()]
    return any(float((weight == 0).float().mean()) >= _SPARSE for weight in weights)


def _compiled(nets: Mapping[Signature, nn.Module], data: Data) -> dict[Signature, Engine]:
    """The engines of those nets that have one; a study does not end at one that has none."""
    found = {}
    for signature, net in nets.items():
        try:
            found[signature] = compile_engine(
                net, data.example(2), batches=BATCHES, seconds=_CHOOSING, spins=False
            )
        except SecateurError:
            continue
    return found


def _measure(
    nets: Mapping[Signature, nn.Module],
    engines: Mapping[Signature, Engine],
    others: Mapping[str, Maker],
    data: Data,
    batch: int,
) -> dict[tuple[str, Signature], Latency]:
    example = data.example(batch)
    rows = [row % batch_size(example) for row in range(batch)]
    inputs = each_tensor(take_rows(example, rows), Tensor.contiguous)
    calls = {("eager", signature): _eager(net, inputs) for signature, net in nets.items()}
    names = dict.fromkeys(calls, EAGER)
    for signature, engine in engines.items():
        calls["engine", signature] = _engine(engine, inputs)
        names["engine", signature] = f"secateur-{engine.choice(batch).backend}"
    for name, make in others.items():
        names[OTHER, (name,)], calls[OTHER, (name,)] = make(inputs, torch.get_num_threads())
    keys = {str(number): key for number, key in enumerate(calls)}
    runs = {number: calls[key] for number, key in keys.items()}
    timings = compare_within(runs, _SECONDS, rounds=_ROUNDS, rest=_REST)
    threads = torch.get_num_threads()
    return {
        keys[number]: Latency(
            each.n, each.median, each.q1, each.q3, names[keys[number]], threads, batch
        )
        for number, each in timings.items()
    }


def _eager(net: nn.Module, inputs: Inputs) -> Callable[[], object]:
    args, kwargs = call_arguments(inputs)

    def run() -> object:
        with torch.inference_mode():
            return net(*args, **kwargs)

    return run


def _engine(engine: Engine, inputs: Inputs) -> Callable[[], object]:
    args, kwargs = call_arguments(inputs)
    return lambda: engine(*args, **kwargs)
