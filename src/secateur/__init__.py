"""secateur: pruning shears for neural networks.

    masks = secateur.prune(model, "magnitude", sparsity=0.9)
    masks.freeze(optimizer)             # exact zeros from now on, in your own loop
    small = secateur.compact(model, masks, example_inputs)
    secateur.save(small, "small.safetensors")
    study = secateur.sweep("conv4", "fashion-mini", methods=["magnitude", "l1-filter"])

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secateur.artifact.bench import bench as bench
    from secateur.artifact.export import export_onnx as export_onnx
    from secateur.artifact.export import export_pt2 as export_pt2
    from secateur.artifact.inspect import inspect as inspect
    from secateur.artifact.int8 import export_int8 as export_int8
    from secateur.artifact.load import load as load
    from secateur.artifact.load import load_state_dict as load_state_dict
    from secateur.artifact.package import package as package
    from secateur.artifact.save import save as save
    from secateur.channels import compact as compact
    from secateur.channels import trace as trace
    from secateur.errors import SecateurError as SecateurError
    from secateur.measure.cost import cost as cost
    from secateur.measure.sparsity import sparsity as sparsity
    from secateur.pruning.masks import Masks as Masks
    from secateur.runtime.compiler import compile as compile  # noqa: A004
    from secateur.runtime.layers.conv import SparseConv2d as SparseConv2d
    from secateur.runtime.layers.linear import SparseLinear as SparseLinear
    from secateur.runtime.layers.retraining import sparse_retraining as sparse_retraining
    from secateur.runtime.layers.sparsify import sparsify as sparsify
    from secateur.training.evaluate import evaluate as evaluate
    from secateur.training.fit import fit as fit
    from secateur.training.group_lasso import group_lasso as group_lasso
    from secateur.training.slim import slim as slim
    from secateur.verbs.prune import prune as prune
    from secateur.verbs.repair import repair as repair
    from secateur.verbs.sensitivity import sensitivity as sensitivity
    from secateur.verbs.sweep import Study as Study
    from secateur.verbs.sweep import sweep as sweep
    from secateur.verbs.tune import Tuning as Tuning
    from secateur.verbs.tune import tune as tune

_HOMES = {
    "Masks": "secateur.pruning.masks",
    "SecateurError": "secateur.errors",
    "SparseConv2d": "secateur.runtime.layers.conv",
    "SparseLinear": "secateur.runtime.layers.linear",
    "Study": "secateur.verbs.sweep",
    "Tuning": "secateur.verbs.tune",
    "bench": "secateur.artifact.bench",
    "compact": "secateur.channels",
    "compile": "secateur.runtime.compiler",
    "cost": "secateur.measure.cost",
    "evaluate": "secateur.training.evaluate",
    "export_int8": "secateur.artifact.int8",
    "export_onnx": "secateur.artifact.export",
    "export_pt2": "secateur.artifact.export",
    "fit": "secateur.training.fit",
    "group_lasso": "secateur.training.group_lasso",
    "inspect": "secateur.artifact.inspect",
    "load": "secateur.artifact.load",
    "load_state_dict": "secateur.artifact.load",
    "package": "secateur.artifact.package",
    "prune": "secateur.verbs.prune",
    "repair": "secateur.verbs.repair",
    "save": "secateur.artifact.save",
    "sensitivity": "secateur.verbs.sensitivity",
    "slim": "secateur.training.slim",
    "sparse_retraining": "secateur.runtime.layers.retraining",
    "sparsify": "secateur.runtime.layers.sparsify",
    "sparsity": "secateur.measure.sparsity",
    "sweep": "secateur.verbs.sweep",
    "trace": "secateur.channels",
    "tune": "secateur.verbs.tune",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> Any:
    """Import a public name on its first use, so that `import secateur` loads no torch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("secateur")
    if name not in _HOMES:
        raise AttributeError(f"module 'secateur' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
