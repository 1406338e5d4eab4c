"""Points of a given sparsity and accuracy, for the frontier and the pick."""

from dataclasses import replace

from secateur.point import Epochs, Point, Score, Share, accuracy

CONTROLS = ("random-filter", "scratch", "dense")


def point(
    zeros: int, correct: int, method: str = "magnitude", step: int = 0, seed: int = 0
) -> Point:
    """A point of sparsity `zeros / 100` and validation accuracy `correct / 100`."""
    return Point(
        method=method,
        level=(zeros / 100,),
        step=step,
        seed=seed,
        digest=f"{method}-{step}-{seed}",
        scores=(accuracy("val", correct, 100), accuracy("test", 100 - correct, 100)),
        sparsity=Share(zeros, 100),
        conv_sparsity=Share(zeros, 100),
        model_sparsity=Share(zeros, 100),
        parameters=100,
        nonzero=100 - zeros,
        masked_macs=1000,
        nonzero_macs=1000,
        compact_parameters=100,
        macs=1000 - 10 * zeros,
        epochs=Epochs(12, 0, 4),
        seconds=1.0,
        checkpoint="weights.safetensors",
    )


def rmse(zeros: int, error: float, method: str = "magnitude", step: int = 0) -> Point:
    """A point whose score is an error: less is better."""
    scores = tuple(
        Score("rmse", split, error + more, higher=False, label="RMSE", unit="mJ")
        for split, more in (("val", 0.0), ("test", 1.0))
    )
    return replace(point(zeros, 0, method, step), scores=scores)


def names(found: object) -> list[tuple[str, int]]:
    return [(one.method, one.step) for one in found]  # type: ignore[attr-defined]
