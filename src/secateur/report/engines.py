"""Engines: what ran the nets of a level when they were timed, in words for a reader."""

from __future__ import annotations

from secateur.study.aggregate import Replicate

_OURS = "secateur-"
_WORDS = {
    "torch-eager": "PyTorch",
    "torch": "PyTorch",
    "torch-folded": "PyTorch, norms folded in",
    "torch-csr": "PyTorch, weights in CSR",
    "onnxruntime": "ONNX Runtime",
    "onnxruntime-int8": "ONNX Runtime, INT8",
}


def engine_words(engine: str) -> str:
    """An engine as a reader knows it; whatever runs on our kernels is the sparse engine.

    Args:
        engine: As a `Latency` names it.

    Example:
        >>> engine_words("torch-eager"), engine_words("secateur-onnxruntime")
        ('PyTorch', 'ONNX Runtime')
        >>> engine_words("secateur-sparse-lanes"), engine_words("tvm")
        ("secateur's sparse engine", 'tvm')
    """
    name = engine.removeprefix(_OURS)
    if name in _WORDS:
        return _WORDS[name]
    return "secateur's sparse engine" if engine.startswith(_OURS) else engine


def engines_at(level: Replicate, batch: int) -> str:
    """The engine that is fastest at a batch size, in words; of seeds that differ, each of theirs.

    Args:
        level: Of a study.
        batch: Examples of a pass.

    Returns:
        Empty where a seed was not timed at that size.
    """
    timed = [point.latency_at(batch) for point in level.points]
    if None in timed:
        return ""
    return " or ".join(sorted({engine_words(one.engine) for one in timed if one is not None}))
