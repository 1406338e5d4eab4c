"""Compiling: from a network to an engine."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from secateur.engine.capture import NotCapturedError, capture
from secateur.engine.choosing import BACKENDS, TORCH, Choice, Chooser
from secateur.engine.engine import Engine, fingerprint
from secateur.engine.folding import folded
from secateur.engine.graph import Graph
from secateur.errors import ModelError, UnknownNameError, UsageError
from secateur.measure.latency import torch_threads
from secateur.measure.observe import check_batch, observed

_OPERATION = "compiling"


def compile(  # noqa: A001
    model: nn.Module,
    example_inputs: Tensor,
    *,
    threads: int | None = None,
    backend: str | None = None,
    batches: Sequence[int] | None = None,
    seconds: float = 1.0,
    spins: bool = True,
) -> Engine:
    """Pack a pruned network once, to run as fast as this machine can.

    Batch norms are folded, ReLUs fused, buffers planned. The whole network is then timed in several
    ways, interleaved, and the fastest one (by its third quartile) is kept, for each size of the
    batch: sparse kernels for every layer; sparse ones where they won when each layer was timed by
    itself and dense ones elsewhere; all of it in ONNX Runtime, if that is installed; all of it in
    torch. So it is never slower than the best dense engine here, but for the noise of the
    measurement. `print` the engine to see what was chosen. What the kernels do not know runs in
    torch.

    Args:
        model: Any network of one tensor in and one out. It is left as it was.
        example_inputs: A batch `[N, ...]`, on the CPU.
        threads: Threads inside an operator; as many as torch uses if not given.
        backend: Take this one, whatever is faster: `sparse` (images one after the other),
            `sparse-serial` (so, on one thread), `sparse-lanes` (side by side), `mixed`,
            `onnxruntime`, `torch-csr` or `torch`.
        batches: Sizes of the batch to choose for; 1 and N if not given.
        seconds: How long to measure at each size: so long for the layers, and so long again for
            the whole network; a few rounds are run however long they take.
        spins: Where ONNX Runtime is the fastest: whether its threads go on turning for some 60 ms
            after a pass, so that the next one starts sooner. Set it to False if other work runs
            in between: it would share its cores with them.

    Raises:
        ModelError: The example is empty or the network fails on it.
        UnknownNameError: No such backend.
        UsageError: The backend cannot run this network here, or a number is out of range.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
        >>> engine = compile(net, torch.zeros(1, 1, 4, 4), seconds=0)
        >>> engine(torch.zeros(3, 1, 4, 4)).shape
        torch.Size([3, 2])
    """
    if backend is not None and backend not in BACKENDS:
        raise UnknownNameError("backend", backend, BACKENDS)
    check_batch(_OPERATION, example_inputs)
    used = torch.get_num_threads() if threads is None else threads
    sizes = sorted({1, len(example_inputs)} if batches is None else set(batches))
    _check_positive(threads=used, batches=min(sizes, default=0))
    net = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    example = example_inputs.detach().cpu()[:1].repeat(2, *[1] * (example_inputs.dim() - 1))
    output = _output(net, example)
    graph, why = _captured(net, example)
    with torch_threads(used):
        choices = {
            size: _choose(net, graph, example_inputs, size, used, backend, seconds, spins)
            for size in sizes
        }
    return Engine(
        choices,
        shape=tuple(example.shape[1:]),
        dtype=example.dtype,
        output=output,
        threads=used,
        fingerprint=fingerprint(net),
        graph=graph,
        why_whole=why,
    )


def _output(net: nn.Module, example: Tensor) -> tuple[int, ...]:
    with observed(net, _OPERATION, example):
        output = net(example)
    if not isinstance(output, Tensor) or output.dim() == 0 or len(output) != len(example):
        raise ModelError(
            _OPERATION,
            "the network's output",
            given=f"a {type(output).__name__}"
            + (f" of shape {tuple(output.shape)}" if isinstance(output, Tensor) else ""),
            expected="one tensor with the batch axis in front",
            remedy="Wrap the net in a module that returns it.",
        )
    return tuple(output.shape[1:])


def _captured(net: nn.Module, example: Tensor) -> tuple[Graph | None, str]:
    try:
        return folded(capture(net, example)), ""
    except NotCapturedError as error:
        return None, str(error)


def _choose(
    net: nn.Module,
    graph: Graph | None,
    example: Tensor,
    size: int,
    threads: int,
    backend: str | None,
    seconds: float,
    spins: bool,
) -> Choice:
    inputs = example.detach().cpu()[torch.arange(size) % len(example)].contiguous()
    if graph is None:
        if backend in (None, TORCH):
            return Choice(size, TORCH, net)
        known = [TORCH]
    else:
        chooser = Chooser(graph, threads=threads, seconds=seconds, spins=spins)
        if backend is None:
            return chooser.choose(inputs)
        known = chooser.backends(size, forced=True)
        if backend in known:
            return chooser.forced(backend, inputs)
    raise UsageError(
        _OPERATION,
        "the backend",
        given=repr(backend),
        expected=f"one that can run this network here: {', '.join(known)}",
        remedy="Choose one of these, or leave it out to have them measured.",
    )


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(
                _OPERATION,
                name,
                given=str(number),
                expected="1 or more",
                remedy="Pass positive integers.",
            )
