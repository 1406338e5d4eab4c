"""The one suite that every registered method joins by iteration."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur import models
from secateur.errors import MaskError, ModelError
from secateur.foundation.granularity import n_of_m
from secateur.pruning.criterion import INITIAL, SCALES, Statistics, needs_of, reconstructs
from secateur.pruning.groups import Groups
from secateur.pruning.masks import Masks
from secateur.pruning.method import Method, Part, parts_of
from secateur.pruning.select import cut
from secateur.pruning.slimming_norms import insert_norms
from secateur.pruning.statistics import Batches, Collector, Loss, gather, needs_data
from secateur.pruning.weight_matrix import WeightMatrix
from secateur.pruning.weight_units import units_of as weight_units
from secateur.pruning.weights import prunable_weights
from secateur.registry import COLLECTORS, CRITERIA, METHODS
from secateur.verbs.units import groups_of

LEVELS = ((0.25,), (0.5,), (0.9,))
NETS = {"conv4": (3, 12, 12), "lenet-300-100": (1, 8, 8), "resnet20": (3, 8, 8)}
CONV_NETS = tuple(name for name in NETS if name != "lenet-300-100")
SMALL = "small"


def small() -> nn.Module:
    """A net with a norm, a residual sum and 600 weights, on which scoring costs next to nothing."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 5, 3, padding=1)
            self.norm = nn.BatchNorm2d(5)
            self.second = nn.Conv2d(5, 5, 3, padding=1)
            self.last = nn.Conv2d(5, 4, 2, stride=2)
            self.head = nn.Linear(16, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.norm(self.first(x)))
            x = torch.relu(self.last(torch.relu(x + self.second(x))))
            scores: Tensor = self.head(x.flatten(1))
            return scores

    return Residual()


def mean_square(model: nn.Module, batch: Tensor) -> Tensor:
    """A loss of which every weight takes part."""
    found: Tensor = model(batch)
    return (found - 1).square().mean()


class Case:
    """A net, built once, and how a method cuts it."""

    def __init__(self, net: str) -> None:
        torch.manual_seed(7)
        shape = (3, 4, 4) if net == SMALL else NETS[net]
        model = small() if net == SMALL else models.build(net, shape, 5)
        for module in model.modules():  # so that norms are no two alike
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.1, 1.0)
        self._set(model, torch.randn(2, *shape))

    @classmethod
    def of(cls, model: nn.Module, example: Tensor) -> Case:
        """The case of any net."""
        case = cls.__new__(cls)
        case._set(model, example)
        return case

    def _set(self, model: nn.Module, example: Tensor) -> None:
        self.model, self.example = model, example
        self._groups: dict[tuple[str, str], Groups] = {}
        self.scales = insert_norms(copy.deepcopy(model), example).statistics().scales
        self._first = copy.deepcopy(model)
        self._gathered: dict[str, Mapping[str, Tensor]] = {}

    def gathered(self, method: Method) -> dict[str, Mapping[str, Tensor]]:
        """What the method's criteria need, of the net as it was first, each thing once."""
        for need in needs_of(CRITERIA[part.criterion] for part in method.parts):
            if need == INITIAL:
                torch.manual_seed(8)
                weights = prunable_weights(self._first)
                self._gathered.setdefault(
                    need, {name: torch.randn(one.value.shape) for name, one in weights.items()}
                )
            elif need != SCALES and need not in self._gathered:
                batches = [self.example, -self.example]
                self._gathered |= gather(
                    self._first, [need], batches, mean_square, example_inputs=self.example
                )
        return self._gathered

    def groups(self, part: Part) -> Groups:
        key = (part.granularity, part.scope)
        if key not in self._groups:
            self._groups[key] = groups_of(self.model, part, self.example)
        return self._groups[key]

    def cut(self, method: Method, level: Sequence[float], previous: Masks | None = None) -> Masks:
        return cut(
            self.model,
            method.parts,
            level,
            groups_of=self.groups,
            statistics=Statistics(scales=self.scales, seed=3, gathered=self.gathered(method)),
            previous=previous,
        )


@pytest.fixture(scope="module")
def case() -> Callable[[str], Case]:
    built: dict[str, Case] = {}

    def get(net: str) -> Case:
        if net not in built:
            built[net] = Case(net)
        return built[net]

    return get


SHAPES = ("2:4", "1:3", "4x4", "1x4", "4x1", "kernel")


def at(name: str, granularity: str, **settings: Any) -> Method:
    """A method of weights at another granularity."""
    method: Method = METHODS[name]
    asked = method.options(granularity=granularity, **settings)
    return replace(method, parts=parts_of(method, asked))


RECIPES: dict[str, Method] = {name: METHODS[name] for name in METHODS}
RECIPES |= {f"magnitude {word}": at("magnitude", word) for word in SHAPES}
"""Every method, and one of single weights at every other granularity of weights."""


def needs_convolutions(method: Method) -> bool:
    return any(part.scope == "conv" for part in method.parts)


def way(method: Method) -> object:
    """How a method cuts, whatever it scores by."""
    return method.schedule, [
        (one.granularity, one.scope, one.ranked, one.allocation) for one in method.parts
    ]


def runnable() -> Iterator[tuple[str, str]]:
    """Every method on the small net; the first of each way of cutting on large ones, too."""
    met: list[object] = []
    for name in METHODS:
        yield name, SMALL
        if way(METHODS[name]) not in met:
            met.append(way(METHODS[name]))
            for net in CONV_NETS if needs_convolutions(METHODS[name]) else NETS:
                yield name, net
    yield from ((name, SMALL) for name in RECIPES if name not in METHODS)


EVERY = pytest.mark.parametrize(("name", "net"), list(runnable()))
CUTTING = [name for name in RECIPES if RECIPES[name].parts]
EVERY_THAT_CUTS = pytest.mark.parametrize(
    ("name", "net"), [(name, net) for name, net in runnable() if name in CUTTING]
)


def units_of(case: Case, part: Part) -> list[list[int]]:
    """For each ranked set of units, the weights that each unit takes with it."""
    weights = prunable_weights(case.model, part.scope)
    if not part.cuts_channels:
        sizes = []
        for weight in weights.values():
            layer = case.model.get_submodule(weight.module)
            units = weight_units(WeightMatrix.of(layer, weight.value.shape), part.granularity)
            alone = units.rows(torch.ones(weight.value.shape)).sum(dim=1)
            sizes.append([int(size) for size in alone])
    else:
        groups = case.groups(part)
        held = [0] * groups.count
        for slot in groups.slots:
            if slot.role == "write" and slot.parameter in weights:
                parameter = weights[slot.parameter].parameter
                for group in slot.groups.tolist():
                    if group >= 0:
                        held[group] += parameter.numel() // parameter.shape[slot.axis]
        sizes = [
            [held[group] for group in range(groups.count) if int(groups.layer[group]) == layer]
            for layer in range(len(groups.layers))
        ]
    return [[size for layer in sizes for size in layer]] if part.ranked == "global" else sizes


def zeros_in(case: Case, masks: Masks, part: Part) -> int:
    weights = prunable_weights(case.model, part.scope)
    return sum(int((~masks[name]).sum()) for name in weights if name in masks)


@EVERY
def test_masks_have_the_shapes_of_the_parameters(
    name: str, net: str, case: Callable[[str], Case]
) -> None:
    masks = case(net).cut(RECIPES[name], (0.5,))
    parameters = dict(case(net).model.named_parameters())
    assert set(masks) <= set(parameters)
    assert bool(masks) == bool(RECIPES[name].parts)
    for key, mask in masks.items():
        assert mask.dtype == torch.bool
        assert mask.shape == parameters[key].shape


@EVERY
def test_the_same_cut_twice_gives_the_same_bits(
    name: str, net: str, case: Callable[[str], Case]
) -> None:
    first, second = (case(net).cut(RECIPES[name], (0.7,)) for _ in range(2))
    assert first == second
    assert first.floored == second.floored


@EVERY
def test_the_layout_in_memory_changes_no_mask(
    name: str, net: str, case: Callable[[str], Case]
) -> None:
    plain = case(net)
    other = copy.copy(plain)
    other.model = copy.deepcopy(plain.model).to(memory_format=torch.channels_last)
    assert other.cut(RECIPES[name], (0.7,)) == plain.cut(RECIPES[name], (0.7,))


def bits(model: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def surroundings(model: nn.Module) -> list[object]:
    found: list[object] = []
    for name, module in model.named_modules():
        hooks = [key for key, value in vars(module).items() if "hooks" in key and value]
        found.append((name, type(module), module.training, hooks))
    found.extend((name, p.requires_grad, p.grad) for name, p in model.named_parameters())
    return found


@EVERY
@pytest.mark.parametrize("training", [True, False])
def test_scoring_leaves_the_model_untouched(
    name: str, net: str, training: bool, case: Callable[[str], Case]
) -> None:
    own = copy.copy(case(net))
    own.model = copy.deepcopy(own.model).train(training)
    next(iter(own.model.children())).train(not training)  # flags may differ among the modules
    own._groups = {}  # traced anew, on this model
    before, around = bits(own.model), surroundings(own.model)
    state = torch.get_rng_state()
    own.cut(RECIPES[name], (0.5,))
    assert bits(own.model) == before
    assert surroundings(own.model) == around
    assert torch.equal(torch.get_rng_state(), state)


@EVERY
@pytest.mark.parametrize("level", LEVELS)
def test_counts_are_the_nearest_that_whole_units_allow(
    name: str, net: str, level: tuple[float, ...], case: Callable[[str], Case]
) -> None:
    masks = case(net).cut(RECIPES[name], level)
    share = Fraction(str(level[0]))
    for part in RECIPES[name].parts:
        if n_of_m(part.granularity) is not None:
            continue  # no ranking; see the test after this one
        ranked = units_of(case(net), part)
        total = sum(
            w.parameter.numel() for w in prunable_weights(case(net).model, part.scope).values()
        )
        assert sum(map(sum, ranked)) == total, "these nets have no channel that is pinned"
        cut_weights = zeros_in(case(net), masks, part)
        # One more unit, or one less, in every ranked set would not be nearer.
        slack = sum(Fraction(max(sizes), 2) for sizes in ranked)
        if not masks.floored:
            assert abs(cut_weights - share * total) <= slack
            if part.granularity == "weight" and part.ranked == "global":
                assert slack == Fraction(1, 2)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("word", "kept"), [("2:4", (3, 2, 2)), ("1:3", (2, 2, 1))])
def test_n_of_m_are_kept_in_every_group(
    word: str, kept: tuple[int, ...], level: tuple[float, ...], case: Callable[[str], Case]
) -> None:
    """On the way there the nearest number; of a group that is short at most as many."""
    wanted, size = kept[LEVELS.index(level)], int(word[2:])
    masks = case(SMALL).cut(RECIPES[f"magnitude {word}"], level)
    assert masks.keys() == prunable_weights(case(SMALL).model).keys()
    for mask in masks.values():
        for group in mask.split(size, dim=1):  # the inputs of a layer lie along its second axis
            assert (group.sum(dim=1) == min(wanted, group.shape[1])).all()


@pytest.mark.parametrize("word", SHAPES)
@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].family == "weights"])
def test_every_method_of_weights_takes_every_granularity_of_weights(
    name: str, word: str, case: Callable[[str], Case]
) -> None:
    tall = word in ("4x4", "4x1") and METHODS[name].parts[0].ranking == "output"
    method = at(name, word, **({"ranking": "layer"} if tall else {}))
    if n_of_m(word) is None and reconstructs(CRITERIA[method.parts[0].criterion]):
        with pytest.raises(MaskError, match=f"the granularity is '{word}'"):
            case(SMALL).cut(method, (0.5,))
        return
    masks = case(SMALL).cut(method, (0.5,))
    assert case(SMALL).cut(method, (0.5,)) == masks
    if n_of_m(word) is not None:  # as many go, whatever it scores by
        assert masks.zeros == case(SMALL).cut(RECIPES[f"magnitude {word}"], (0.5,)).zeros
        return
    ranked = units_of(case(SMALL), method.parts[0])
    slack = sum(Fraction(max(sizes), 2) for sizes in ranked)
    assert abs(masks.zeros - Fraction(masks.total, 2)) <= slack


@EVERY
def test_masks_nest_when_each_level_starts_from_the_last(
    name: str, net: str, case: Callable[[str], Case]
) -> None:
    previous: Masks | None = None
    own = copy.copy(case(net))
    own.model = copy.deepcopy(own.model)
    own.scales = dict(own.scales)
    for level in LEVELS:
        masks = own.cut(RECIPES[name], level, previous)
        if previous is not None:
            assert masks.is_within(previous)
            assert masks == previous or masks.zeros > previous.zeros
        previous = masks
        with torch.no_grad():  # as retraining would: everything moves, what is cut stays cut
            for parameter in own.model.parameters():
                parameter.copy_(torch.randn(parameter.shape))
        own.scales = {key: torch.rand(scale.shape) for key, scale in own.scales.items()}
        masks.apply(own.model)


@EVERY
def test_no_layer_is_ever_emptied(name: str, net: str, case: Callable[[str], Case]) -> None:
    masks = case(net).cut(RECIPES[name], (0.999999,))
    for key, mask in masks.items():
        assert bool(mask.any()), f"{key} is empty"
    patterns = any(n_of_m(part.granularity) for part in RECIPES[name].parts)
    assert bool(masks.floored) == (bool(RECIPES[name].parts) and not patterns)
    layers = dict(case(net).model.named_modules()) | dict(case(net).model.named_parameters())
    assert set(masks.floored) <= set(layers)


@EVERY
def test_level_0_cuts_nothing(name: str, net: str, case: Callable[[str], Case]) -> None:
    masks = case(net).cut(RECIPES[name], (0.0,))
    assert masks.zeros == 0
    assert masks.floored == ()


@pytest.mark.parametrize("name", CUTTING)
@pytest.mark.parametrize("sparsity", [1, 1.0, 1.5, -0.1, float("nan"), float("inf"), "0.5", True])
def test_a_sparsity_out_of_range_is_refused(
    name: str, sparsity: float, case: Callable[[str], Case]
) -> None:
    with pytest.raises(MaskError, match="0 up to, but not including, 1"):
        case("conv4").cut(RECIPES[name], (sparsity,))


@pytest.mark.parametrize("name", list(METHODS))
def test_a_net_without_the_methods_layers_is_refused(
    name: str, case: Callable[[str], Case]
) -> None:
    if not needs_convolutions(METHODS[name]):
        assert case("lenet-300-100").cut(METHODS[name], (0.5,)) is not None
        return
    with pytest.raises(ModelError, match="Choose another scope or method"):
        case("lenet-300-100").cut(METHODS[name], (0.5,))


@EVERY_THAT_CUTS
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(
    name: str, net: str, value: float, case: Callable[[str], Case]
) -> None:
    own = copy.copy(case(net))
    own.model = copy.deepcopy(own.model)
    weights = prunable_weights(own.model, RECIPES[name].parts[0].scope)
    broken = list(weights.values())[1]
    with torch.no_grad():
        broken.parameter.view(-1)[3] = value
    with pytest.raises(MaskError) as caught:
        own.cut(RECIPES[name], (0.5,))
    assert caught.value.subject == broken.name
    assert "1 of" in caught.value.given


class _Tied(nn.Module):
    """Two convolutions, and two linear layers, of one weight each."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.again = nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Conv2d(6, 7, 3, padding=1)
        self.fc = nn.Linear(7, 7)
        self.fc_again = nn.Linear(7, 7)
        self.head = nn.Linear(7, 2)
        self.again.weight = self.conv.weight
        self.fc_again.weight = self.fc.weight

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(torch.relu(self.first(x))))
        x = torch.relu(self.last(torch.relu(self.again(x))))
        scores: Tensor = self.head(torch.relu(self.fc_again(torch.relu(self.fc(x.mean((2, 3)))))))
        return scores


@pytest.mark.parametrize("granularity", ["own", "filter"])
@pytest.mark.parametrize("name", list(METHODS))
def test_tied_weights_stay_tied_and_count_once(name: str, granularity: str) -> None:
    torch.manual_seed(0)
    tied = Case.of(_Tied(), torch.randn(2, 3, 8, 8))
    method: Method = METHODS[name]
    if granularity == "filter":
        method = Method(
            name,
            "",
            "",
            tuple(
                replace(part, granularity="filter") if part.granularity == "channel" else part
                for part in method.parts
            ),
        )
    masks = tied.cut(method, (0.5,))
    weights = prunable_weights(tied.model)
    names = ["conv.weight", "fc.weight", "first.weight", "head.weight", "last.weight"]
    assert sorted(weights) == names
    assert not {"again.weight", "fc_again.weight"} & set(masks)
    masks.apply(tied.model)
    assert tied.model.again.weight is tied.model.conv.weight
    assert tied.model.fc_again.weight is tied.model.fc.weight
    forced = 0  # what the parts before cut of this part's weights: rows of a shared channel
    for number, part in enumerate(method.parts):
        total = sum(w.parameter.numel() for w in prunable_weights(tied.model, part.scope).values())
        if number:
            earlier = Method(name, "", "", method.parts[:number])
            forced = zeros_in(tied, tied.cut(earlier, (0.5,)), part)
        slack = sum(Fraction(max(sizes), 2) for sizes in units_of(tied, part))
        assert abs(zeros_in(tied, masks, part) - max(Fraction(total, 2), forced)) <= slack


def own_data(method: Method) -> list[type[Collector]]:
    """The statistics that a method's criteria look at data for."""
    return [
        COLLECTORS[need]
        for need in needs_of(CRITERIA[part.criterion] for part in method.parts)
        if need in COLLECTORS and needs_data(need)
    ]


LOOKING = [name for name in METHODS if own_data(METHODS[name])]


def cut_on_data(own: Case, name: str, batches: Batches, loss: Loss) -> Masks:
    return secateur.prune(
        copy.deepcopy(own.model),
        name,
        sparsity=0.5,
        example_inputs=own.example,
        data=batches,
        loss=loss,
        seed=3,
    )


@pytest.mark.parametrize("name", LOOKING)
def test_one_batch_is_enough_and_gives_the_same_bits(
    name: str, case: Callable[[str], Case]
) -> None:
    own = case(SMALL)
    first, second = (cut_on_data(own, name, [own.example], mean_square) for _ in range(2))
    assert first == second
    assert first.zeros


@pytest.mark.parametrize("name", [n for n in LOOKING if own_data(METHODS[n])[0].backward])
def test_gradients_that_are_zero_everywhere_are_refused(
    name: str, case: Callable[[str], Case]
) -> None:
    own = case(SMALL)
    with pytest.raises(MaskError, match="zero for every weight of the network"):
        cut_on_data(own, name, [own.example], lambda net, batch: net(batch).sum() * 0)


@pytest.mark.parametrize("name", LOOKING)
def test_data_that_are_needed_are_asked_for(name: str, case: Callable[[str], Case]) -> None:
    own = case(SMALL)
    with pytest.raises(MaskError, match=r"which the criterion .* needs.*Pass data="):
        secateur.prune(copy.deepcopy(own.model), name, sparsity=0.5, example_inputs=own.example)


@pytest.mark.parametrize("given", ["data", "loss"])
def test_data_without_a_loss_are_told_so(given: str, case: Callable[[str], Case]) -> None:
    own = case(SMALL)
    one: dict[str, Any] = {"data": [own.example], "loss": lambda net, batch: net(batch)}
    with pytest.raises(MaskError, match=f"left out beside {given}=, expected both"):
        secateur.prune(copy.deepcopy(own.model), LOOKING[0], sparsity=0.5, **{given: one[given]})


OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda parameters: torch.optim.Adam(parameters, 0.1, weight_decay=0.1),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, 0.1, weight_decay=0.1),
}


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("name", CUTTING)
def test_what_is_cut_is_zero_to_the_bit_after_training(
    name: str, optimizer: str, case: Callable[[str], Case]
) -> None:
    own = copy.copy(case(SMALL))
    own.model = copy.deepcopy(own.model).train()
    masks = own.cut(RECIPES[name], (0.5,)).apply(own.model)
    dense = bits(own.model)
    stepped = OPTIMIZERS[optimizer](own.model.parameters())
    masks.freeze(stepped)
    for _ in range(2):
        stepped.zero_grad()
        mean_square(own.model, own.example).backward()  # type: ignore[no-untyped-call]
        stepped.step()
    parameters = dict(own.model.named_parameters())
    assert bits(own.model) != dense
    for key, mask in masks.items():
        assert not parameters[key].detach()[~mask].view(torch.int32).any()


def test_every_method_names_registered_criteria_and_says_where_it_comes_from() -> None:
    for name, method in METHODS.items():
        assert method.name == name
        assert method.summary.endswith(".")
        assert method.source
        for part in method.parts:
            assert part.criterion in CRITERIA
        scopes = [part.scope for part in method.parts]
        assert len(set(scopes)) == len(scopes)
