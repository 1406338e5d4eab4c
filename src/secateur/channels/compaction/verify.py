"""Verification: the compact network runs beside the masked one before anyone gets it.

Copies run, so both are as they were afterwards. They compute in float64, or, where the network
cannot, in its own type; on the example itself and on inputs like it, of another batch size and
another resolution where it takes them; in evaluation mode, and in training mode where that takes
another way through the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateur.channels.compaction.first_difference import Place, first_difference
from secateur.channels.compaction.random_inputs import Draw, draws
from secateur.channels.float64 import (
    FLOAT32,
    UNCHANGED,
    WIDER,
    InFloat64,
    Wider,
    double,
    jittered,
)
from secateur.channels.modes import mode
from secateur.channels.output_comparison import TOLERANCE, outputs_of, same
from secateur.channels.rebuild import throwaway
from secateur.channels.sandbox import sandbox
from secateur.channels.tracing.cut import Cut
from secateur.errors import ChannelError
from secateur.foundation.own_error import words_of
from secateur.foundation.run_example import arguments, each_tensor

ROUNDING = {torch.float64: 2.0**-53, torch.float32: 2.0**-24}


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to run both networks.

    Attributes:
        inputs: What they are given, in the example's own type.
        wider: The type that each type becomes.
        training: Training mode (with its dice held still), or evaluation mode.
    """

    inputs: Any
    wider: Wider
    training: bool = False

    def run(
        self, model: nn.Module, watch: TorchFunctionMode | None = None, *, jitter: bool = False
    ) -> list[Tensor]:
        """The outputs of a copy of a network."""
        runner = throwaway(model)
        inputs = double(self.inputs, self.wider)
        share = self._rounding(model) if jitter else 0.0
        if jitter:
            inputs = each_tensor(inputs, lambda one: _moved(one, share))
        args, kwargs = arguments(inputs)
        still, watching = mode(runner, training=self.training), watch or nullcontext()
        with (
            sandbox(runner) as keep,
            still,
            InFloat64(runner, wider=self.wider, jitter=share, keep=keep),
            watching,
        ):
            return outputs_of(runner(*args, **kwargs))

    def agrees(self, masked: nn.Module, small: nn.Module, expected: Sequence[Tensor]) -> bool:
        """Whether the compact network gives what is expected of it.

        Raises:
            Exception: Whatever the compact network raises.
        """
        given = self.run(small)
        return same(given, expected, lambda: self.run(masked, jitter=True), self._tolerance())

    def _rounding(self, model: nn.Module) -> float:
        if self.wider is WIDER:
            return ROUNDING[torch.float64]
        kinds = [one.dtype for one in model.parameters() if one.is_floating_point()]
        if self.wider is FLOAT32:
            kinds = [torch.float32 if kind in FLOAT32 else kind for kind in kinds]
        return max((torch.finfo(kind).eps / 2 for kind in kinds), default=2.0**-24)

    def _tolerance(self) -> float:
        return TOLERANCE if self.wider is WIDER else 0.0


def _moved(tensor: Tensor, share: float) -> Tensor:
    return jittered(tensor, share) if tensor.is_floating_point() or tensor.is_complex() else tensor


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a compact network turned out to be another function.

    Attributes:
        trial: The run that showed it.
        given: What the compact network did.
        place: The first operator that differs.
    """

    trial: Trial
    given: str
    place: Place

    def error(self) -> ChannelError:
        """The difference as an error."""
        return ChannelError(
            "compaction",
            self.place.layer,
            given=f"{self.given}{self.place.line and f', from {self.place.line}'}",
            expected="the same function as the masked network",
            remedy="Nothing was handed over. Leave the channels of this layer whole, or write the "
            "operator so that its numbers follow the width of its input.",
        )


def check_equal(masked: nn.Module, small: nn.Module, example: Any, cut: Cut) -> None:
    """Run two networks side by side; neither is touched.

    Args:
        masked: The masked network.
        small: The compact one.
        example: Inputs that they take.
        cut: What was cut, to name the first operator that differs.

    Raises:
        ChannelError: They differ, or the compact one fails; it names the first operator that does.
    """
    difference = compare(masked, small, example, cut)
    if difference is not None:
        raise difference.error()


def compare(masked: nn.Module, small: nn.Module, example: Any, cut: Cut) -> Difference | None:
    """As `check_equal`, but hand the difference back.

    Raises:
        ChannelError: The masked network fails on the example, or gives no number to compare.
    """
    compared: list[bool] = []
    for trial, expected in _trials(masked, example, cut):
        difference = _compare(trial, masked, small, expected, cut)
        if difference is not None:
            return difference
        if not trial.training:
            finite = _finite(expected)
            compared = [a or b for a, b in zip(compared or finite, finite, strict=False)]
    _check_compared(compared)
    return None


def _compare(
    trial: Trial, masked: nn.Module, small: nn.Module, expected: Sequence[Tensor], cut: Cut
) -> Difference | None:
    given = "another function once cut"
    try:
        # The expected may come from the tape, whose rules may have drawn numbers of their own.
        if trial.agrees(masked, small, expected) or trial.agrees(masked, small, trial.run(masked)):
            if any(one.is_floating_point() or one.is_complex() for one in expected):
                return None
            place = _place(trial, masked, small, cut)
            return None if place is None else Difference(trial, given, place)
    except Exception as failure:
        given = f"failing once cut ({words_of(failure)})"
    return Difference(trial, given, _place(trial, masked, small, cut) or Place())


def _place(trial: Trial, masked: nn.Module, small: nn.Module, cut: Cut) -> Place | None:
    """The first operator that differs."""
    passes, steps = cut.tape.passes, cut.tape.steps
    second = passes[1].start if len(passes) > 1 else len(steps)
    steps = steps[second:] if trial.training else steps[:second]
    return first_difference(trial.run, masked, small, steps, cut)


def _finite(outputs: Sequence[Tensor]) -> list[bool]:
    """Which outputs hold a number that can be compared."""
    return [one.numel() == 0 or bool(one.isfinite().any()) for one in outputs]


def check_numbers(outputs: Sequence[Tensor]) -> None:
    """Every output must hold a number that can be compared.

    Raises:
        ChannelError: One does not.
    """
    _check_compared(_finite(outputs))


def _check_compared(compared: Sequence[bool]) -> None:
    if compared and all(compared):
        return
    bad = [str(number) for number, one in enumerate(compared) if not one]
    raise ChannelError(
        "comparing the cut network with the masked one",
        f"output {', '.join(bad)}" if bad else "the network's output",
        given="NaN or infinite throughout, on the example and on inputs like it"
        if bad
        else "without a number that could be compared",
        expected="numbers, which a comparison can tell apart",
        remedy="Pass an example on which the network gives finite numbers.",
    )


def _trials(masked: nn.Module, example: Any, cut: Cut) -> Iterator[tuple[Trial, list[Tensor]]]:
    """The runs to compare, each with what the masked network gives."""
    # What a scripted part took on the tape, where its operators are watched, it may not take alone.
    scripted = any(isinstance(module, torch.jit.ScriptModule) for module in masked.modules())
    seen = cut.tape.outputs if cut.tape.wider is WIDER and not scripted else []
    first, outputs = (Trial(example, WIDER), seen[0]) if seen else first_trial(masked, example)
    yield first, outputs
    for number, one in enumerate(cut.tape.passes):
        if one.training:
            trial = Trial(example, first.wider, training=True)
            found = seen[number] if seen else attempt(trial, masked)
            if found is not None:
                yield trial, found
    yield from drawn(first, outputs, masked)


def first_trial(masked: nn.Module, example: Any) -> tuple[Trial, list[Tensor]]:
    """The example, in the widest type in which the network runs."""
    failures: list[Exception] = []
    for wider in (WIDER, FLOAT32, UNCHANGED):
        trial = Trial(example, wider)
        try:
            return trial, trial.run(masked)
        except Exception as error:
            failures.append(error)
    raise ChannelError(
        "comparing the cut network with the masked one",
        type(masked).__name__,
        given=f"failing on the example inputs ({words_of(failures[0])})",
        expected="a network that runs on them",
        remedy="Pass inputs of the shape and type that the network takes.",
    ) from failures[0]


def attempt(trial: Trial, masked: nn.Module) -> list[Tensor] | None:
    """What the masked network gives, if it takes the inputs."""
    try:
        return trial.run(masked)
    except Exception:
        return None


def drawn(
    first: Trial, outputs: Sequence[Tensor], masked: nn.Module
) -> Iterator[tuple[Trial, list[Tensor]]]:
    """Runs on inputs like the example that the network takes, each with what it gives.

    Args:
        first: The run on the example.
        outputs: What it gave.
        masked: The network.
    """
    sound = sum(_finite(outputs))
    for calm in (False, True):
        taken: set[tuple[bool, bool]] = set()
        for draw in draws(first.inputs, calm=calm):
            if draw.is_shown(taken):
                continue
            trial = Trial(draw.inputs, first.wider)
            found = attempt(trial, masked)
            fits = found is not None and sum(_finite(found)) >= sound
            if found is None or not fits or not _is_variation(draw, outputs, found):
                continue
            taken.add(draw.changes)
            yield trial, found
        if taken:
            return


def _is_variation(draw: Draw, before: Sequence[Tensor], after: Sequence[Tensor]) -> bool:
    """An image of another size that comes out as other rows was not taken as an image."""
    if len(before) != len(after):
        return False
    if not draw.resized:
        return True
    count, rows = draw.batch
    return all(
        one.dim() == two.dim() and (one.dim() == 0 or two.shape[0] * rows == one.shape[0] * count)
        for one, two in zip(before, after, strict=True)
    )
