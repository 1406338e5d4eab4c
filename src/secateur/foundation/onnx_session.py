"""ONNX Runtime's sessions, set up alike wherever one is needed."""

from __future__ import annotations

import importlib
from typing import Any


def open_session(
    model: str | bytes, threads: int, *, arena: bool = True, spins: bool = True
) -> Any:
    """An ONNX Runtime session on the CPU; what goes wrong is the engine's own exception.

    Args:
        model: The path of an ONNX file, or its bytes.
        threads: Threads inside one operator; operators run one after another.
        arena: Let the engine keep memory from one pass to the next.
        spins: Let its threads go on turning for some 60 ms after a pass, as they do unless told
            otherwise: on cores that another engine, measured in turn, needs.

    Raises:
        ImportError: ONNX Runtime is missing.
    """
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.enable_mem_pattern = arena
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "0" if spins else "1")
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
