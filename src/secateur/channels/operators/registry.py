"""The one table of operators: name -> what it does to channels, its rule and its traits together.

@operator("relu", follows_any_cut=True, keeps_zero=True)
def elementwise(call): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from secateur.channels.labels.axis_labels import TensorLabels
from secateur.channels.labels.op_call import Call, Rule
from secateur.errors import UnknownNameError, UsageError

Test = Callable[[Call, Sequence[TensorLabels]], bool]
"""Decides a trait for one call, from its arguments and from the layouts that its rule gave."""


@dataclass(frozen=True, slots=True)
class Operator:
    """What is known of an operator. A trait that is not claimed is found out by running a cut.

    Attributes:
        rule: Gives the labels of the results from those of the arguments, and ties what meets.
        follows_any_cut: No argument counts channels, so it runs on the cut tensors as it is.
        keeps_zero: A channel is zero in the result if it is zero in every argument that has it.
        sums_channels: Whatever it sums over channels is zero for a channel that is zero there.
        moves_elements: The result's elements are its argument's, in another order or number.
        keeps_shape: The result has the shape to which its tensors broadcast.
        values_from_numbers: A number among its arguments may become a value in the result.
    """

    rule: Rule
    follows_any_cut: bool | Test = False
    keeps_zero: bool | Test = False
    sums_channels: bool = False
    moves_elements: bool = False
    keeps_shape: bool = False
    values_from_numbers: bool = False


OPERATORS: dict[str, Operator] = {}


def operator(
    *names: str,
    follows_any_cut: bool | Test = False,
    keeps_zero: bool | Test = False,
    sums_channels: bool = False,
    moves_elements: bool = False,
    keeps_shape: bool = False,
    values_from_numbers: bool = False,
) -> Callable[[Rule], Rule]:
    """Enter a rule into the table under these operator names, with their traits; see `Operator`.

    One function may be entered several times, for operators that it treats alike but whose traits
    differ.
    """

    def register(rule: Rule) -> Rule:
        entry = Operator(
            rule,
            follows_any_cut=follows_any_cut,
            keeps_zero=keeps_zero,
            sums_channels=sums_channels,
            moves_elements=moves_elements,
            keeps_shape=keeps_shape,
            values_from_numbers=values_from_numbers,
        )
        OPERATORS.update(dict.fromkeys(names, entry))
        return rule

    return register


def register_operator(
    name: object,
    rule: Rule | None = None,
    *,
    like: str = "",
    follows_any_cut: bool | Test = False,
    keeps_zero: bool | Test = False,
    sums_channels: bool = False,
) -> None:
    """Teach the tracer an operator of one's own.

    Without a rule an operator pins every channel that it touches. Whatever is claimed here, a cut
    is still tried before anything is zeroed: what a wrong rule breaks is pinned.

    Args:
        name: As the report calls it: `library::operator` of `torch.ops`, or
            `package.module.function` of a function that `__torch_function__` sees.
        rule: Gives the labels of the results; see the files of `secateur.channels.operators`.
        like: An operator that is known and does the same to channels: `"relu"` for any function of
            one tensor element by element, `"add"` for one of several.
        follows_any_cut: See `Operator`.
        keeps_zero: See `Operator`.
        sums_channels: See `Operator`.

    Raises:
        UsageError: The name is taken, neither or both of `rule` and `like` are given, or a trait
            is no truth value, or is given beside `like`.
        UnknownNameError: `like` is no known operator.

    Example:
        >>> register_operator("mylib::swish", like="silu")
        >>> OPERATORS["mylib::swish"].keeps_zero is OPERATORS["silu"].keeps_zero
        True
        >>> del OPERATORS["mylib::swish"]
    """
    if not isinstance(name, str) or not name or name in OPERATORS:
        raise _refused("the name", f"{name!r:.60}", "a new one, as the report of a trace has it")
    if not isinstance(like, str):
        raise _refused("like", f"{like!r:.60}", "the name of an operator that is known")
    if (rule is None) == (not like):
        raise _refused("the rule", "given twice or not at all", "either a rule, or like=")
    traits = {
        "follows_any_cut": follows_any_cut,
        "keeps_zero": keeps_zero,
        "sums_channels": sums_channels,
    }
    _check_traits(traits, like)
    if like:
        if like not in OPERATORS:
            raise UnknownNameError("operator", like, OPERATORS)
        OPERATORS[name] = OPERATORS[like]
    elif callable(rule):
        OPERATORS[name] = Operator(rule, follows_any_cut, keeps_zero, sums_channels)
    else:
        raise _refused("the rule", f"a {type(rule).__name__}", "a function of one Call")


def _check_traits(traits: Mapping[str, object], like: str) -> None:
    """Refuse a trait that would be read as true by accident, or not be read at all."""
    for trait, claim in traits.items():
        if like and claim is not False:
            raise _refused(trait, f"given beside like={like!r}", "no trait: like= brings its own")
        decides = callable(claim) and trait != "sums_channels"
        if not isinstance(claim, bool) and not decides:
            either = "True or False" if trait == "sums_channels" else "True, False or a function"
            raise _refused(trait, f"{claim!r:.60}", either)


def _refused(subject: str, given: str, expected: str) -> UsageError:
    return UsageError(
        "registering an operator",
        subject,
        given=given,
        expected=expected,
        remedy="See the guide, The channel engine, An operator of your own.",
    )


def has_trait(
    name: str, trait: Literal["moves_elements", "keeps_shape", "values_from_numbers"]
) -> bool:
    """Whether an operator is known and has one of the traits that need no call to decide.

    Example:
        >>> has_trait("relu", "keeps_shape"), has_trait("nobody's", "keeps_shape")
        (True, False)
    """
    entry = OPERATORS.get(name)
    return entry is not None and bool(getattr(entry, trait))


def follows_any_cut(entry: Operator, call: Call, layouts: Sequence[TensorLabels]) -> bool:
    """Whether a call runs on tensors with fewer channels, with the arguments as they are."""
    trait = entry.follows_any_cut
    return trait(call, layouts) if callable(trait) else trait


def may_be_nonzero(entry: Operator, call: Call, layouts: Sequence[TensorLabels]) -> bool:
    """Whether a result may be non-zero for a channel whose own parameters are all zero.

    Buffers and tensors made on the way may be non-zero, parameters are zeroed. What sums over an
    axis that may be non-zero is to be tried out.
    """
    trait = entry.keeps_zero
    if callable(trait):
        return not trait(call, layouts)
    return not trait or any(one.may_be_nonzero for one in call.inputs.values() if any(one.axes))


def sums_only_zeros(entry: Operator, call: Call) -> bool:
    """Whether a sum over channels gets nothing from those whose own parameters are zero."""
    moving = [one for one in call.inputs.values() if not one.constant and any(one.axes)]
    return entry.sums_channels and not all(one.may_be_nonzero for one in moving)
