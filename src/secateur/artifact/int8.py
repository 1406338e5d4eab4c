"""INT8: a network as an ONNX file of eight-bit weights and activations, its zeros kept zero.

What ONNX Runtime's own static quantiser makes of a float32 file: weights symmetric and by channel,
so that zero is 0 and a pruned weight stays one; activations by the range that they have on
calibration data. Weights take seven of the eight bits: a CPU without VNNI adds two products in
sixteen bits, in which those of eight bits overflow, and the file would give other numbers there.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from secateur.artifact.calling import Call, call_of
from secateur.artifact.export import export_onnx, session
from secateur.artifact.packages import imported
from secateur.artifact.path import check_file, check_suffix, checked_path
from secateur.errors import ArtifactError, ModelError, SecateurError
from secateur.foundation.atomic_write import replacing
from secateur.foundation.run_example import Inputs, described, moved, tensors_in

EXAMPLES = 512
"""So many training examples show the range of every activation."""

OPERATION = "quantising to INT8"
_STORED, _ZERO = "_quantized", "_zero_point"
_REMEDY = "No file was written. Export the network without --int8 (in Python: export_onnx)."

Feed = Mapping[str, np.ndarray[Any, Any]]


def export_int8(
    model: nn.Module,
    example: Inputs,
    path: str | os.PathLike[str],
    calibration: Iterable[Inputs],
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network as an ONNX file with eight-bit weights and activations.

    It is exported and checked in float32 first (see `export_onnx`). Its quality is another one than
    the network's: measure it on validation data. Source: Jacob et al. (2018), "Quantization and
    Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference".

    Args:
        model: A network in float32. It is left as it was.
        example: A batch of inputs `[N, ...]`, or several in a tuple or a dict.
        path: Where, `.onnx` by custom. Of the file there is all or nothing.
        calibration: Batches of inputs like the example, of training data: some hundred examples.
        metadata: Words to keep in the file.

    Raises:
        ModelError: It is not in float32, fails on the example, or cannot be exported.
        ArtifactError: There is no calibration batch, nothing in it can be quantised, the file
            cannot be written, or one of onnx, onnxscript and onnxruntime is not installed.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> path = Path(tempfile.mkdtemp(), "net.onnx")
        >>> export_int8(net, torch.zeros(1, 4), path, [torch.randn(64, 4)])
        >>> session(path).run(None, {"input": np.zeros((3, 4), np.float32)})[0].shape
        (3, 2)
    """
    place = checked_path(path, OPERATION)
    check_suffix(place, "onnx", OPERATION)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "float32.onnx")
        export_onnx(model, example, whole)
        quantise(
            whole, place, feeds(call_of(model, example, OPERATION), calibration), metadata=metadata
        )


def feeds(call: Call, batches: Iterable[Inputs]) -> Iterator[Feed]:
    """Batches of a network's inputs as its ONNX file takes them: arrays by name.

    Args:
        call: How the network is called, of `call_of`.
        batches: Inputs like its example.

    Raises:
        ModelError: A batch has other tensors than the example, or the network is not in float32.
    """
    held = {**dict(call.net.named_parameters()), **dict(zip(call.names, call.inputs, strict=True))}
    for name, tensor in held.items():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ModelError(
                OPERATION,
                name,
                given=f"of {tensor.dtype}",
                expected="float32, which the quantiser reads",
                remedy="Export a copy: copy.deepcopy(model).float(), with an example like it.",
            )
    for batch in batches:
        yield _feed(call.names, batch)


def _feed(names: tuple[str, ...], batch: Inputs) -> Feed:
    tensors: list[Tensor] = tensors_in(moved(batch, "cpu"))
    if len(tensors) != len(names):
        raise ModelError(
            OPERATION,
            "a calibration batch",
            given=f"{len(tensors)} tensors ({described(batch)})",
            expected=f"{len(names)}, as in the example ({', '.join(names)})",
            remedy="Give batches of the inputs alone, without their target.",
        )
    return {name: one.contiguous().numpy() for name, one in zip(names, tensors, strict=True)}


def quantise(
    source: Path, path: Path, calibration: Iterable[Feed], *, metadata: Mapping[str, str] | None
) -> None:
    """Write the INT8 form of a float32 ONNX file.

    Args:
        source: The float32 file.
        path: Where the other goes.
        calibration: What the file is run on, as `feeds` gives it.
        metadata: Words to keep in it.

    Raises:
        ArtifactError: As of `export_int8`.
    """
    onnx, quantization = imported("onnx"), imported("onnxruntime.quantization")
    check_file(source)
    known = {one.name for one in session(source).get_inputs()}
    given = _Batches({name: feed[name] for name in feed.keys() & known} for feed in calibration)
    with tempfile.TemporaryDirectory() as folder, replacing(path) as partial:
        plain = Path(folder, "plain.onnx")
        with _explained(), _quiet():
            quantization.quant_pre_process(str(source), str(plain), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(plain),
                str(partial),
                given,
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                extra_options={"WeightSymmetric": True},
            )
        made = onnx.load(partial)
        _check_zeros(made, onnx.load(plain))
        onnx.helper.set_model_props(made, {str(k): str(v) for k, v in (metadata or {}).items()})
        onnx.save(made, partial)
        session(partial)


class _Batches:
    """Calibration batches, as the quantiser asks for them: one at a time, None at the end.

    Raises:
        ArtifactError: There is none.
    """

    def __init__(self, found: Iterable[Feed]) -> None:
        left = iter(found)
        first = next(left, None)
        if first is None:
            raise ArtifactError(
                OPERATION,
                "the calibration data",
                given="no batch",
                expected="batches of training inputs, some hundred examples",
                remedy="No file was written. Pass an iterable that can be gone through once more.",
            )
        self._left = chain([first], left)

    def get_next(self) -> Feed | None:
        return next(self._left, None)


def _check_zeros(made: Any, plain: Any) -> None:
    """Refuse a file in which nothing is quantised, or in which a zero has become another number."""
    numpy_of = imported("onnx").numpy_helper.to_array
    before = {one.name: one for one in plain.graph.initializer}
    after = {one.name: one for one in made.graph.initializer}
    stored = [one for one in after.values() if one.name.endswith(_STORED)]
    for one in stored:
        source = before.get(one.name.removesuffix(_STORED))
        if source is None:
            continue
        # A table that is looked up in is stored like an activation: there zero is another number.
        zero = after.get(f"{source.name}{_ZERO}")
        values = numpy_of(one)[numpy_of(source) == 0]
        expected = {0} if zero is None else set(numpy_of(zero).reshape(-1).tolist())
        if len(expected) > 1 or np.any(values != next(iter(expected))):
            raise ArtifactError(
                OPERATION,
                source.name,
                given="not zero any more where it was",
                expected="zeros that stay zero",
                remedy=_REMEDY,
            )
    if not stored:
        operators = sorted({node.op_type for node in plain.graph.node})
        raise ArtifactError(
            OPERATION,
            "the network",
            given=f"of {', '.join(operators)[:300]}",
            expected="a convolution, a linear layer or a product with a weight",
            remedy=_REMEDY,
        )


@contextmanager
def _explained() -> Iterator[None]:
    """Turn whatever the quantiser raises into one message."""
    try:
        yield
    except (SecateurError, OSError):
        raise
    except Exception as error:
        raise ArtifactError(
            OPERATION,
            "the network",
            given=f"refused by ONNX Runtime's quantiser ({' '.join(str(error).split())[:300]})",
            expected="operators that it knows",
            remedy=_REMEDY,
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's notes to its own developers, which go to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
