"""Loading: the user's own class, shrunk to what a file holds, and filled."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from secateur.artifact.anatomy import (
    TensorPlace,
    Vacancy,
    infer_groups,
    is_native,
    refresh_weights,
    slots,
    vacancy,
    write_attributes,
)
from secateur.artifact.building import Builder, dense_net
from secateur.artifact.manifest import Role, usual_role
from secateur.artifact.reader import Reader, reading
from secateur.channels.branches.skipped import skip
from secateur.errors import ModelError


def load(path: str | os.PathLike[str], build_model: Builder | None = None) -> nn.Module:
    """Build a network, shrink it to the file's shapes, and fill it.

    No code comes from the file: the network is built by the caller, or is one of our reference
    nets. Parameters, buffers, types, memory formats and ties are those of the network saved, bit
    by bit.

    Args:
        path: A file of `save`; or any safetensors file of a state dict, whose tensors may be
            smaller than the network's.
        build_model: Builds the network as it was before channels were taken out: the function
            of the study file, or its path `package.module:function`. It is given by name what it
            takes of `shape`, `classes` and the options that the file holds. Not needed for a
            reference net.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        ArtifactError: The file is missing, damaged, hostile or too new, or names no reference net.
        ModelError: The network does not fit the file, or `build_model` is a network already.

    Example:
        >>> import tempfile, torch
        >>> from secateur.artifact.save import save
        >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
        >>> save(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), path)
        >>> load(path, lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)))[2]
        Linear(in_features=3, out_features=2, bias=True)
    """
    with reading(path) as file:
        model = dense_net(file, build_model)
        forms = {path: one.form for path, one in file.manifest.skipped.items()}
        skip(model, forms)  # type: ignore[arg-type]
        _fill(model, file)
    return model.eval()


def load_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict of a file as plain tensors; tied ones are one tensor under each name.

    Args:
        path: Any safetensors file.

    Raises:
        ArtifactError: The file is missing, damaged, hostile or too new.

    Example:
        >>> import tempfile
        >>> from secateur.artifact.save import save
        >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
        >>> save(nn.BatchNorm1d(2), path)
        >>> sorted(load_state_dict(path))
        ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight']
    """
    with reading(path) as file:
        file.check_expansion()
        state = {
            name: file.tensor(name)
            for name in file.names
            if file.manifest.roles.get(name) != "transient"
        }
        state |= {alias: state[name] for alias, name in file.manifest.tied.items() if name in state}
    return state


def _fill(model: nn.Module, file: Reader) -> None:
    owners = slots(model)
    before = {name: slot.shape for name, slot in owners.items()}
    late = _late(model, owners, file)
    sources = _sources(model, owners, late, file)
    for name, stored in sources.items():
        if name in owners and not _may_grow(owners[name], _role(file, name)):
            _check_shape(name, owners[name].tensor, file.shape(stored))
    for name in file.names:
        names = [other for other, stored in sources.items() if stored == name]
        places = [owners.pop(other) for other in names if other in owners]
        # The old tensor goes before the new one comes: never two nets in memory.
        for place in places:
            _forget(place.tensor)
        value = _put(file.tensor(name), places)
        for other in names:
            if other in late:
                late[other].put(value)
    refresh_weights(model.eval())
    attributes = file.manifest.attributes if file.is_ours else infer_groups(model, before)
    write_attributes(model, attributes)


def _role(file: Reader, name: str) -> Role:
    return file.manifest.roles.get(name, usual_role(name, ()))


def _late(model: nn.Module, owners: Mapping[str, TensorPlace], file: Reader) -> dict[str, Vacancy]:
    """Tensors of the file that the network can take, but does not have as it was built.

    `compact` gives a bias to a layer that was built without one, and a forward may register a
    buffer when it first runs.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    found = {}
    for name in (*file.names, *file.manifest.tied) if file.is_ours else ():
        path, _, leaf = name.rpartition(".")
        if name not in owners and path in modules:
            place = vacancy(modules[path], leaf, _role(file, name))
            if place is not None:
                found[name] = place
    return found


def _may_grow(slot: TensorPlace, role: Role) -> bool:
    """Whether a buffer may be of any shape: one that a module of the user's own has made."""
    return role in ("buffer", "transient") and not is_native(slot.module)


def _forget(tensor: Tensor) -> None:
    if not is_lazy(tensor):
        tensor.data = tensor.new_empty(0)


def _sources(
    model: nn.Module, owners: dict[str, TensorPlace], late: Mapping[str, Vacancy], file: Reader
) -> dict[str, str]:
    """By name in the network, the stored tensor that goes there."""
    sources = {name: name for name in file.names} | file.manifest.tied
    stored = {id(owners[name].tensor): at for name, at in sources.items() if name in owners}
    for name, slot in owners.items():
        # Others leave the second name of a tied tensor out; the network knows the tie.
        if name not in sources and id(slot.tensor) in stored:
            sources[name] = stored[id(slot.tensor)]
    unknown = sources.keys() - owners.keys() - late.keys()
    # What is in no state dict is no part of the network: a class without it does without it.
    dropped = {name for name in unknown if _role(file, name) == "transient"}
    expected = model.state_dict().keys() & owners.keys() if file.is_ours else model.state_dict()
    _check_names("tensors that the network does not have", unknown - dropped, file)
    _check_names("without some of the network's tensors", set(expected) - sources.keys(), file)
    return {name: stored for name, stored in sources.items() if name not in dropped}


def _check_names(problem: str, names: Iterable[str], file: Reader) -> None:
    some = sorted(names)
    if some:
        more = f" and {len(some) - 3} more" if len(some) > 3 else ""
        raise ModelError(
            "loading a model",
            str(file.container.path),
            given=f"{problem} ({', '.join(some[:3])}{more})"[:300],
            expected="a file of this network",
            remedy="Build the net with the class and the options that it was saved from.",
        )


def _check_shape(name: str, tensor: Tensor, stored: tuple[int, ...]) -> None:
    if is_lazy(tensor):
        return
    built = tuple(tensor.shape)
    fits = len(built) == len(stored) and all(a <= b for a, b in zip(stored, built, strict=True))
    if not fits:
        raise ModelError(
            "loading a model",
            name,
            given=f"of shape {built} in the network",
            expected=f"{tuple(stored)} or larger along each axis",
            remedy="Build the net as it was before pruning.",
        )


def _put(tensor: Tensor, places: list[TensorPlace]) -> Tensor:
    """Put one tensor, the same object, into each of its places."""
    value = tensor
    if places and isinstance(places[0].tensor, nn.Parameter):
        floats = tensor.is_floating_point() or tensor.is_complex()
        value = nn.Parameter(tensor, requires_grad=floats and places[0].tensor.requires_grad)
    for place in places:
        place.put(value)
    return value
