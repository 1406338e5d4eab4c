"""Sharded parameters: those of which each process holds a part (FSDP2, tensor parallelism).

Such a parameter is a `DTensor`, which knows which part is here. Masks stay whole, as they were
made; what is applied and held is the part of a mask that lies on the part of its parameter.
"""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor, nn

from secateur.errors import MaskError

_AS_THEY_ARE = ("Shard", "Replicate")


def is_sharded(tensor: object) -> bool:
    """Whether this process holds a part of a tensor only, or one of several copies.

    Example:
        >>> is_sharded(nn.Linear(2, 2).weight)
        False
    """
    # There is none before this has been imported, which takes a while.
    library: Any = sys.modules.get("torch.distributed.tensor")
    return library is not None and isinstance(tensor, getattr(library, "DTensor", ()))


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, in the same memory, without its history.

    Example:
        >>> weight = nn.Linear(2, 2).weight
        >>> local(weight).data_ptr() == weight.data_ptr()
        True
    """
    own: Any = tensor.detach()
    return own.to_local() if is_sharded(own) else own  # type: ignore[no-any-return]


def local_part(whole: Tensor, like: Tensor, name: str = "a parameter") -> Tensor:
    """The part of a whole tensor that lies where `local(like)` does; nothing is sent.

    Args:
        whole: Of the shape that `like` has over all processes together, the same on each.
        like: A parameter, or an optimizer's state of one.
        name: The parameter's, for messages.

    Raises:
        MaskError: The parameter is laid out in a way that says nothing of single elements.

    Example:
        >>> local_part(whole := nn.Linear(2, 2).weight, whole) is whole
        True
    """
    if not is_sharded(like):
        return whole
    placed: Any = like
    kinds = [type(placement).__name__ for placement in placed.placements]
    if not set(kinds) <= set(_AS_THEY_ARE):
        raise MaskError(
            "masking a sharded parameter",
            name,
            given=f"laid out as {', '.join(map(repr, placed.placements))}",
            expected="whole rows or columns on each process, as fully_shard leaves them",
            remedy="Prune and freeze the network before it is sharded that way, or shard it along "
            "one axis only.",
        )
    from torch.distributed.tensor import distribute_tensor

    spread = distribute_tensor(
        whole.detach(), placed.device_mesh, placed.placements, src_data_rank=None
    )
    return local(spread)


def check_whole(model: nn.Module, operation: str) -> None:
    """Refuse a network of whose parameters this process holds a part only.

    Args:
        model: Any network.
        operation: What needs them whole.

    Raises:
        MaskError: A parameter is a `DTensor`, one of FSDP1's, or one of DeepSpeed's ZeRO-3.

    Example:
        >>> check_whole(nn.Linear(2, 2), "prune")
    """
    for path, module in model.named_modules():
        if type(module).__name__ == "FullyShardedDataParallel":
            own = next((name for name, _ in module.named_parameters()), "its parameters")
            raise _not_whole(operation, f"{path}.{own}".lstrip("."), "in one flat part of FSDP1")
    for name, parameter in model.named_parameters():
        if is_sharded(parameter):
            placed: Any = parameter
            many = placed.device_mesh.size()
            raise _not_whole(operation, name, f"sharded over {many} processes (a DTensor)")
        if hasattr(parameter, "ds_id"):
            raise _not_whole(operation, name, "partitioned by DeepSpeed (ZeRO-3)")


def _not_whole(operation: str, name: str, given: str) -> MaskError:
    return MaskError(
        operation,
        name,
        given=given,
        expected="a parameter that this process holds whole",
        remedy="Do it before the network is sharded, or on a whole copy of it that has the "
        "gathered state dict; masks made so may be applied to and frozen on parameters that "
        "fully_shard has sharded. See the guide, Your own loop.",
    )
