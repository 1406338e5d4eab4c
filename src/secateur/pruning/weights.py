"""Which parameters are prunable weights, and to which kind of layer they belong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.rnn import RNNCellBase
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from secateur.errors import ModelError
from secateur.pruning.computed import Computed, computed_weights
from secateur.pruning.patterns import Pattern, PatternIndex
from secateur.pruning.request import checked_word
from secateur.pruning.sharded import check_whole
from secateur.pruning.usage import Usage, WeightKind, usage

Scope = Literal["all", "conv", "non-conv"]
Tied = Literal["keep", "prune"]

_LINEAR = (nn.Linear, nn.Bilinear, nn.MultiheadAttention, nn.RNNBase, RNNCellBase)
_TABLES = (nn.Embedding, nn.EmbeddingBag)
_NEVER = (*_TABLES, _NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.PReLU)
_NEVER_NAMED = re.compile(r"(norm(\d+d)?|embeddings?)$", re.I)
# Words in a parameter's name, where its layer is none of torch's: tables are never weights, what
# the other words name is no weight unless a pass shows that it is.
_TABLE = re.compile(
    r"(^|_)(embed|pos(_|$|ition)|(tokens?|queries|latents?|prompts?|codebooks?|anchors?)$)"
)
_OTHER = re.compile(
    r"(^|_)(bias|scal|gamma|beta|norm|alpha|mean|std|var|temp|log|decay|lambda|mask|shift|offset"
    r"|init|state|hidden|memory|table|token|latent)"
)


@dataclass(frozen=True)
class Weight:
    """One prunable weight.

    Attributes:
        name: Its state-dict name; of a tied weight, the first in the order of the modules. Of a
            weight that is computed, the ingredient's that a mask is put on.
        module: Name of the module that owns it.
        kind: `conv` for convolutions of any rank, transposed or not; `linear` for the rest.
        parameter: The live parameter.
        computed: How the layer computes its weight, where it does not use the parameter itself.
        maskable: Whether a zero in the parameter is a zero in the weight.
    """

    name: str
    module: str
    kind: WeightKind
    parameter: nn.Parameter
    computed: Computed | None = None
    maskable: bool = True

    @property
    def value(self) -> Tensor:
        """What the layer computes with, detached."""
        return self.parameter.detach() if self.computed is None else self.computed.value()

    @property
    def ingredients(self) -> tuple[str, ...]:
        """State-dict names of the parameters that it is made of: its own, if it is not computed."""
        if self.computed is None:
            return (self.name,)
        prefix = f"{self.module}." if self.module else ""
        return tuple(prefix + name for name in self.computed.ingredients)


@dataclass(frozen=True)
class Found:
    """The parameters of a network that have two or more axes, sorted.

    Attributes:
        weights: The prunable weights, by name.
        unclear: Names of those of layers that are none of torch's, which are not counted.
    """

    weights: dict[str, Weight]
    unclear: dict[str, int]


def prunable_weights(
    model: nn.Module,
    scope: Scope = "all",
    *,
    example_inputs: Any = None,
    tied: Tied = "keep",
    prunable: Sequence[Pattern] = (),
) -> dict[str, Weight]:
    """The weights that pruning may zero, by state-dict name, in the order of the modules.

    - Of torch's own convolutions, linear and bilinear layers, attention, recurrent layers and
      cells: the parameters of two or more axes.
    - Of any other layer: with an example, every parameter that multiplies activations in a matrix
      product or convolution; without one (or where the example does not come by), every floating
      parameter that is longer than one along two or more axes, unless its name says that it is
      something else (`bias`, `scale`, `position`, `token`, ...).
    - Never: biases, norms, embeddings, tables of positions and the like. A weight that is an
      embedding's too is one, unless `tied` says otherwise.
    - Whatever the caller names by `prunable`, all the same.
    - A weight that a layer computes (weight norm, a parametrization, the masks of
      `torch.nn.utils.prune`) counts as it comes out.

    A weight that several modules share counts once.

    Args:
        model: Any network.
        scope: `all`, or only those of `conv` or `non-conv` layers.
        example_inputs: A batch that the model accepts; it is run only where a layer is none of
            torch's and has parameters that may be weights.
        tied: `keep`: a matrix that an embedding shares is an embedding. `prune`: it is a weight.
        prunable: Patterns of parameters that are weights, whatever else is known of them.

    Raises:
        ModelError: The network has no such weight, or has layers that have never been run.
        MaskError: A pattern matches nothing.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 2))
        >>> [weight.name for weight in prunable_weights(net).values()]
        ['0.weight', '2.weight']
    """
    checked_word("scope", scope, Scope)
    found = sorted_weights(model, example_inputs=example_inputs, tied=tied, prunable=prunable)
    return in_scope(found.weights, scope, type(model).__name__)


def in_scope(weights: Mapping[str, Weight], scope: Scope, network: str) -> dict[str, Weight]:
    """Those of a network's prunable weights that are of some kinds of layers.

    Raises:
        ModelError: There is none.
    """
    wanted = {"all": ("conv", "linear"), "conv": ("conv",), "non-conv": ("linear",)}[scope]
    found = {name: weight for name, weight in weights.items() if weight.kind in wanted}
    if not found:
        raise ModelError(
            "looking for prunable weights",
            network,
            given=f"a network without one in scope {scope!r}",
            expected="at least one convolution or linear layer in the scope",
            remedy="Choose another scope or method, or check that the layers are nn modules.",
        )
    return found


def sorted_weights(
    model: nn.Module,
    *,
    example_inputs: Any = None,
    tied: Tied = "keep",
    prunable: Sequence[Pattern] = (),
) -> Found:
    """All prunable weights, and what may be one and is not counted.

    Raises:
        ModelError: The network has layers that have never been run, or fails on the example.
        MaskError: A pattern of `prunable` matches nothing.
    """
    checked_word("tied", tied, Tied)
    _check_initialised(model)
    check_whole(model, "looking for prunable weights")
    asked = example_inputs is not None and (tied == "prune" or any(_unsure(model)))
    named = _named(model, prunable) if prunable else frozenset()
    walk = _Walk(model, usage(model, example_inputs) if asked else None, tied, named)
    weights = {weight.name: weight for weight in walk.weights()}
    return Found(weights, walk.unclear)


def _named(model: nn.Module, prunable: Sequence[Pattern]) -> frozenset[int]:
    """The ids of the parameters that a caller takes for weights."""
    index = PatternIndex(model)
    found = frozenset[int]()
    floating = {id(one) for one in model.parameters() if one.is_floating_point()}
    for pattern in prunable:
        numbers = index.find(pattern) & floating
        if not numbers:
            raise index.refused("prunable", pattern)
        found |= numbers
    return found


def kind_of(module: nn.Module) -> WeightKind | None:
    """`conv`, `linear`, or None for a module that is none of torch's with prunable weights.

    Example:
        >>> kind_of(nn.Conv1d(1, 1, 1)), kind_of(nn.LSTMCell(1, 1)), kind_of(nn.Embedding(1, 1))
        ('conv', 'linear', None)
    """
    if isinstance(module, _ConvNd):
        return "conv"
    return "linear" if isinstance(module, _LINEAR) else None


class _Walk:
    """One way through the modules of a network, each parameter once."""

    def __init__(
        self, model: nn.Module, seen: Usage | None, tied: Tied, named: frozenset[int]
    ) -> None:
        self._model, self._usage, self._tied, self._named = model, seen, tied, named
        tables = (module for module in model.modules() if isinstance(module, _TABLES))
        self._tables = {id(parameter) for table in tables for parameter in table.parameters()}
        self._done: set[int] = set()
        self.unclear: dict[str, int] = {}

    def weights(self) -> Iterator[Weight]:
        for path, module in self._model.named_modules():
            if isinstance(module, ParametrizationList):
                continue
            ingredients: set[int] = set()
            for computed in computed_weights(module):
                ingredients.update(map(id, computed.ingredients.values()))
                yield from self._computed(path, module, computed)
            for name, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in self._done | ingredients:
                    yield from self._plain(path, module, name, parameter)

    def _plain(
        self, path: str, module: nn.Module, name: str, parameter: nn.Parameter
    ) -> Iterator[Weight]:
        full = f"{path}.{name}" if path else name
        kind = self._kind(module, full, parameter, parameter)
        if kind is None:
            return
        self._done.add(id(parameter))
        yield Weight(full, path, kind, parameter)

    def _computed(self, path: str, module: nn.Module, computed: Computed) -> Iterator[Weight]:
        if not computed.ingredients:
            return
        prefix = f"{path}." if path else ""
        masked = computed.masked_by()
        own = masked or next(iter(computed.ingredients))
        parameter = computed.ingredients[own]
        kind = self._kind(module, prefix + computed.name, parameter, computed.value())
        if kind is not None and id(parameter) not in self._done:
            self._done.add(id(parameter))
            yield Weight(prefix + own, path, kind, parameter, computed, masked is not None)

    def _kind(
        self, module: nn.Module, name: str, parameter: nn.Parameter, value: Tensor
    ) -> WeightKind | None:
        """What a parameter is the weight of; None if it is no prunable weight."""
        if id(parameter) in self._named:
            seen = self._usage.kinds.get(id(parameter)) if self._usage else None
            return kind_of(module) or seen or _by_shape(value)
        if value.ndim < 2 or (id(parameter) in self._tables and self._tied == "keep"):
            return None
        known = kind_of(module)
        if known is not None:
            # Attention's bias_k and bias_v have three axes.
            return None if name.rpartition(".")[2].startswith("bias") else known
        if isinstance(module, _TABLES):
            return self._usage.kinds.get(id(parameter)) if self._usage else None
        if not is_unsure(module, value):
            return None
        kind = self._foreign_kind(name, parameter, value)
        if kind is None:
            self.unclear[name] = value.numel()
        return kind

    def _foreign_kind(self, name: str, parameter: nn.Parameter, value: Tensor) -> WeightKind | None:
        word = _word(name)
        if _TABLE.search(word):
            return None
        if self._usage is not None and id(parameter) in self._usage.met:
            return self._usage.kinds.get(id(parameter))
        if _OTHER.search(word) or sum(size > 1 for size in value.shape) < 2:
            return None
        return _by_shape(value)


def _by_shape(value: Tensor) -> WeightKind:
    return "conv" if value.ndim > 3 else "linear"


def _unsure(model: nn.Module) -> Iterator[nn.Module]:
    """The modules that only a pass can tell about."""
    for module in model.modules():
        own = module.parameters(recurse=False)
        if kind_of(module) is None and any(is_unsure(module, parameter) for parameter in own):
            yield module


def is_unsure(module: nn.Module, value: Tensor) -> bool:
    """Whether a tensor of a module that is no layer of torch's may be a weight."""
    if isinstance(module, _NEVER) or _NEVER_NAMED.search(type(module).__name__):
        return False
    return value.ndim >= 2 and (value.is_floating_point() or value.is_complex())


def _word(name: str) -> str:
    """The last part of a name that is no number (lists count their parameters), as snake_case."""
    parts = [part for part in name.split(".") if not part.isdigit()]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parts[-1]).lower() if parts else ""


def _check_initialised(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ModelError(
                "looking for prunable weights",
                name,
                given="a lazy parameter that has no shape yet",
                expected="a network that has been run once",
                remedy="Run the model on a batch first: model(example).",
            )
