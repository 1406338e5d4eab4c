"""Inspect: what is in a model file, layer by layer, without building the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from torch import nn

from secateur.artifact.anatomy import slots
from secateur.artifact.building import Builder, dense_net
from secateur.artifact.claims import check_claims
from secateur.artifact.inspect_onnx import inspect_onnx
from secateur.artifact.inspection import Inspection, StoredLayer, StoredTensor
from secateur.artifact.load import load
from secateur.artifact.manifest import count_ranges, usual_role
from secateur.artifact.path import checked_path
from secateur.artifact.reader import Reader, reading
from secateur.errors import ArtifactError


def inspect(path: str | os.PathLike[str], build_model: Builder | None = None) -> Inspection:
    """Look into a model file: ours, any other safetensors file, or ONNX.

    Nothing is built or run, and no other file is opened. In a file that is not ours, roles are
    read off the usual names.

    Args:
        path: The file; `.onnx` is read as ONNX, all else as safetensors.
        build_model: As of `secateur.load`, if the network is to be built: it must fit the file,
            and tells kinds of layers and dense shapes that the file does not.

    Raises:
        ArtifactError: The file is missing, damaged, hostile or too new, or says of itself what
            its own bytes contradict.
        ModelError: The network cannot be built, or does not fit the file.

    Example:
        >>> import tempfile
        >>> from torch import nn
        >>> from secateur.artifact.save import save
        >>> file = os.path.join(tempfile.mkdtemp(), "net.safetensors")
        >>> save(nn.Sequential(nn.Linear(4, 2)), file)
        >>> inspect(file).totals()["parameters"]
        10
    """
    place = checked_path(path, "reading a model file")
    if place.suffix.lower() == ".onnx":
        if build_model is not None:
            raise ArtifactError(
                "reading a model file",
                str(place),
                given="an ONNX file, beside a builder",
                expected="a safetensors file: of ONNX nothing is built",
                remedy="Leave the builder (--model) out.",
            )
        return inspect_onnx(place)
    with reading(place) as file:
        found = _of_safetensors(file)
        dense = None if build_model is None else dense_net(file, build_model)
    if dense is None:
        return found
    shapes = {name: tuple(slot.tensor.shape) for name, slot in slots(dense).items()}
    return _completed(found, load(place, lambda: dense), shapes)


def _completed(
    found: Inspection, net: nn.Module, shapes: Mapping[str, tuple[int, ...]]
) -> Inspection:
    """With the kinds and the dense shapes of a network that has been loaded from the file."""
    kinds = {name: type(module).__name__ for name, module in net.named_modules()}
    layers = tuple(
        replace(
            layer,
            kind=layer.kind or kinds.get(layer.name, ""),
            tensors=tuple(
                replace(one, dense_shape=shapes.get(one.name, one.dense_shape))
                for one in layer.tensors
            ),
        )
        for layer in found.layers
    )
    return replace(found, layers=layers)


def _of_safetensors(file: Reader) -> Inspection:
    check_claims(file)
    file.check_streams()
    manifest = file.manifest
    tensors: dict[str, list[StoredTensor]] = {name: [] for name in manifest.layers}
    for name in file.names:
        tensors.setdefault(name.rpartition(".")[0], []).append(_tensor(file, name))
    layers = []
    for name, own in tensors.items():
        told = manifest.layers.get(name)
        layers.append(
            StoredLayer(
                name,
                told.kind if told else "",
                tuple(sorted(own, key=lambda tensor: tensor.name)),
                told.macs if told else None,
                told.nonzero if told else None,
            )
        )
    kept = [count for count, _ in manifest.masks.values()]
    covered = [count for _, count in manifest.masks.values()]
    origin = {
        "source": manifest.source.model_dump() if manifest.source else None,
        "run": manifest.run,
        "metrics": manifest.metrics,
        "masks": {"kept": sum(kept), "total": sum(covered)} if covered else None,
        "input": manifest.input,
    }
    return Inspection(
        str(file.container.path),
        "secateur" if file.is_ours else "safetensors",
        file.container.is_signed,
        file.container.size,
        tuple(layers if manifest.layers else sorted(layers, key=lambda layer: layer.name)),
        dict(manifest.tied),
        {name: one.parameters for name, one in manifest.skipped.items()},
        {name: value for name, value in origin.items() if value},
    )


def _tensor(file: Reader, name: str) -> StoredTensor:
    shape = file.shape(name)
    slots = file.manifest.slots.get(name, {})
    return StoredTensor(
        name,
        file.manifest.roles.get(name, usual_role(name, shape)),
        tuple(file.manifest.dense.get(name, shape)),
        shape,
        {axis: count_ranges(file.manifest.kept[number]) for axis, number in slots.items()},
        file.count_zeros(name),
        file.container.entries[name].size,
    )
