"""Points of a made-up study, for the tests of this room."""

from dataclasses import replace

from secateur.point import Epochs, Latency, Point, Score, Share, accuracy

CONTROLS = ("dense", "random-filter", "scratch")
METHODS = ("combined", "l1-filter", "magnitude", "slimming", "random-filter", "scratch")
LEVELS = (0.5, 0.75, 0.9, 0.95, 0.98)


def point(method: str, step: int, seed: int, level: float, correct: int) -> Point:
    return Point(
        method=method,
        level=(level,) if level else (),
        step=step,
        seed=seed,
        digest=f"{method}-{step}-{seed}",
        scores=(
            accuracy("val", correct + 3 * seed, 2000),
            accuracy("test", 2 * correct + 5 * seed, 4000),
        ),
        sparsity=Share(round(level * 1000), 1000),
        conv_sparsity=Share(round(level * 900), 1000),
        model_sparsity=Share(round(level * 1000), 1010),
        parameters=1010,
        nonzero=1010 - round(level * 1000),
        masked_macs=5_000_000,
        nonzero_macs=round(5_000_000 * (1 - level)),
        compact_parameters=1010,
        macs=round(5_000_000 * (1 - level)),
        epochs=Epochs(12, 0, 4),
        seconds=1.0,
        checkpoint="weights.safetensors",
        latency=(Latency(5, 1e-3, 9e-4, 2e-3, "torch-eager", 1, 1),),
        environment={"torch": "2.13.0", "cpu": "a, b"},
    )


def study(seeds: int = 3, methods: tuple[str, ...] = METHODS) -> list[Point]:
    found = [point("dense", 0, seed, 0.0, 1820) for seed in range(seeds)]
    for i, method in enumerate(methods):
        for step, level in enumerate(LEVELS):
            correct = round(1820 - 400 * level**8 - 15 * i)
            found += [point(method, step, seed, level, correct) for seed in range(seeds)]
    return found


def errors(seeds: int = 1) -> list[Point]:
    """The same study as one of perplexities: less is better, and one level has exploded."""
    return [replace(one, scores=_perplexities(one)) for one in study(seeds, METHODS[:3])]


def _perplexities(one: Point) -> tuple[Score, ...]:
    value = 523_456.0 if (one.method, one.step) == ("magnitude", 4) else 2100 - (one.val.part or 0)
    return tuple(
        Score(word, split, sign * (value + more), higher, label, "bit")
        for split, more in (("val", 0.25), ("test", 1.25))
        for word, sign, higher, label in (
            ("perplexity", 1.0, False, "perplexity"),
            ("gain", -1.0, True, ""),
        )
    )  # fmt: skip
