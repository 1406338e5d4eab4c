"""How long a network takes, and how to compare two: medians with their quartiles, in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter, perf_counter_ns, sleep

import numpy as np
import torch
from torch import nn

from secateur.errors import UsageError
from secateur.foundation.run_example import Inputs, arguments, batch_size, take_rows
from secateur.foundation.threads import cores, most_threads
from secateur.measure.numbers import positive
from secateur.measure.observe import check_batch, check_built, observed
from secateur.point import Latency, Timing


def latency(
    model: nn.Module,
    example: Inputs,
    *,
    batch: int = 1,
    threads: int | None = None,
    repeats: int = 50,
    warmup: int = 5,
) -> Latency:
    """Time the forward pass of a network in eager PyTorch.

    At a batch of 1 this measures Python and the dispatcher as much as the network. Two calls are
    two runs: their ratio is no speed-up (see `compare`). The model is left as it was.

    Args:
        model: Any network; a compiled one is timed as it is.
        example: Inputs `[N, ...]` on the model's device, or several in a tuple or a dict; their
            rows are repeated or cut to fill the batch.
        batch: Examples per run.
        threads: Threads for this measurement; as many as torch uses now if not given.
        repeats: Timed runs.
        warmup: Runs before them that are not timed.

    Raises:
        ModelError: The example is empty, or the model fails on it.
        UsageError: A number is less than 1.

    Example:
        >>> measured = latency(nn.Linear(4, 2), torch.zeros(1, 4), batch=8, repeats=3)
        >>> measured.engine, measured.n, measured.batch, measured.median > 0
        ('torch-eager', 3, 8, True)
    """
    batch, repeats = positive("measuring latency", batch=batch, repeats=repeats)
    check_built("measuring latency", model)
    check_batch("measuring latency", example)
    size = batch_size(example)
    inputs = take_rows(example, [row % size for row in range(batch)])
    args, kwargs = arguments(inputs)
    with (
        torch_threads(threads) as used,
        observed(model, "measuring latency", inputs),
        torch.inference_mode(),
    ):
        timing = compare({"model": lambda: model(*args, **kwargs)}, repeats=repeats, warmup=warmup)[
            "model"
        ]
    return Latency(
        timing.n,
        timing.median,
        timing.q1,
        timing.q3,
        engine="torch-eager",
        threads=used,
        batch=batch,
    )


def compare(
    runs: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 50,
    warmup: int = 5,
    rest: float = 0.0,
) -> dict[str, Timing]:
    """Time several callables interleaved, each once a round, so that their ratios are fair.

    What slows the machine for a while slows all of them. Every other round goes backwards, so
    that none always runs after the same other one. Work queued on a GPU is waited for.

    Args:
        runs: Name -> what to run.
        repeats: Rounds that are timed.
        warmup: Rounds before them that are not.
        rest: Where engines of several makers are compared: seconds to wait before each, that then
            runs once untimed. The threads of an engine may go on turning after a pass, on the
            cores that the next one needs.

    Returns:
        Name -> timing, in the order given.

    Raises:
        UsageError: `repeats` is less than 1.

    Example:
        >>> timings = compare({"short": lambda: sum(range(9)), "long": lambda: sum(range(99))})
        >>> list(timings), timings["long"].n
        (['short', 'long'], 50)
    """
    (repeats,) = positive("comparing", repeats=repeats)
    for _ in range(warmup):
        for call in runs.values():
            call()
    nanoseconds: dict[str, list[int]] = {name: [] for name in runs}
    for round_number in range(repeats):
        for name in list(runs)[:: -1 if round_number % 2 else 1]:
            if rest:
                sleep(rest)
                runs[name]()
            nanoseconds[name].append(_time(runs[name]))
    return {name: _summary(values) for name, values in nanoseconds.items()}


def compare_within(
    runs: Mapping[str, Callable[[], object]],
    seconds: float,
    *,
    rounds: tuple[int, int],
    rest: float,
) -> dict[str, Timing]:
    """Time several callables interleaved, in as many rounds as fit into a time.

    Args:
        runs: Name -> what to run; each is run twice before anything is timed.
        seconds: How long the rounds may take together.
        rounds: The fewest and the most rounds, whatever the time.
        rest: As for `compare`.

    Returns:
        Name -> timing, in the order given.

    Example:
        >>> compare_within({"sum": lambda: sum(range(9))}, 0.0, rounds=(2, 5), rest=0.0)["sum"].n
        2
    """
    compare(runs, repeats=1, warmup=1)
    begun = perf_counter()
    compare(runs, repeats=1, warmup=0, rest=rest)
    fitting = int(seconds / max(perf_counter() - begun, 1e-9))
    fewest, most = rounds
    return compare(runs, repeats=min(max(fitting, fewest), most), warmup=0, rest=rest)


def _time(call: Callable[[], object]) -> int:
    _wait_for_device()
    start = perf_counter_ns()
    call()
    _wait_for_device()
    return perf_counter_ns() - start


def _wait_for_device() -> None:
    """Wait for what is queued; without starting CUDA in a process that has not used it."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


def _summary(nanoseconds: list[int]) -> Timing:
    q1, median, q3 = np.quantile(np.asarray(nanoseconds), (0.25, 0.5, 0.75)) / 1e9
    return Timing(len(nanoseconds), float(median), float(q1), float(q3))


@contextmanager
def torch_threads(wanted: int | None) -> Iterator[int]:
    """Let torch use so many threads for a while; as many as it does now if None.

    Raises:
        UsageError: They are less than one, or many more than there are cores.
    """
    before = torch.get_num_threads()
    (used,) = positive("measuring latency", threads=before if wanted is None else wanted)
    most = max(before, most_threads())
    if used > most:
        raise UsageError(
            "measuring latency",
            "threads",
            given=str(used),
            expected=f"from 1 to {most:,} on {cores():,} cores",
            remedy="More threads than cores make nothing faster.",
        )
    torch.set_num_threads(used)
    try:
        yield used
    finally:
        torch.set_num_threads(before)
