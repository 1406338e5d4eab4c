"""Autotune: every way to run a network, measured on the real shapes, and the fastest taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from secateur.runtime.compiler.choice import (
    LANES,
    LAYERS,
    MIXED,
    ONNX,
    SERIAL,
    SPARSE,
    TORCH,
    Choice,
    Times,
    fastest,
    timed,
)
from secateur.runtime.compiler.exporting import said
from secateur.runtime.compiler.graph import Node
from secateur.runtime.compiler.plan import Plan, Side
from secateur.runtime.compiler.planner import REST, Planner, call_of
from secateur.runtime.compiler.steady import Steady
from secateur.runtime.compiler.structure import Structure
from secateur.runtime.compiler.trial import Trial
from secateur.runtime.compiler.wholes import Run, Wholes

_SLEEP = 0.01
"""Seconds after which the threads of OpenMP sleep: to wake them is part of a pass now and then."""


_SHARED = (SPARSE, LANES, MIXED)
"""Plans of several threads, that may be held up."""


class Chooser:
    """Measures every engine that gives a network's own output, and takes the fastest.

    Args:
        trial: The network.
        wholes: The network in one piece.
        planner: Its plans; None if it is no graph.
        threads: Threads inside an operator.
        seconds: How long to measure the whole network at one batch size.
        spins: Whether ONNX Runtime's threads go on turning after a pass of the plan it runs.
    """

    def __init__(
        self,
        trial: Trial,
        wholes: Wholes,
        planner: Planner | None,
        *,
        threads: int,
        seconds: float,
        spins: bool = True,
    ) -> None:
        self._trial = trial
        self._wholes = wholes
        self._planner = planner
        self._rest = _SLEEP if threads > 1 else REST
        self._seconds = seconds
        self._spins = spins

    def backends(self, batch: int, *, forced: bool = False) -> list[str]:
        """The engines for a batch size, on this machine.

        Args:
            batch: The size.
            forced: Also those that are never the best.
        """
        planned = self._planner.backends(batch, forced=forced) if self._planner else []
        return [*planned, *self._wholes.backends(without=planned)]

    def choose(self, batch: int) -> Choice:
        """Measure at one batch size and take the fastest.

        Args:
            batch: The size to choose for.
        """
        inputs = self._trial.rows(batch)
        times: Times = self._planner.layer_times(batch) if self._planner else {}
        sides = self._planner.sides(times, batch) if self._planner else {}
        runs: dict[str, Run] = {}
        left_out: dict[str, str] = {}
        for name in self.backends(batch):
            if name == MIXED and not (self._planner and self._planner.is_mixture(sides)):
                continue
            run, problem = self._tried(name, batch, sides, inputs)
            if run is not None:
                runs[name] = run
            if problem:
                left_out[name] = problem
        calls = {name: call_of(run, inputs) for name, run in runs.items()}
        timings = timed(calls, self._seconds, self._rest)
        best = fastest(timings, self._waiting(batch))
        if best == ONNX and self._spins:
            spinning, _ = self._tried(best, batch, sides, inputs, spins=True)
            runs[best] = spinning or runs[best]
        made = runs[best]
        if best in _SHARED and SERIAL in runs:
            count = max(inputs[0].numel(), 1)
            made = Steady(made, runs[SERIAL], limit=timings[SERIAL].median, count=count)
        layers = self._planner.described(best, times, sides) if self._planner else ()
        left_out |= self._wholes.left_out
        return Choice(batch, best, made, timings, layers, left_out=left_out)

    def forced(self, backend: str, batch: int) -> Choice:
        """One engine, whatever else might be faster; the network as it is if that one is wrong.

        Args:
            backend: One of `backends`.
            batch: The size to choose for; `mixed` times the layers at it.
        """
        inputs, planner = self._trial.rows(batch), self._planner
        times: Times = planner.layer_times(batch) if planner and backend == MIXED else {}
        sides = planner.sides(times, batch) if planner else {}
        spins = self._spins and backend == ONNX
        run, problem = self._tried(backend, batch, sides, inputs, spins=spins)
        if run is None:
            return Choice(batch, TORCH, self._trial.as_it_is, why=f"the plan ended in {problem}")
        layers = planner.described(backend, times, sides) if planner else ()
        return Choice(batch, backend, run, {}, layers)

    def _tried(
        self,
        name: str,
        batch: int,
        sides: Mapping[Node, Side],
        inputs: Sequence[Tensor],
        *,
        spins: bool = False,
    ) -> tuple[Run | None, str]:
        """An engine that gives the network's own output; what is wrong with it if it does not."""
        if name == TORCH:
            return self._trial.as_it_is, ""
        problem = ""
        for build in self._builders(name, batch, sides, spins=spins):
            try:
                run = build()
                problem = self._trial.difference(run, inputs)
            except Exception as error:  # whatever an engine raises, another one takes its place
                problem = said(error)
            if not problem:
                return run, ""
        return None, problem

    def _builders(
        self, name: str, batch: int, sides: Mapping[Node, Side], *, spins: bool
    ) -> Iterator[Callable[[], Run]]:
        """What makes an engine: of the graph, and, if that is wrong, of the network."""
        planner = self._planner
        if planner is not None and name in planner.backends(batch, forced=True):
            mixed = sides if name == MIXED else None
            yield lambda: self._shaped(planner.build(name, batch, mixed, spins=spins))
        if name in (ONNX, LAYERS) and name in self._wholes.backends(without=()):
            yield lambda: self._wholes.build(name, spins=spins)

    def _shaped(self, plan: Plan) -> Run:
        structure = self._trial.structure
        return plan if structure.gives_one else Shaped(plan, structure)

    def _waiting(self, batch: int) -> tuple[str, ...]:
        shares = self._planner is not None and self._planner.shares_each(batch)
        return (SPARSE, MIXED) if shares else ()


class Shaped:
    """A plan whose outputs are put into the network's own form.

    Args:
        plan: What gives the tensors.
        structure: That form.
    """

    def __init__(self, plan: Plan, structure: Structure) -> None:
        self._plan = plan
        self._structure = structure

    def __call__(self, *tensors: Tensor) -> Any:
        """From the network's tensors to its output."""
        made = self._plan(*tensors)
        return self._structure.shaped(made if isinstance(made, list) else [made])

    def release(self) -> None:
        """Give back the memory that is kept for the next call."""
        self._plan.release()
