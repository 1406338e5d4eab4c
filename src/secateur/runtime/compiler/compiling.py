"""Compiling: from a network to an engine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.export import ExportedProgram

from secateur.errors import UnknownNameError, UsageError
from secateur.foundation.run_example import (
    Inputs,
    batch_size,
    moved,
    same_chance,
)
from secateur.measure.latency import torch_threads
from secateur.measure.numbers import positive
from secateur.measure.observe import check_batch, check_built
from secateur.runtime.compiler.autotune import Chooser
from secateur.runtime.compiler.capture import read
from secateur.runtime.compiler.choice import BACKENDS, TORCH, Choice
from secateur.runtime.compiler.engine import Engine, fingerprint
from secateur.runtime.compiler.exporting import NotCapturedError, exported, free_axes
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.graph import Graph
from secateur.runtime.compiler.planner import Planner
from secateur.runtime.compiler.trial import Trial
from secateur.runtime.compiler.whole import serving_copy
from secateur.runtime.compiler.wholes import Wholes

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
    dynamic: Sequence[int] = (),
) -> Engine:
    """Pack a pruned network once, to run as fast as this machine can.

    Batch norms are folded, ReLUs fused, buffers planned. The whole network is then timed in several
    ways, interleaved, and the fastest one (by its third quartile) is kept, for each size of the
    batch: sparse kernels for every layer; sparse ones where they won when each layer was timed by
    itself and a dense engine for all the rest; the network as it is with its sparse layers
    exchanged; all of it in ONNX Runtime, if that is installed and can have it; all of it in torch,
    as it was given. None is taken that is more than 5 % slower than the best dense one, but for
    the noise of the measurement. `print` the engine to see what was chosen. What does not give the
    network's own output on the example is never handed out.

    Args:
        model: Any network. It is left as it was. What the kernels do not know of it runs in ONNX
            Runtime or torch, operator by operator or as a whole, and the report says why.
        example_inputs: A batch `[N, ...]`, or several inputs in a tuple or a dict.
        threads: Threads inside an operator; as many as torch uses if not given.
        backend: Take this one, whatever is faster: `sparse` (images one after the other),
            `sparse-serial` (on one thread), `sparse-lanes` (side by side), `mixed`,
            `sparse-layers` (in the network as it is), `onnxruntime`, `torch`, `torch-folded` (as a
            graph, its batch norms folded) or `torch-csr`.
        batches: Sizes of the batch to choose for; 1 and N if not given.
        seconds: How long to measure at each size: so long for the layers, and so long again for
            the whole network; a few rounds are run however long they take.
        spins: Where ONNX Runtime is the fastest: whether its threads go on turning for some 60 ms
            after a pass, so that the next one starts sooner. Set it to False if other work runs
            in between: it would share its cores with them.
        dynamic: Axes beside the first whose size may differ from call to call, as the length of
            sequences: `(1,)`. Where a network fixes it inside, other sizes run as it is.

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
    trial = Trial(serving_copy(model), example, _axes(dynamic))
    program, graph, why = (None, None, trial.why) if trial.why else _captured(trial)
    compiler = _Compiler(trial, program, graph, why, used, backend, _seconds(seconds), spins)
    with torch_threads(used), same_chance():
        choices = {size: compiler.choice(size) for size in sizes}
    trial.forget()
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


def _axes(dynamic: Sequence[int]) -> list[int]:
    return [positive(_OPERATION, dynamic=axis)[0] for axis in dynamic]


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


def _captured(trial: Trial) -> tuple[ExportedProgram | None, Graph | None, str]:
    """What torch writes down of a network, and what we read in it, as far as either can be had."""
    structure, net = trial.structure, serving_copy(trial.net)
    is_flat = not (structure.alone and structure.gives_one)
    net = structure.flat(net) if is_flat else net
    program = None
    try:
        program = exported(
            net,
            structure.tensors,
            structure.batched,
            is_flat=is_flat,
            dynamic=structure.dynamic,
        )
        structure.free = free_axes(program)
        return program, folded(read(program)), ""
    except NotCapturedError as error:
        return program, None, str(error)


class _Compiler:
    """Chooses for one size of the batch after the other."""

    def __init__(
        self,
        trial: Trial,
        program: ExportedProgram | None,
        graph: Graph | None,
        why: str,
        threads: int,
        backend: str | None,
        seconds: float,
        spins: bool,
    ) -> None:
        self._trial = trial
        self._why = why
        self._backend = backend
        planner = Planner(graph, threads=threads, seconds=seconds) if graph is not None else None
        wholes = Wholes(trial, program, threads)
        self._chooser = Chooser(
            trial, wholes, planner, threads=threads, seconds=seconds, spins=spins
        )

    def choice(self, size: int) -> Choice:
        """What runs a batch of this size.

        Raises:
            UsageError: The backend that was asked for cannot.
        """
        if self._trial.why or self._backend == TORCH:
            if self._backend not in (None, TORCH):
                raise self._refused([TORCH], f" ({self._why})")
            return Choice(size, TORCH, self._trial.as_it_is, why=self._trial.why)
        if self._backend is None:
            return self._chooser.choose(size)
        known = self._chooser.backends(size, forced=True)
        if self._backend not in known:
            raise self._refused(known, f" ({self._why})" if self._why else "")
        return self._chooser.forced(self._backend, size)

    def _refused(self, known: Sequence[str], why: str = "") -> UsageError:
        return UsageError(
            _OPERATION,
            "the backend",
            given=f"{self._backend!r}{why}",
            expected=f"one that can run this network here: {', '.join(known)}",
            remedy="Choose one of these, or leave it out to have them measured.",
        )
