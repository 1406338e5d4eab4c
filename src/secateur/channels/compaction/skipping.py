"""Skipping: residual branches that masks have emptied leave a network, module by module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from secateur.channels.branches.branches import Branches, find_branches
from secateur.channels.branches.dataflow import LIKE, TENSOR, Form
from secateur.channels.branches.residual import Branch
from secateur.channels.branches.skipped import skip
from secateur.channels.compaction.verify import Trial, attempt, drawn, first_trial
from secateur.channels.rebuild import rebuild, throwaway
from secateur.channels.sandbox import sandbox
from secateur.errors import ChannelError
from secateur.foundation.run_example import Inputs, arguments
from secateur.foundation.truth import any_true
from secateur.pruning.pinned import Pinned


def skip_branches(
    model: nn.Module, masked: nn.Module, masks: Mapping[str, Tensor], example_inputs: Inputs
) -> tuple[nn.Module, dict[str, Form], list[Pinned]]:
    """Take the modules of empty branches out of a network, and compare.

    A branch goes where all its parameters are zero. Its modules are replaced by ones that give zero
    (`Skipped`), the largest that do nothing else; where its code does not run with these, its own
    tensors stay, as small as they are, and the report says so.

    Args:
        model: The network without its empty channels.
        masked: The masked one, with all of them: the same modules and the same function.
        masks: Its masks, by name; where they empty no weight nothing is looked for.
        example_inputs: Its inputs.

    Returns:
        The network, or one without those modules; the modules with the form of what they gave; and
        which branches stayed.
    """
    if not _empties(masks, masked):
        return model, {}, []
    try:
        found = find_branches(masked, example_inputs)
    except ChannelError:
        return model, {}, []
    parameters = dict(masked.named_parameters())
    empty = [
        one for one in found.free if not any(any_true(parameters[n] != 0) for n in one.parameters)
    ]
    small, forms, tried = model, dict[str, Form](), empty
    for word in (TENSOR, LIKE):  # all at once; where they do not agree, one by one
        together = _forms(found, empty, word)
        if together and (made := _tried(model, together, example_inputs)) is not None:
            small, forms = made, together
            tried = [one for one in empty if not _forms(found, [one], word)]
            break
    stay: list[Pinned] = []
    for branch in tried:
        for word in (TENSOR, LIKE):
            own = {**forms, **_forms(found, [branch], word)}
            tried_one = _tried(model, own, example_inputs) if own != forms else None
            if tried_one is not None:
                small, forms = tried_one, own
                break
        else:
            why = "its code does not run without its modules; it stays as small as it can be"
            stay.append(Pinned(why, branch.path, 1, "empty branch"))
    return small, forms, stay


def _empties(masks: Mapping[str, Tensor], model: nn.Module) -> bool:
    """Whether masks leave nothing of a weight."""
    names = {name for name, one in model.named_parameters() if one.dim() > 1}
    return any(name in names and not any_true(mask) for name, mask in masks.items())


def _forms(found: Branches, branches: Sequence[Branch], word: str) -> dict[str, Form]:
    """The modules of some branches that something can stand for, and what that gives."""
    forms: dict[str, Form] = {}
    for branch in branches:
        for path in branch.modules:
            form = found.forms.get(path)
            if isinstance(form, str):
                forms[path] = word
            elif form is not None:
                forms[path] = [word if one == TENSOR else one for one in form]
    return forms


def _tried(model: nn.Module, forms: Mapping[str, Form], example_inputs: Inputs) -> nn.Module | None:
    """The network with some modules skipped, if it is the same function."""
    small = skip(_copy(model), forms)
    with suppress(Exception):
        return small if _agree(model, small, example_inputs) else None
    return None


def _agree(one: nn.Module, other: nn.Module, example: Inputs) -> bool:
    """Whether two networks give the same, in both modes and on inputs like the example, too."""
    for training in (False, True):
        if _runs(one, example, training) and not _runs(other, example, training):
            return False
    first, outputs = first_trial(one, example)
    trained = Trial(example, first.wider, training=True)
    expected = attempt(trained, one)
    trials = [(first, outputs), *([] if expected is None else [(trained, expected)])]
    return all(
        trial.agrees(one, other, given) for trial, given in (*trials, *drawn(first, outputs, one))
    )


def _runs(model: nn.Module, example: Inputs, training: bool) -> bool:
    """Whether a copy runs while nobody watches: then torch's modules may take ways of their own."""
    runner = throwaway(model).train(training)
    args, kwargs = arguments(example)
    with suppress(Exception), sandbox(runner):
        runner(*args, **kwargs)
        return True
    return False


def _copy(model: nn.Module) -> nn.Module:
    """A copy that shares every tensor: the network itself is handed over to nobody."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return rebuild(model, {name: torch.Tensor.detach(one) for name, one in tensors})
