"""Export: a network as an ONNX file or a torch program, checked before it has its name."""

from __future__ import annotations

import copy
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from secateur.artifact.atomic import replacing
from secateur.errors import ArtifactError, ModelError
from secateur.measure.observe import check_batch, observed

TOLERANCE = 1e-5
_BATCHES = (1, 7)
_CHATTY = ("torch.onnx", "torch.fx.experimental.symbolic_shapes", "torch.export")
_UNSUPPORTED = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'")


def export_onnx(
    model: nn.Module,
    example: Tensor,
    path: str | os.PathLike[str],
    *,
    tolerance: float = TOLERANCE,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network as an ONNX file with a dynamic batch axis and its batch norms folded.

    Before the file takes its name it is checked by `onnx.checker`, and run in ONNX Runtime
    beside the network, on random inputs of a batch of 1 and of 7.

    Args:
        model: A network of one input tensor and one output tensor. It is left as it was.
        example: A batch of inputs `[N, ...]`.
        path: Where, `.onnx` by custom. Of the file there is all or nothing.
        tolerance: The largest difference allowed, as a share of the largest output (of 1, if
            that is less).
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
    onnx = imported("onnx")
    imported("onnxscript")
    check_batch("exporting to ONNX", example)
    proto = _to_proto(*_prepared(model, example))
    for node in proto.graph.node:
        # The exporter writes the exporting machine's paths and stack traces here.
        del node.metadata_props[:]
    onnx.helper.set_model_props(proto, dict(metadata or {}))
    with replacing(Path(path)) as partial:
        onnx.save(proto, partial)
        onnx.checker.check_model(partial, full_check=True)
        _check_equal(model, example, partial, tolerance)


def export_pt2(model: nn.Module, example: Tensor, path: str | os.PathLike[str]) -> None:
    """Write a network as a `torch.export` program with a dynamic batch axis.

    Args:
        model: A network of one input tensor. It is left as it was.
        example: A batch of inputs `[N, ...]`.
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
    check_batch("exporting to pt2", example)
    net, inputs = _prepared(model, example)
    with _quiet(), _explained("pt2"):
        program = torch.export.export(net, (inputs,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    # An example would be written as a pickle.
    program.example_inputs = None
    with replacing(Path(path)) as partial, partial.open("wb") as file, _quiet():
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
    runtime = imported("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.enable_mem_pattern = arena
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "0" if spins else "1")
    try:
        return runtime.InferenceSession(
            os.fspath(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ArtifactError(
            "opening an ONNX file",
            str(path),
            given=f"refused by ONNX Runtime ({' '.join(str(error).split())[:300]})",
            expected="an ONNX model",
            remedy="Export it again, or use a newer onnxruntime.",
        ) from None


def imported(name: str) -> ModuleType:
    """One of the optional packages.

    Raises:
        ArtifactError: It is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ArtifactError(
            "working with ONNX",
            f"the package {name}",
            given="missing",
            expected="installed",
            remedy="Install it with: pip install 'secateur[export]'.",
        ) from None


def _prepared(model: nn.Module, example: Tensor) -> tuple[nn.Module, Tensor]:
    """A copy to capture, on the CPU, and a batch of two: of one, the batch would be a constant."""
    net = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    inputs = torch.cat([example[:1], example[:1]]).cpu()
    with observed(net, "exporting", inputs):
        output = net(inputs)
    if not isinstance(output, Tensor):
        raise ModelError(
            "exporting",
            "the network's output",
            given=f"a {type(output).__name__}",
            expected="one tensor",
            remedy="Wrap the net in a module that returns the tensor to be exported.",
        )
    return net, inputs


def _to_proto(net: nn.Module, inputs: Tensor) -> Any:
    with _quiet(), _explained("ONNX"):
        program = torch.onnx.export(
            net,
            (inputs,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["input"],
            output_names=["output"],
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


@contextmanager
def _explained(target: str) -> Iterator[None]:
    """Turn what an exporter raises into one message that names the operator."""
    try:
        yield
    except Exception as error:
        text = "\n".join(map(str, _causes(error)))
        operators = dict.fromkeys(_UNSUPPORTED.findall(text))
        subject = f"the operator {', '.join(operators)}" if operators else "the network"
        lines = [line for line in str(_causes(error)[-1]).splitlines() if line.strip()]
        raise ModelError(
            f"exporting to {target}",
            subject,
            given=f"unsupported ({lines[0][:300]})" if lines else type(error).__name__,
            expected="operators that can be exported",
            remedy="Replace it by others in the net's forward; no file was written.",
        ) from error


def _causes(error: BaseException) -> list[BaseException]:
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return chain


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes to its own developers."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_equal(model: nn.Module, example: Tensor, path: Path, tolerance: float) -> None:
    running = session(path)
    net = copy.deepcopy(model).cpu().eval()
    for batch in _BATCHES:
        inputs = random_like(example.cpu(), batch)
        with torch.no_grad():
            expected = net(inputs)
        given = torch.from_numpy(running.run(None, {"input": inputs.numpy()})[0])
        scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
        same = given.shape == expected.shape
        difference = float((given - expected).abs().max()) if same and expected.numel() else 0.0
        if not same or not difference <= tolerance * scale:
            raise ArtifactError(
                "exporting to ONNX",
                f"the output for a batch of {batch}",
                given=f"{difference:.2g} away" if same else f"of shape {tuple(given.shape)}",
                expected=f"{tuple(expected.shape)}, at most {tolerance * scale:.2g} away",
                remedy="No file was written; report the net, or pass a larger tolerance.",
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
