"""Wholes: a network in one piece, in every engine that takes it so, whatever its operators are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from secateur.foundation.onnx_session import open_session
from secateur.foundation.quiet_exporter import quiet_exporter
from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.choice import LAYERS, ONNX, TORCH
from secateur.runtime.compiler.exporting import said
from secateur.runtime.compiler.structure import Structure
from secateur.runtime.compiler.trial import Trial
from secateur.runtime.compiler.whole import Whole
from secateur.runtime.kernels import library
from secateur.runtime.layers.layer import SparseLayer
from secateur.runtime.layers.sparsify import sparsify

Run = Callable[..., Any]
"""From a network's tensors to an output of its own form."""


class Wholes:
    """Runs a network as it is, with its layers exchanged for sparse ones, and in ONNX Runtime.

    Args:
        trial: The network.
        program: What torch has written down of it; None if it could not.
        threads: Threads inside an operator.

    Attributes:
        left_out: Backend -> why the network cannot run there.
    """

    def __init__(self, trial: Trial, program: ExportedProgram | None, threads: int) -> None:
        self._trial = trial
        self._program = program
        self._threads = threads
        self._file: bytes | None = None
        self._layers = _with_sparse_layers(trial)
        self.left_out: dict[str, str] = {}

    def backends(self, *, without: Collection[str]) -> list[str]:
        """The engines that there are for it.

        Args:
            without: Those that are there already.
        """
        found = [TORCH]
        found += [LAYERS] if self._layers is not None else []
        found += [ONNX] if ONNX not in without and self._has_file() else []
        return found

    def build(self, name: str, *, spins: bool = False) -> Run:
        """The network in one of them.

        Args:
            name: One of `backends`.
            spins: Whether ONNX Runtime's threads go on turning after a pass.
        """
        if name == ONNX and self._file is not None:
            session = _Session(self._file, self._trial, self._threads, spins=spins)
            return session.run
        if name == LAYERS and self._layers is not None:
            return self._layers
        return self._trial.as_it_is

    def _has_file(self) -> bool:
        if self._file is None and ONNX not in self.left_out and self._program is not None:
            if not onnx.available():
                self.left_out[ONNX] = "onnx and onnxruntime are not installed"
            elif importlib.util.find_spec("onnxscript") is None:
                self.left_out[ONNX] = "onnxscript is not installed"
            else:
                self._export(self._program)
        return self._file is not None

    def _export(self, program: ExportedProgram) -> None:
        try:
            with quiet_exporter(), torch.no_grad():
                made = torch.onnx.export(program, dynamo=True, external_data=False, verbose=False)
                if made is None:
                    raise RuntimeError("the exporter gave nothing")
                self._file = made.model_proto.SerializeToString()
        except Exception as error:
            while error.__cause__ is not None and isinstance(error.__cause__, Exception):
                error = error.__cause__
            self.left_out[ONNX] = f"torch.onnx: {said(error)}"


class _Session:
    """A network as ONNX Runtime has it, under the network's own forms."""

    def __init__(self, file: bytes, trial: Trial, threads: int, *, spins: bool) -> None:
        self._session = open_session(file, threads, spins=spins)
        self._structure = trial.structure
        self._names = [one.name for one in self._session.get_inputs()]
        if len(self._names) != len(self._structure.tensors):
            raise RuntimeError("the exporter left an input out")

    def run(self, *tensors: Tensor) -> Any:
        """From the network's tensors to an output of its own form."""
        feed = {
            name: tensor.contiguous().numpy()
            for name, tensor in zip(self._names, tensors, strict=True)
        }
        made = [torch.from_numpy(one) for one in self._session.run(None, feed)]
        return self._structure.shaped(made)


class _Layers:
    """A network whose sparse layers run on the kernels, the rest of it as it is."""

    def __init__(self, net: nn.Module, structure: Structure) -> None:
        self._whole = Whole(net)
        self._structure = structure

    def __call__(self, *tensors: Tensor) -> Any:
        """From the network's tensors to its output."""
        args, kwargs = self._structure.filled([one.clone() for one in tensors])
        return self._whole.called(args, kwargs)


def _with_sparse_layers(trial: Trial) -> _Layers | None:
    """None if there is no layer to exchange."""
    if not library.available():
        return None
    try:
        net = sparsify(trial.net)
    except Exception:  # what cannot be copied runs as it is
        return None
    if not any(isinstance(module, SparseLayer) for module in net.modules()):
        return None
    return _Layers(net.eval().requires_grad_(False), trial.structure)
