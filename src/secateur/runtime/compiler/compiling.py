"""Compiling: from a network to an engine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from secateur.errors import UnknownNameError, UsageError
from secateur.foundation.run_example import (
    Inputs,
    arguments,
    batch_size,
    moved,
    same_chance,
    take_rows,
)
from secateur.measure.latency import torch_threads
from secateur.measure.numbers import positive
from secateur.measure.observe import check_batch, check_built
from secateur.runtime.compiler.autotune import BACKENDS, TORCH, Choice, Chooser
from secateur.runtime.compiler.capture import NotCapturedError, capture
from secateur.runtime.compiler.engine import Engine, fingerprint
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.graph import Graph
from secateur.runtime.compiler.trial import Trial
from secateur.runtime.compiler.whole import serving_copy

_OPERATION = "compiling"


def compile(  # noqa: A001
    model: nn.Module,
    example_inputs: Inputs,
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
    torch; and what does not give the network's own output on the example is never handed out.

    Args:
        model: Any network. It is left as it was. With several inputs or outputs, or one that is
            no batch of fp32 numbers, it runs in torch as it is, and the report says why.
        example_inputs: A batch `[N, ...]`, or several inputs in a tuple or a dict.
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
        raise UnknownNameError("backend", str(backend), BACKENDS)
    check_built(_OPERATION, model)
    check_batch(_OPERATION, example_inputs)
    (used,) = positive(_OPERATION, threads=torch.get_num_threads() if threads is None else threads)
    example = moved(example_inputs, "cpu")
    sizes = _sizes(batches, batch_size(example))
    net = serving_copy(model)
    trial = Trial(net, example)
    graph, why = (None, trial.why) if trial.why else _captured(net, example)
    compiler = _Compiler(trial, graph, why, used, backend, _seconds(seconds), spins)
    with torch_threads(used), same_chance():
        choices = {size: compiler.choice(size) for size in sizes}
    return Engine(
        choices,
        trial=trial,
        threads=used,
        fingerprint=fingerprint(model),
        graph=graph,
        why_whole=why,
    )


def _sizes(batches: Sequence[int] | None, given: int) -> list[int]:
    if batches is None:
        return sorted({1, given})
    found = [positive(_OPERATION, batches=size)[0] for size in batches]
    positive(_OPERATION, batches=len(found))
    return sorted(set(found))


def _seconds(seconds: float) -> float:
    try:
        number = float(seconds)
    except (TypeError, ValueError, RuntimeError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UsageError(
            _OPERATION,
            "seconds",
            given=f"{seconds!r:.80}",
            expected="0 or more",
            remedy="Pass how long to measure at each size of the batch.",
        )
    return number


def _captured(net: nn.Module, example: Inputs) -> tuple[Graph | None, str]:
    ((first,), _) = arguments(take_rows(example, [0, 0]))
    try:
        return folded(capture(net, first)), ""
    except NotCapturedError as error:
        return None, str(error)


class _Compiler:
    """Chooses for one size of the batch after the other, and checks what it chose."""

    def __init__(
        self,
        trial: Trial,
        graph: Graph | None,
        why: str,
        threads: int,
        backend: str | None,
        seconds: float,
        spins: bool,
    ) -> None:
        self._trial = trial
        self._graph = graph
        self._why = why
        self._threads = threads
        self._backend = backend
        self._seconds = seconds
        self._spins = spins

    def choice(self, size: int) -> Choice:
        """What runs a batch of this size.

        Raises:
            UsageError: The backend that was asked for cannot.
        """
        if self._graph is None:
            return self._whole(size, self._why)
        inputs = self._trial.rows(size)
        chooser = Chooser(
            self._graph, threads=self._threads, seconds=self._seconds, spins=self._spins
        )
        known = chooser.backends(size, forced=True)
        if self._backend is not None and self._backend not in known:
            raise self._refused(known)
        try:
            if self._backend is None:
                found = chooser.choose(inputs)
            else:
                found = chooser.forced(self._backend, inputs)
            problem = self._trial.difference(found.plan, inputs)
        except Exception as error:
            problem = f"{type(error).__name__} ({' '.join(str(error).split())[:200]})"
        return self._whole(size, f"the plan ended in {problem}") if problem else found

    def _whole(self, size: int, why: str) -> Choice:
        if self._backend not in (None, TORCH):
            raise self._refused([TORCH], f" ({why})")
        return Choice(size, TORCH, self._trial.whole, why=why)

    def _refused(self, known: Sequence[str], why: str = "") -> UsageError:
        return UsageError(
            _OPERATION,
            "the backend",
            given=f"{self._backend!r}{why}",
            expected=f"one that can run this network here: {', '.join(known)}",
            remedy="Choose one of these, or leave it out to have them measured.",
        )
