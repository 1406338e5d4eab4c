"""Export: a network as an ONNX file or a torch program, checked before it has its name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from secateur.artifact.calling import Call, call_of, drawn
from secateur.artifact.packages import imported
from secateur.artifact.path import check_suffix, checked_path
from secateur.errors import ArtifactError, ModelError
from secateur.foundation.atomic_write import replacing
from secateur.foundation.onnx_session import open_session
from secateur.foundation.own_error import first_line_of, kind_of, text_of
from secateur.foundation.quiet_exporter import quiet_exporter
from secateur.foundation.run_example import Inputs, described, tensors_in

TOLERANCE = 1e-5
_ONNX = "exporting to ONNX"
_REPLACE = "Replace it by others in the net's forward; no file was written."
_NOISE = 4
"""Rounding in another order moves a float16 output by some times what it is off by itself."""

_STEP = 2.0**-10
"""Of float16: two numbers that follow each other are so far apart, as a share of them."""
_BATCHES = (1, 7)
_REPORT, _MOST_CAUSES = 1 << 20, 20
"""What is read of an exporter's report, which may be long, and of what it was caused by."""
_UNSUPPORTED = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'")


def export_onnx(
    model: nn.Module,
    example: Inputs,
    path: str | os.PathLike[str],
    *,
    tolerance: float = TOLERANCE,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network as an ONNX file with a dynamic batch axis and its batch norms folded.

    Before the file takes its name it is checked by `onnx.checker`, and run in ONNX Runtime
    beside the network, on random inputs of a batch of 1 and of 7.

    Args:
        model: A network in float32 or float16. It is left as it was. The file's inputs have the
            names of its arguments (`input`, if it takes one tensor), its outputs those of the
            keys of its output (`output`, if it gives one tensor).
        example: A batch of inputs `[N, ...]`, or several in a tuple or a dict.
        path: Where, `.onnx` by custom. Of the file there is all or nothing.
        tolerance: The largest difference allowed, as a share of the largest output (of 1, if
            that is less). Of a float16 network, what its own rounding moves is allowed as well.
        metadata: Words to keep in the file.

    Raises:
        ModelError: The network fails on the example, or holds an operator without a counterpart
            in ONNX; the message names it.
        ArtifactError: The file differs from the network, or cannot be written, or one of onnx,
            onnxscript and onnxruntime is not installed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "net.onnx")
        >>> export_onnx(nn.Linear(4, 2), torch.zeros(1, 4), path)
        >>> path.exists()
        True
    """
    place = checked_path(path, _ONNX)
    check_suffix(place, "onnx", _ONNX)
    onnx = imported("onnx")
    imported("onnxscript")
    call = call_of(model, example, _ONNX)
    _check_types(call)
    proto = _to_proto(call)
    for node in proto.graph.node:
        # The exporter writes the exporting machine's paths and stack traces here.
        del node.metadata_props[:]
    words = {str(name): str(value) for name, value in (metadata or {}).items()}
    onnx.helper.set_model_props(proto, words)
    with replacing(place) as partial:
        with _explained("ONNX", _remedy(call), call.net):
            onnx.save(proto, partial)
            onnx.checker.check_model(partial, full_check=True)
        _check_equal(call, example, partial, tolerance)


def export_pt2(model: nn.Module, example: Inputs, path: str | os.PathLike[str]) -> None:
    """Write a network as a `torch.export` program with a dynamic batch axis.

    Args:
        model: Any network. It is left as it was. If it takes several tensors, in whatever
            structure, the program takes them one after the other; if its output is no single
            tensor, the program gives a tuple of the tensors in it.
        example: A batch of inputs `[N, ...]`, or several in a tuple or a dict.
        path: Where, `.pt2` by custom. Of the file there is all or nothing.

    Raises:
        ModelError: The network fails on the example, or cannot be captured as a graph.
        ArtifactError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "net.pt2")
        >>> export_pt2(nn.Linear(4, 2), torch.zeros(1, 4), path)
        >>> torch.export.load(path).module()(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """
    place = checked_path(path, "exporting to pt2")
    check_suffix(place, "pt2", "exporting to pt2")
    call = call_of(model, example, "exporting to pt2")
    with quiet_exporter(), _explained("pt2", _REPLACE, call.net):
        shapes = call.shapes(torch.export.Dim.AUTO)
        program = torch.export.export(call.net, call.inputs, dynamic_shapes=shapes)
    # An example would be written as a pickle.
    program.example_inputs = None
    with (
        replacing(place) as partial,
        partial.open("wb") as file,
        quiet_exporter(),
        _explained("pt2", _REPLACE, call.net),
    ):
        torch.export.save(program, file)


def session(
    path: str | os.PathLike[str], threads: int = 1, *, arena: bool = True, spins: bool = True
) -> Any:
    """An ONNX Runtime session on the CPU.

    Args:
        path: An ONNX file.
        threads: Threads inside one operator; operators run one after another.
        arena: Let the engine keep memory from one pass to the next.
        spins: Let its threads go on turning for some 60 ms after a pass, as they do unless told
            otherwise: on cores that another engine, measured in turn, needs.

    Raises:
        ArtifactError: ONNX Runtime is missing, or does not take the file.
    """
    imported("onnxruntime")
    try:
        return open_session(os.fspath(path), threads, arena=arena, spins=spins)
    except Exception as error:
        raise ArtifactError(
            "opening an ONNX file",
            str(path),
            given=f"refused by ONNX Runtime ({' '.join(str(error).split())[:300]})",
            expected="an ONNX model",
            remedy="Export it again, or use a newer onnxruntime.",
        ) from None


def _check_types(call: Call) -> None:
    """Refuse, by its name, a type of numbers that ONNX Runtime has no operators for."""
    held = {**dict(call.net.named_parameters()), **dict(call.net.named_buffers())}
    for name, tensor in (*zip(call.names, call.inputs, strict=True), *held.items()):
        if tensor.dtype == torch.bfloat16 or tensor.is_complex():
            raise ModelError(
                _ONNX,
                name,
                given=f"of {tensor.dtype}, which ONNX Runtime does not compute with on the CPU",
                expected="float32 or float16",
                remedy="Export a copy: copy.deepcopy(model).float(), with an example like it.",
            )


def _remedy(call: Call) -> str:
    tensors = (*call.net.parameters(), *call.inputs)
    if any(one.dtype in (torch.float16, torch.float64) for one in tensors):
        return "Export a copy in float32: copy.deepcopy(model).float(); no file was written."
    return _REPLACE


def _to_proto(call: Call) -> Any:
    with quiet_exporter(), _explained("ONNX", _remedy(call), call.net):
        program = torch.onnx.export(
            call.net,
            call.inputs,
            dynamo=True,
            dynamic_shapes=call.shapes(torch.export.Dim("batch")),
            input_names=list(call.names),
            output_names=list(call.outputs),
            external_data=False,
            verbose=False,
        )
        if program is None:
            raise RuntimeError("the exporter gave nothing")
        return program.model_proto


@contextmanager
def _explained(target: str, remedy: str, net: nn.Module) -> Iterator[None]:
    """Turn what an exporter raises into one message that names the operator."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if any(isinstance(module, torch.jit.ScriptModule) for module in net.modules()):
            raise ModelError(
                f"exporting to {target}",
                "the network",
                given="scripted or traced by torch.jit, as a whole or in part",
                expected="the module of Python that torch.jit was given",
                remedy="Export that module; no file was written.",
            ) from error
        text = "\n".join(text_of(one, _REPORT) for one in _causes(error))
        operators = dict.fromkeys(_UNSUPPORTED.findall(text))
        subject = f"the operator {', '.join(operators)}" if operators else "the network"
        said = first_line_of(_causes(error)[-1], 300)
        raise ModelError(
            f"exporting to {target}",
            subject,
            given=f"unsupported ({said})" if said else kind_of(error),
            expected="operators that can be exported",
            remedy=remedy,
        ) from error


def _causes(error: BaseException) -> list[BaseException]:
    chain = [error]
    while chain[-1].__cause__ is not None and len(chain) < _MOST_CAUSES:
        chain.append(chain[-1].__cause__)
    return chain


def _check_equal(call: Call, example: Inputs, path: Path, tolerance: float) -> None:
    with _explained("ONNX", _remedy(call), call.net):
        running = session(path)
        # The exporter leaves out what the outputs do not depend on.
        kept = {one.name for one in running.get_inputs()}
        runs = []
        for inputs in (drawn(example, batch) for batch in _BATCHES):
            feed = {name: one.numpy() for name, one in zip(call.names, inputs, strict=True)}
            found = running.run(None, {name: feed[name] for name in feed.keys() & kept})
            runs.append((inputs, found, _outputs(call.net, inputs)))
    is_half = any(one.dtype == torch.float16 for _, _, outputs in runs for one in outputs)
    exact = call.net.float() if is_half else None
    for inputs, found, expected in runs:
        noise = [0.0] * len(expected) if exact is None else _rounding(exact, inputs, expected)
        for name, one, other, own in zip(call.outputs, found, expected, noise, strict=True):
            given = torch.from_numpy(np.asarray(one))
            what = f"{name!r} for inputs of {described(inputs)}"
            _check_output(what, given, other, tolerance, own)


def _outputs(net: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return tensors_in(net(*[one.clone() for one in inputs]))


def _rounding(exact: nn.Module, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[float]:
    """How far float16 moves each output of a network, beside the same network in float32."""
    wide = [one.float() if one.is_floating_point() else one for one in inputs]
    return [
        _NOISE * float((one.float() - other.float()).abs().nan_to_num().max()) + _STEP * _size(one)
        if one.numel()
        else 0.0
        for one, other in zip(outputs, _outputs(exact, wide), strict=True)
    ]


def _size(tensor: Tensor) -> float:
    return max(1.0, float(tensor.abs().max())) if tensor.numel() else 1.0


def _check_output(
    name: str, given: Tensor, expected: Tensor, tolerance: float, rounding: float
) -> None:
    same = given.shape == expected.shape and given.dtype == expected.dtype
    allowed = tolerance * _size(expected.nan_to_num()) + rounding
    difference = 0.0
    if same and expected.numel():
        apart = (given.double() - expected.double()).abs()
        alike = (given == expected) | (given.isnan() & expected.isnan())
        difference = float(torch.where(alike, 0.0, apart).max())
    if not same or not difference <= allowed:
        raise ArtifactError(
            _ONNX,
            f"the output {name}",
            given=f"{difference:.2g} away" if same else f"{tuple(given.shape)}, {given.dtype}",
            expected=f"{tuple(expected.shape)}, {expected.dtype}, at most {allowed:.2g} away",
            remedy="No file was written. Pass a larger tolerance if such a difference is small "
            "for this network; or replace the operators that ONNX rounds or computes otherwise.",
        )


def random_like(example: Tensor, batch: int) -> Tensor:
    """Random inputs of an example's shape and type; integers are drawn from its own.

    Example:
        >>> random_like(torch.zeros(1, 3), 7).shape
        torch.Size([7, 3])
    """
    shape = (batch, *example.shape[1:])
    generator = torch.Generator().manual_seed(batch)
    if example.is_floating_point():
        return torch.randn(shape, generator=generator).to(example.dtype)
    values = example.reshape(-1)
    return values[torch.randint(values.numel(), shape, generator=generator)]
