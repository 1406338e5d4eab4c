"""The journey of one network: pruned by channels, compacted, trained, saved, loaded, exported.

Whether the compact network computes the same as the masked one is judged here, apart from
secateur's own check: on the example and on fresh inputs of the same kind, in float64 where the
network runs in it, in float32 otherwise.
"""

from __future__ import annotations

import copy
import resource
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import secateur
from secateur.errors import SecateurError

SHARE = 0.4
TOLERANCE = {torch.float64: 1e-6, torch.float32: 2e-4}
Net = tuple[nn.Module, Any]
Builder = Callable[[], Net]


def build(builder: Builder) -> Net:
    """The network with its norms and zero vectors disturbed, so that mistakes show."""
    torch.manual_seed(0)
    model, inputs = builder()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            noise = torch.rand(tensor.shape, generator=generator).to(tensor.dtype)
            if name.endswith("running_mean"):
                tensor.add_(0.2 * noise - 0.1)
            elif name.endswith("running_var"):
                tensor.mul_(0.8 + 0.4 * noise)
            elif isinstance(tensor, nn.Parameter) and not bool(tensor.any()):
                tensor.add_(0.1 * noise - 0.05)
    return model.eval(), inputs


def tensors(tree: Any) -> list[Tensor]:
    """Every floating tensor of an output, in order."""
    if isinstance(tree, Tensor):
        return [tree] if tree.is_floating_point() or tree.is_complex() else []
    if isinstance(tree, Mapping):
        return [tensor for value in tree.values() for tensor in tensors(value)]
    if isinstance(tree, list | tuple | set):
        return [tensor for value in tree for tensor in tensors(value)]
    if hasattr(tree, "__dataclass_fields__") or hasattr(tree, "__dict__"):
        return [tensor for value in vars(tree).values() for tensor in tensors(value)]
    return []


def mapped(inputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The inputs with every tensor changed."""
    if isinstance(inputs, Tensor):
        return change(inputs)
    if isinstance(inputs, Mapping):
        return {name: mapped(value, change) for name, value in inputs.items()}
    if isinstance(inputs, list | tuple):
        return type(inputs)(mapped(value, change) for value in inputs)
    return inputs


def run(model: nn.Module, inputs: Any, seed: int = 0) -> Any:
    """A forward pass, on its own copy of the inputs, with the random numbers of one seed."""
    torch.manual_seed(seed)
    inputs = mapped(inputs, torch.clone)
    if isinstance(inputs, Tensor):
        return model(inputs)
    return model(**inputs) if isinstance(inputs, Mapping) else model(*inputs)


def fresh(inputs: Any) -> Any:
    """Other inputs of the same kind: floats drawn anew, whole numbers in another order."""
    generator = torch.Generator().manual_seed(5)

    def other(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            return torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
        if tensor.dtype == torch.bool or tensor.dim() < 2 or tensor.shape[0] == 2 < tensor.shape[1]:
            return (
                tensor.roll(1, -1) if tensor.dtype != torch.bool and tensor.dim() == 2 else tensor
            )
        return tensor

    return mapped(inputs, other)


def difference(masked: nn.Module, small: nn.Module, inputs: Any) -> float:
    """The largest difference of two outputs, as a share of the largest value (of 1 if less)."""
    worst = 0.0
    with torch.no_grad():
        given, expected = tensors(run(small, inputs)), tensors(run(masked, inputs))
    if len(given) != len(expected) or not given:
        raise ValueError(f"{len(given)} outputs, expected {len(expected)}")
    for left, right in zip(given, expected, strict=True):
        if left.shape != right.shape:
            raise ValueError(f"an output of {tuple(left.shape)}, expected {tuple(right.shape)}")
        if not bool(torch.isfinite(right).all()):
            left, right = torch.nan_to_num(left), torch.nan_to_num(right)
        if right.numel():
            top = max(1.0, float(right.abs().max()))
            worst = max(worst, float((left - right).abs().max()) / top)
    return worst


def compared(masked: nn.Module, small: nn.Module, inputs: Any) -> tuple[float, str]:
    """The difference on the example and on fresh inputs, and the type in which they ran."""
    try:
        both = [copy.deepcopy(net).double() for net in (masked, small)]
        wide = mapped(inputs, lambda t: t.double() if t.is_floating_point() else t)
        with torch.no_grad():
            run(both[0], wide)
    except Exception:
        both, wide = [copy.deepcopy(net) for net in (masked, small)], inputs
    kinds = {p.dtype for p in both[0].parameters()}
    kind = torch.float64 if kinds == {torch.float64} else torch.float32
    worst = max(difference(*both, wide), difference(*both, fresh(wide)))
    return worst, str(kind).removeprefix("torch.")


def free_share(model: nn.Module, inputs: Any) -> tuple[int, int]:
    """How many computed channels may go, and how many there are."""
    traced = secateur.trace(model, inputs)
    pinned = sum(pin.channels for pin in traced.report)
    groups = traced.groups("all")
    free = sum(int((s.groups >= 0).sum()) for s in groups.slots if s.role == "write")
    return free, free + pinned


def step(model: nn.Module, inputs: Any) -> None:
    """One training step, in training mode."""
    model = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    outputs = [t for t in tensors(run(model, inputs)) if t.requires_grad]
    loss = sum((t.abs() ** 2).mean() for t in outputs)
    if not isinstance(loss, Tensor):
        raise TypeError("no output needs a gradient")
    loss.backward()
    optimizer.step()


def peak() -> float:
    """The largest resident set of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def blame(failure: Exception) -> str:
    """What a failure says, and where it was raised if it is not one of ours."""
    text = " ".join(str(failure).split())[:700]
    if isinstance(failure, SecateurError):
        return text
    frames = traceback.extract_tb(failure.__traceback__)[-4:]
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"{type(failure).__name__}: {text} at {where}"


def cut(builder: Builder, folder: Path) -> dict[str, Any]:
    """Prune, compact, compare, train a step and save; what came of it."""
    model, inputs = build(builder)
    row: dict[str, Any] = {"before": sum(p.numel() for p in model.parameters())}
    with torch.no_grad():
        started = time.perf_counter()
        run(model, inputs)
        row["forward"] = time.perf_counter() - started
    stage, base = "prune", peak()
    try:
        started = time.perf_counter()
        masks = secateur.prune(
            model, "l1-filter", sparsity=SHARE, scope="all", example_inputs=inputs
        )
        row["prune"] = time.perf_counter() - started
        stage = "compact"
        started = time.perf_counter()
        small = secateur.compact(model, masks, inputs)
        row["compact"] = time.perf_counter() - started
        row["peak"] = peak() - base
        row["after"] = sum(p.numel() for p in small.parameters())
        stage = "compare"
        row["difference"], row["type"] = compared(model, small, inputs)
        if row["difference"] > TOLERANCE[getattr(torch, row["type"])]:
            return {**row, "result": "wrong", "why": f"differs by {row['difference']:.1e}"}
        stage = "train"
        row["trained"] = _trained(model, small, inputs)
        stage = "save"
        secateur.save(small, folder / "small.safetensors")
        with torch.no_grad():
            torch.save(tensors(run(small.eval(), inputs)), folder / "outputs.pt")
        stage = "trace"
        row["free"], row["channels"] = free_share(build(builder)[0], inputs)
    except SecateurError as refusal:
        return {**row, "result": "refused", "stage": stage, "why": blame(refusal)}
    except Exception as failure:
        return {**row, "result": "failed", "stage": stage, "why": blame(failure)}
    return {**row, "result": "equal" if row["after"] < row["before"] else "uncut"}


def _trained(model: nn.Module, small: nn.Module, inputs: Any) -> str:
    try:
        step(model, inputs)
    except Exception as failure:
        return f"no, nor is the whole net ({type(failure).__name__})"
    step(small, inputs)
    return "yes"


def load(builder: Builder, folder: Path) -> dict[str, Any]:
    """Load the file that `cut` left, in a process that has not seen the network before."""
    try:
        model = secateur.load(folder / "small.safetensors", lambda: build(builder)[0])
        with torch.no_grad():
            given = tensors(run(model, build(builder)[1]))
        expected = torch.load(folder / "outputs.pt", weights_only=True)
        far = max(
            float((a - b).abs().max()) for a, b in zip(given, expected, strict=True) if a.numel()
        )
        return {"loaded": "yes" if far < 1e-4 else f"differs by {far:.1e}"}
    except Exception as failure:
        return {"loaded": f"no: {blame(failure)}"}


def export(builder: Builder, folder: Path) -> dict[str, Any]:
    """Write the loaded network as ONNX."""
    try:
        model, inputs = secateur.load(folder / "small.safetensors", lambda: build(builder)[0]), None
        inputs = build(builder)[1]
        secateur.export_onnx(model, inputs, folder / "small.onnx")
    except SecateurError as refusal:
        return {"onnx": f"refused: {blame(refusal)[:300]}"}
    except Exception as failure:
        return {"onnx": f"failed: {blame(failure)}"}
    return {"onnx": "yes"}
