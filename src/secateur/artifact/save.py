"""Saving: a network in one file that needs no script, no pickle and no class to be read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from secateur.artifact.anatomy import read_attributes, slots
from secateur.artifact.coding import encode
from secateur.artifact.container import ITEM_SIZES, LONGEST_NAME, size_of, write
from secateur.artifact.manifest import (
    KEY,
    VERSION,
    CodedTensor,
    LayerMacs,
    Manifest,
    Role,
    SkippedModule,
    Source,
    to_ranges,
    usual_role,
)
from secateur.artifact.path import check_suffix, checked_path
from secateur.artifact.tensors import NAMES, as_bytes, bits, count_zeros, strides_to_keep
from secateur.channels.branches.skipped import Skipped
from secateur.channels.rebuild import named_plainly, uncompiled
from secateur.errors import ArtifactError, MaskError, ModelError
from secateur.foundation.atomic_write import replacing
from secateur.foundation.run_example import Inputs
from secateur.measure.cost import cost
from secateur.measure.observe import check_built
from secateur.pruning.weights import Weight, prunable_weights

# What the header says more of a coded tensor than of another, in bytes.
_WORDS = 150

Kept = Mapping[str, Mapping[int, Tensor]]
_Entry = tuple[str, str, list[int], memoryview]

_OPERATION = "saving a model"
_WRAPPED = "module."


def save(
    model: nn.Module,
    path: str | os.PathLike[str],
    masks: Mapping[str, Tensor] | None = None,
    metrics: Mapping[str, Any] | None = None,
    *,
    dense: nn.Module | None = None,
    kept: Kept | None = None,
    example_inputs: Inputs | None = None,
    source: Source | str | None = None,
    run: Mapping[str, Any] | None = None,
) -> None:
    """Write a network to a `.safetensors` file.

    Its tensors, bit by bit, those with many zeros in a fraction of the bytes; and how its modules
    were shrunk, so that `load` can shrink a fresh one. A network that others have pruned is
    welcome. The file is replaced at once, when the new one is whole and on the disk.

    Args:
        model: Any network; compact or with zeros. What `torch.compile` or `DataParallel` has put
            around it is left out of the file.
        path: Where, `.safetensors` by custom.
        masks: The masks that it was pruned with; their counts are kept.
        metrics: Numbers to keep with it, as JSON can hold them.
        dense: The network before channels were taken out; its shapes are kept.
        kept: Which channels stayed: `Compaction.kept`.
        example_inputs: A batch `[N, ...]`, or several inputs in a tuple or a dict; with it the
            multiply-adds of each layer are kept.
        source: A reference net, or the import path of the user's builder, as a hint for people.
        run: Where it came from: digest, method, level, seed.

    Raises:
        ArtifactError: It cannot be written, or holds something that is no tensor.
        MaskError: An element that the masks have pruned is not zero.
        ModelError: The network fails on the example, or a lazy layer has no values yet.

    Example:
        >>> import tempfile, torch
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp(), "net.safetensors")
        >>> save(nn.Linear(4, 2), path, metrics={"accuracy": 0.5})
        >>> from secateur.artifact.load import load_state_dict
        >>> {name: tuple(t.shape) for name, t in load_state_dict(path).items()}
        {'bias': (2,), 'weight': (2, 4)}
    """
    place = checked_path(path, _OPERATION)
    check_suffix(place, "safetensors", _OPERATION)
    entries, said = _contents(model, masks, metrics, dense, kept, example_inputs, source, run)
    with replacing(place) as partial:
        write(partial, entries, said)


def saved_size(
    model: nn.Module,
    masks: Mapping[str, Tensor] | None = None,
    metrics: Mapping[str, Any] | None = None,
    *,
    dense: nn.Module | None = None,
    kept: Kept | None = None,
    example_inputs: Inputs | None = None,
    source: Source | str | None = None,
    run: Mapping[str, Any] | None = None,
) -> int:
    """The bytes of the file that `save` makes of the same, which is not written.

    Args:
        model: As of `save`, like all others.
        masks: Likewise.
        metrics: Likewise.
        dense: Likewise.
        kept: Likewise.
        example_inputs: Likewise.
        source: Likewise.
        run: Likewise.

    Raises:
        ArtifactError: The file could not hold it.
        MaskError: As `save`.
        ModelError: As `save`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp(), "net.safetensors")
        >>> save(nn.Linear(4, 2), path)
        >>> saved_size(nn.Linear(4, 2)) == path.stat().st_size
        True
    """
    return size_of(*_contents(model, masks, metrics, dense, kept, example_inputs, source, run))


def _contents(
    model: nn.Module,
    masks: Mapping[str, Tensor] | None,
    metrics: Mapping[str, Any] | None,
    dense: nn.Module | None,
    kept: Kept | None,
    example_inputs: Inputs | None,
    source: Source | str | None,
    run: Mapping[str, Any] | None,
) -> tuple[list[_Entry], dict[str, str]]:
    """The tensors of a file, in its order, and the words of its header."""
    check_built(_OPERATION, model)
    model, masks = uncompiled(model), named_plainly(masks or {})
    dense = None if dense is None else uncompiled(dense)
    tensors, tied = _tensors(model)
    fields: dict[str, Any] = {
        "tied": tied,
        "strides": {n: s for n, t in tensors.items() if (s := strides_to_keep(t)) is not None},
        "roles": _roles(model),
        "attributes": read_attributes(model),
        "skipped": _skipped(model, dense),
        "masks": _mask_counts(_names_within(masks, tensors), tensors),
        "source": _source(source),
        "run": _plain("run", run or {}),
        "metrics": _plain("metrics", metrics or {}),
        **_channels(tensors, dense, kept or {}),
    }
    if example_inputs is not None:
        if isinstance(example_inputs, Tensor):
            fields["input"] = list(example_inputs.shape[1:])
        fields["layers"] = {
            layer.name: LayerMacs(kind=layer.kind, macs=layer.macs, nonzero=layer.nonzero_macs)
            for layer in cost(model, example_inputs).layers
        }
    return _entries(tensors, fields)


def _entries(
    tensors: Mapping[str, Tensor], fields: dict[str, Any]
) -> tuple[list[_Entry], dict[str, str]]:
    plain: list[_Entry] = []
    packed: list[_Entry] = []
    coded: dict[str, CodedTensor] = {}
    for name, tensor in tensors.items():
        dtype, shape, words = NAMES[tensor.dtype], list(tensor.shape), bits(tensor)
        code = encode(words)
        if code is None or len(code.blob) + _WORDS + 2 * len(name) >= words.nbytes:
            plain.append((name, dtype, shape, as_bytes(words)))
            continue
        coded[name] = CodedTensor(
            dtype=dtype,
            shape=shape,
            zeros=count_zeros(dtype, words),
            nonzero=code.nonzero,
            gaps=code.gaps,
            frames=list(code.frames),
        )
        packed.append((name, "U8", [len(code.blob)], memoryview(code.blob)))
    # The largest items first, so that every tensor lies aligned to its own.
    plain.sort(key=lambda entry: (-ITEM_SIZES[entry[1]], entry[0]))
    said = _text_of({"version": VERSION, "coded": coded, **fields})
    return [*plain, *packed], {"format": "pt", KEY: said}


def _text_of(fields: dict[str, Any]) -> str:
    try:
        return Manifest(**fields).to_text()
    except ValueError as error:
        raise ArtifactError(
            _OPERATION,
            "what is said of the model",
            given=f"no manifest ({' '.join(str(error).split())[:300]})",
            expected="names, texts and numbers",
            remedy="Pass source, run, metrics and kept as the documentation says.",
        ) from None


def _source(source: object) -> Source | None:
    if source is None or isinstance(source, Source):
        return source
    if isinstance(source, str):
        return Source(name=source)
    raise ArtifactError(
        _OPERATION,
        "the source",
        given=f"a {type(source).__name__}",
        expected="a reference net's name or package.module:function",
        remedy="Pass a text, or leave it out.",
    )


def _tensors(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Every tensor once, and the further names of those that are shared."""
    first: dict[int, str] = {}
    tensors: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    for name, slot in slots(model).items():
        _check_storable(name, slot.tensor)
        if id(slot.tensor) in first:
            tied[name] = first[id(slot.tensor)]
        else:
            first[id(slot.tensor)] = name
            tensors[name] = slot.tensor.detach()
    for name in model.state_dict():
        if name not in tensors and name not in tied:
            raise _unstorable(name, "no parameter and no buffer (an extra state)")
    return tensors, tied


def _check_storable(name: str, tensor: Tensor) -> None:
    if tensor.dtype not in NAMES:
        raise _unstorable(name, f"of type {tensor.dtype}")
    if tensor.layout != torch.strided or tensor.is_meta:
        raise _unstorable(name, "without dense storage")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise _unstorable(name[:40], "a name of many or unprintable letters")


def _unstorable(name: str, given: str) -> ArtifactError:
    return ArtifactError(
        _OPERATION,
        repr(name),
        given=given,
        expected="a dense tensor of a common type",
        remedy="Convert it first; files of secateur hold tensors only, and no pickle.",
    )


def _plain(subject: str, values: Mapping[str, Any]) -> Any:
    """Values as JSON gives them back: tuples are lists there."""
    try:
        return json.loads(json.dumps(dict(values), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ArtifactError(
            _OPERATION,
            subject,
            given=f"no JSON ({error})",
            expected="texts, finite numbers, lists and dicts of them",
            remedy="Convert tensors and arrays first, with .item() or .tolist().",
        ) from None


def _roles(model: nn.Module) -> dict[str, Role]:
    persistent = model.state_dict().keys()
    roles: dict[str, Role] = {name: weight.kind for name, weight in _prunable(model).items()}
    for name, _ in model.named_buffers():
        roles[name] = "buffer" if name in persistent else "transient"
    told = {name: usual_role(name, slot.tensor.shape) for name, slot in slots(model).items()}
    return {name: roles.get(name, "") for name in told if roles.get(name, "") != told[name]}


def _prunable(model: nn.Module) -> dict[str, Weight]:
    try:
        return prunable_weights(model)
    except ModelError:
        return {}


def _channels(tensors: Mapping[str, Tensor], dense: nn.Module | None, kept: Kept) -> dict[str, Any]:
    shapes = {name: slot.tensor.shape for name, slot in slots(dense).items()} if dense else {}
    texts: dict[str, int] = {}
    places = {
        name: {
            str(axis): texts.setdefault(to_ranges(index.tolist()), len(texts))
            for axis, index in axes.items()
        }
        for name, axes in kept.items()
        if name in tensors and axes
    }
    return {
        "dense": {
            name: list(shape)
            for name, shape in shapes.items()
            if name in tensors and shape != tensors[name].shape
        },
        "kept": list(texts),
        "slots": places,
    }


def _skipped(model: nn.Module, dense: nn.Module | None) -> dict[str, SkippedModule]:
    """The modules that were taken out with residual branches, and what they had."""
    whole = {} if dense is None else dict(dense.named_modules())
    had = {name: sum(own.numel() for own in one.parameters()) for name, one in whole.items()}
    return {
        name: SkippedModule(form=one.form, parameters=had.get(name, 0))  # type: ignore[arg-type]
        for name, one in model.named_modules()
        if isinstance(one, Skipped)
    }


def _names_within(
    masks: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Masks by the names that the file's tensors have.

    Those of a network in `DataParallel` begin with `module.`, which is left out of the file.
    """
    inner = {name.removeprefix(_WRAPPED): mask for name, mask in masks.items()}
    if all(name.startswith(_WRAPPED) for name in masks) and not masks.keys() & tensors.keys():
        return inner if inner.keys() & tensors.keys() else masks
    return masks


def _mask_counts(
    masks: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> dict[str, tuple[int, int]]:
    for name, mask in masks.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != mask.shape:
            continue
        if bool(tensor.masked_fill(mask.to(tensor.device), 0).any()):
            raise MaskError(
                _OPERATION,
                name,
                given="not zero where its mask has pruned it",
                expected="zeros",
                remedy="Call masks.apply(model) first, or freeze the masks while training.",
            )
    return {name: (int(mask.sum()), mask.numel()) for name, mask in masks.items()}
