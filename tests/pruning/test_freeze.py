"""Pruned weights are bitwise +0 after every step, whatever trains them."""

from __future__ import annotations

import copy
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import secateur.data
from secateur.data.images import ImageData
from secateur.errors import MaskError
from secateur.pruning.criterion import Statistics
from secateur.pruning.held import held_of
from secateur.pruning.masks import Masks
from secateur.pruning.method import Method
from secateur.pruning.select import cut
from secateur.pruning.slimming_norms import insert_norms
from secateur.registry import METHODS
from secateur.training.fit import fit
from secateur.training_settings import TrainingSpec
from secateur.verbs.prune import prune
from secateur.verbs.units import groups_of

PRUNING = ["magnitude", "l1-filter", "slimming", "combined", "random-weight", "random-filter"]
"""Every way of cutting; `test_conformance.py` has every method."""
OPTIMIZERS = {
    "sgd": TrainingSpec(optimizer="sgd", momentum=0.9, weight_decay=1e-2, batch_size=8),
    "adam": TrainingSpec(optimizer="adam", batch_size=8),
    "adamw": TrainingSpec(optimizer="adamw", weight_decay=0.1, batch_size=8),
}
LOOPS = {
    "plain": {},
    "bf16": {"precision": "bf16"},
    "accumulated": {"accumulate": 3},
    "clipped": {"clip_norm": 0.5},
    "all of it": {"precision": "bf16", "accumulate": 2, "clip_norm": 0.1, "schedule": "cosine"},
}


def net() -> nn.Sequential:
    """Convolutions with a bias, one with a norm behind it, and two linear layers."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 16),
        nn.ReLU(),
        nn.Linear(16, 3),
    )


@pytest.fixture(scope="module")
def data() -> ImageData:
    return secateur.data.load("shapes", train=50, val=6, test=6, size=8, classes=3)


def pruned(name: str, data: ImageData, model: nn.Module, level: float = 0.5) -> Masks:
    method: Method = METHODS[name]
    example = data.example(2)
    convolutions = insert_norms(copy.deepcopy(model), example).scales
    scales = {weight: torch.rand(len(scale)) for weight, scale in convolutions.items()}
    return cut(
        model,
        method.parts,
        (level,),
        groups_of=lambda part: groups_of(model, part, example),
        statistics=Statistics(scales=scales),
    ).apply(model)


def assert_zero_bits(model: nn.Module, masks: Masks) -> None:
    parameters = dict(model.named_parameters())
    assert masks.zeros > 0
    for name, mask in masks.items():
        kept = parameters[name].detach().cpu()
        assert torch.isfinite(kept).all(), name
        words = kept.contiguous().view({4: torch.int32, 2: torch.int16}[kept.element_size()])
        assert int(words[~mask].count_nonzero()) == 0, name


def assert_trained(model: nn.Module, before: nn.Module, masks: Masks) -> None:
    """Something that is kept has moved, in every masked parameter."""
    old = dict(before.named_parameters())
    for name, parameter in model.named_parameters():
        if name in masks:
            moved = parameter.detach().cpu() != old[name].detach()
            assert moved[masks[name]].any(), name


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("name", PRUNING)
def test_retraining_leaves_zero_bits(name: str, optimizer: str, data: ImageData) -> None:
    model = net()
    masks = pruned(name, data, model)
    before = copy.deepcopy(model)
    fit(model, data, OPTIMIZERS[optimizer], epochs=2, masks=masks, device="cpu")
    assert_zero_bits(model, masks)
    assert_trained(model, before, masks)


@pytest.mark.parametrize("loop", list(LOOPS))
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("name", ["magnitude", "l1-filter"])
def test_every_kind_of_loop_leaves_zero_bits(
    name: str, optimizer: str, loop: str, data: ImageData
) -> None:
    model = net()
    masks = pruned(name, data, model)
    before = copy.deepcopy(model)
    spec = OPTIMIZERS[optimizer].model_copy(update=LOOPS[loop])
    fit(model, data, spec, epochs=1, masks=masks, device="cpu")
    assert_zero_bits(model, masks)
    assert_trained(model, before, masks)


@pytest.mark.parametrize(
    "name", [n for n in PRUNING if any(p.granularity == "channel" for p in METHODS[n].parts)]
)
def test_bias_and_norm_of_a_cut_channel_go_with_it(name: str, data: ImageData) -> None:
    model = net()
    masks = pruned(name, data, model)
    gone = ~masks["0.weight"].flatten(1).any(dim=1)
    assert 0 < int(gone.sum()) < 8
    for parameter in ("0.bias", "1.weight", "1.bias"):
        assert torch.equal(~masks[parameter], gone)
    assert torch.equal(~masks["4.bias"], ~masks["4.weight"].flatten(1).any(dim=1))


@dataclass
class Loop:
    """A user's own loop, in plain torch."""

    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer]
    autocast: bool = False
    accumulate: int = 1
    clip: float | None = None

    def run(self, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        generator = torch.Generator().manual_seed(1)
        for _ in range(steps):
            optimizer.zero_grad()
            for _ in range(self.accumulate):
                self._batch(model, generator).backward()
            if self.clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), self.clip)
            optimizer.step()

    def _batch(self, model: nn.Module, generator: torch.Generator) -> Tensor:
        images = torch.randn(8, 3, 8, 8, generator=generator)
        labels = torch.randint(3, (8,), generator=generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            return functional.cross_entropy(model(images), labels)


_MAKERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=1e-2),
    "nesterov": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, foreach=True),
    "adam": lambda p: torch.optim.Adam(p, 1e-2, weight_decay=1e-2, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.1, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-2, momentum=0.9, centered=True),
}


@pytest.mark.parametrize("kind", list(_MAKERS))
@pytest.mark.parametrize("name", ["magnitude", "l1-filter"])
@pytest.mark.parametrize(
    "loop",
    [{}, {"autocast": True}, {"accumulate": 2, "clip": 0.1}],
    ids=["plain", "autocast", "accumulated and clipped"],
)
def test_a_users_own_loop_with_live_momentum(
    kind: str, name: str, loop: dict[str, object], data: ImageData
) -> None:
    model = net()
    run = Loop(_MAKERS[kind], **loop)  # type: ignore[arg-type]
    optimizer = run.make(list(model.parameters()))
    run.run(model, optimizer, 3)
    masks = pruned(name, data, model)
    held = masks.freeze(optimizer)
    assert_zero_bits(model, masks)
    for _ in range(4):
        run.run(model, optimizer, 1)
        assert_zero_bits(model, masks)
    parameters = dict(model.named_parameters())
    for masked, mask in masks.items():
        for value in optimizer.state[parameters[masked]].values():
            if value.shape == mask.shape:
                assert int(value[~mask].count_nonzero()) == 0
    held.remove()


def test_without_a_freeze_the_same_loop_brings_weights_back(data: ImageData) -> None:
    model = net()
    run = Loop(_MAKERS["sgd"])
    optimizer = run.make(list(model.parameters()))
    run.run(model, optimizer, 3)
    masks = pruned("magnitude", data, model)
    run.run(model, optimizer, 1)
    with pytest.raises(AssertionError):
        assert_zero_bits(model, masks)


def test_clipping_measures_only_what_is_kept(data: ImageData) -> None:
    model = net()
    masks = pruned("magnitude", data, model, 0.9)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with masks.freeze(optimizer):
        model(torch.randn(8, 3, 8, 8)).square().sum().backward()
        kept = [
            parameter.grad[masks[name]] if name in masks else parameter.grad.flatten()
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        ]
        expected = torch.cat([grad.flatten() for grad in kept]).norm()
        assert torch.allclose(nn.utils.clip_grad_norm_(model.parameters(), 1e9), expected)


def test_removing_lets_the_weights_grow_again(data: ImageData) -> None:
    model = net()
    masks = pruned("magnitude", data, model)
    run = Loop(_MAKERS["adam"])
    optimizer = run.make(list(model.parameters()))
    with masks.freeze(optimizer):
        run.run(model, optimizer, 2)
        assert_zero_bits(model, masks)
    run.run(model, optimizer, 1)
    regrown = model[0].weight[~masks["0.weight"]]
    assert (regrown != 0).all()
    assert not any(parameter._post_accumulate_grad_hooks for parameter in model.parameters())


def test_a_copy_of_a_frozen_model_is_free_and_can_be_frozen(data: ImageData) -> None:
    model = net()
    masks = pruned("magnitude", data, model)
    run = Loop(_MAKERS["adamw"])
    optimizer = run.make(list(model.parameters()))
    masks.freeze(optimizer)
    run.run(model, optimizer, 1)
    copied = copy.deepcopy(model)
    other = run.make(list(copied.parameters()))
    copied_masks = copy.deepcopy(masks)
    assert copied_masks == masks
    copied_masks.freeze(other, copied)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run.run(copied, other, 2)
    assert_zero_bits(copied, masks)
    assert_trained(copied, model, masks)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("early", [True, False], ids=["before freezing", "after freezing"])
def test_channels_last(early: bool, data: ImageData) -> None:
    model = net()
    if early:
        model.to(memory_format=torch.channels_last)
    masks = pruned("l1-filter", data, model)
    run = Loop(_MAKERS["sgd"])
    optimizer = run.make(list(model.parameters()))
    held = masks.freeze(optimizer)
    if not early:
        model.to(memory_format=torch.channels_last)
    assert model[4].weight.is_contiguous(memory_format=torch.channels_last)
    run.run(model, optimizer, 3)
    assert_zero_bits(model, masks)
    held.remove()


def test_bfloat16_weights(data: ImageData) -> None:
    model = net().bfloat16()
    masks = Masks({name: torch.rand(p.shape) < 0.5 for name, p in model.named_parameters()})
    masks.apply(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    with masks.freeze(optimizer):
        for _ in range(3):
            model(torch.randn(4, 3, 8, 8, dtype=torch.bfloat16)).square().sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            assert_zero_bits(model, masks)


def test_tied_weights_stay_tied_and_zero() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    masks = Masks({"2.weight": torch.eye(4, dtype=torch.bool)}).apply(model)
    optimizer = torch.optim.Adam(model.parameters(), 0.1, weight_decay=0.1)
    with masks.freeze(optimizer):
        for _ in range(3):
            model(torch.randn(8, 4)).square().sum().backward()
            optimizer.step()
    assert model[2].weight is model[0].weight
    assert torch.equal(model[0].weight != 0, torch.eye(4, dtype=torch.bool))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0])
def test_dirty_pruned_elements_and_state_are_cleared(value: float) -> None:
    layer = nn.Linear(2, 1, bias=False)
    masks = Masks({"weight": torch.tensor([[True, False]])})
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    optimizer.state[layer.weight]["momentum_buffer"][0, 1] = value
    with torch.no_grad():
        layer.weight[0, 1] = value
    with masks.freeze(optimizer, layer):
        layer(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    assert layer.weight.detach().view(torch.int32)[0, 1] == 0
    assert optimizer.state[layer.weight]["momentum_buffer"].view(torch.int32)[0, 1] == 0


def live_layer() -> tuple[nn.Linear, torch.optim.Optimizer, Masks]:
    """A layer whose optimizer has momentum everywhere, and masks for half of it."""
    layer = nn.Linear(4, 3, bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
    layer(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    masks = Masks({"weight": torch.tensor([True, False, True, False]).expand(3, 4)}).apply(layer)
    return layer, optimizer, masks


def test_momentum_that_is_loaded_later_moves_nothing() -> None:
    layer, optimizer, masks = live_layer()
    live = copy.deepcopy(optimizer.state_dict())
    with masks.freeze(optimizer):
        optimizer.load_state_dict(live)
        optimizer.zero_grad()
        layer(torch.ones(1, 4)).sum().backward()
        optimizer.step()
        assert_zero_bits(layer, masks)


def test_gradients_that_are_written_by_hand_move_nothing() -> None:
    layer, optimizer, masks = live_layer()
    with masks.freeze(optimizer):
        layer.weight.grad = torch.full((3, 4), float("nan")).masked_fill(masks["weight"], 1.0)
        optimizer.step()
        assert_zero_bits(layer, masks)


def test_a_closure_is_frozen_too() -> None:
    layer, _, masks = live_layer()
    optimizer = torch.optim.LBFGS(layer.parameters(), lr=0.1)

    def closure() -> float:
        optimizer.zero_grad()
        loss = (layer(torch.ones(1, 4)) - 1).square().sum()
        loss.backward()
        return loss.item()

    with masks.freeze(optimizer):
        optimizer.step(closure)  # type: ignore[arg-type]
        assert_zero_bits(layer, masks)


def bits_of(parameter: Tensor) -> Tensor:
    """The words of a real or complex tensor, the two parts of a complex number side by side."""
    real = torch.view_as_real(parameter.detach()) if parameter.is_complex() else parameter.detach()
    return real.contiguous().view(torch.uint8)


def hooks_of(optimizer: torch.optim.Optimizer) -> int:
    return len(optimizer._optimizer_step_post_hooks)


def linear_net() -> tuple[nn.Sequential, Masks]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    return model, cut(model, METHODS["magnitude"].parts, (0.5,)).apply(model)


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    dtype = next(model.parameters()).dtype
    model(torch.randn(8, 16, dtype=dtype)).abs().square().sum().backward()
    optimizer.step()


def test_a_new_freeze_takes_the_old_ones_place() -> None:
    model, masks = linear_net()
    optimizer = _MAKERS["sgd"](list(model.parameters()))
    handles = []
    for level in (0.5, 0.6, 0.7, 0.8, 0.9):
        masks = cut(model, METHODS["magnitude"].parts, (level,), previous=masks).apply(model)
        handles.append(masks.freeze(optimizer))
        assert hooks_of(optimizer) == 1
        assert len(model[0].weight._post_accumulate_grad_hooks) == 1
        step(model, optimizer)
        assert_zero_bits(model, masks)
    for old in handles[:-1]:
        old.remove()  # has nothing left to let go
    step(model, optimizer)
    assert_zero_bits(model, masks)
    handles[-1].remove()
    assert hooks_of(optimizer) == 0
    step(model, optimizer)
    assert model[0].weight[~masks["0.weight"]].any()


def test_replaced_masks_are_not_kept_alive() -> None:
    model, masks = linear_net()
    optimizer = _MAKERS["sgd"](list(model.parameters()))
    masks.freeze(optimizer)
    words = held_of(model[0].weight).words
    gone = weakref.ref(words)
    del words
    for _ in range(2):  # one handle holds what was before it, and nothing holds that handle
        masks.freeze(optimizer)
    assert gone() is None


def test_another_optimizer_takes_over_and_the_first_still_holds() -> None:
    model, masks = linear_net()
    first, second = (_MAKERS[name](list(model.parameters())) for name in ("sgd", "adam"))
    masks.freeze(first)
    masks.freeze(second)
    for optimizer in (second, first):
        step(model, optimizer)
        assert_zero_bits(model, masks)


def test_freezes_that_overlap_in_part() -> None:
    model, masks = linear_net()
    whole = _MAKERS["sgd"](list(model.parameters()))
    held = masks.freeze(whole)
    tighter = Masks({"2.weight": torch.arange(128).reshape(4, 32) % 4 == 0}).apply(model)
    second = tighter.freeze(whole)
    assert hooks_of(whole) == 1
    step(model, whole)
    assert_zero_bits(model, Masks({"0.weight": masks["0.weight"], **tighter}))
    held.remove()  # lets the first layer go, and not the second one
    step(model, whole)
    assert model[0].weight[~masks["0.weight"]].any()
    assert not model[2].weight[~tighter["2.weight"]].any()
    second.remove()
    assert hooks_of(whole) == 0


def test_each_of_two_optimizers_holds_its_own_layers() -> None:
    model, masks = linear_net()
    one, two = (_MAKERS["sgd"](list(model[i].parameters())) for i in (0, 2))
    masks.freeze(one)
    masks.freeze(two)
    for optimizer in (one, two, one):
        step(model, optimizer)
        assert_zero_bits(model, masks)


def test_a_freeze_within_a_freeze_gives_back_what_was_held() -> None:
    model, masks = linear_net()
    optimizer = _MAKERS["sgd"](list(model.parameters()))
    masks.freeze(optimizer)
    tighter = Masks({"2.weight": torch.zeros(4, 32, dtype=torch.bool)}).apply(model)
    with tighter.freeze(optimizer):
        step(model, optimizer)
        assert not model[2].weight.any()
    step(model, optimizer)
    assert model[2].weight[masks["2.weight"]].any()
    assert_zero_bits(model, masks)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.complex64])
def test_a_net_may_change_its_type_after_the_freeze(dtype: torch.dtype) -> None:
    model, masks = linear_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=0.1)
    masks.freeze(optimizer)
    step(model, optimizer)
    model[1] = nn.Identity()  # relu knows no complex numbers
    optimizer.state.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # complex modules are new
        model.to(dtype)
    for _ in range(2):
        step(model, optimizer)
    for name, mask in masks.items():
        words = bits_of(model.get_parameter(name)).reshape(*mask.shape, -1)
        assert not words[~mask].any()
        assert words[mask].any()


def test_complex_weights() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = nn.Linear(4, 3, bias=False).to(torch.complex128)
    masks = prune(layer, sparsity=0.5)
    with masks.freeze(torch.optim.Adam(layer.parameters(), 0.1)) as held:
        layer(torch.ones(2, 4, dtype=torch.complex128)).abs().sum().backward()
        held.clear()
        assert not layer.weight.grad[~masks["weight"]].any()
        assert layer.weight.grad[masks["weight"]].any()
    assert int((layer.weight == 0).sum()) == masks.zeros == 6


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_sparse_gradients(mode: str) -> None:
    torch.manual_seed(0)
    table = nn.EmbeddingBag(50, 8, mode=mode, sparse=True)
    masks = Masks({"weight": torch.rand(50, 8) > 0.5}).apply(table)
    optimizer = torch.optim.SparseAdam(table.parameters(), lr=0.1)
    masks.freeze(optimizer)
    before = table.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        (table(torch.randint(50, (16, 3))) * torch.randn(8)).sum().backward()
        assert table.weight.grad.is_sparse
        assert not table.weight.grad.to_dense()[~masks["weight"]].any()
        optimizer.step()
        assert_zero_bits(table, masks)
    assert (table.weight != before)[masks["weight"]].any()


def test_a_gradient_that_is_there_already_moves_nothing() -> None:
    model, masks = linear_net()
    model(torch.randn(8, 16)).square().sum().backward()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    masks.freeze(optimizer)
    assert not model[0].weight.grad[~masks["0.weight"]].any()
    optimizer.step()
    momentum = optimizer.state[model[0].weight]["momentum_buffer"]
    assert not momentum[~masks["0.weight"]].any()


def test_a_weight_whose_shape_has_changed_says_so() -> None:
    model, masks = linear_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    masks.freeze(optimizer)
    model[2].weight.data = model[2].weight.data[:, :8]
    with pytest.raises(MaskError, match=r"\(4, 8\) by now"):
        optimizer.step()


def test_what_cannot_train_is_held_as_well() -> None:
    model, masks = linear_net()
    model[0].weight.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, weight_decay=0.1)
    masks.freeze(optimizer)
    step(model, optimizer)
    assert_zero_bits(model, masks)


class Held(nn.Module):
    """As DistributedDataParallel: the net under a name of its own."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        return self.module(images)


WRAPPED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "module": Held,
    "twice": lambda model: Held(Held(model)),
    "compiled": lambda model: torch.compile(model, backend="eager"),  # type: ignore[dict-item, return-value]
    "compiled and held": lambda model: Held(torch.compile(model, backend="eager")),
    "held and compiled": lambda model: torch.compile(Held(model), backend="eager"),  # type: ignore[dict-item, return-value]
    "averaged": torch.optim.swa_utils.AveragedModel,
}


@pytest.mark.parametrize("name", list(WRAPPED))
def test_masks_know_a_wrapped_net(name: str) -> None:
    model, masks = linear_net()
    outer = WRAPPED[name](model)
    assert masks.apply(outer) is masks
    optimizer = torch.optim.SGD(outer.parameters(), 0.1, weight_decay=0.1)
    masks.freeze(optimizer, outer)
    inner = outer.module if name == "averaged" else model
    step(inner, optimizer)
    assert_zero_bits(inner, masks)
    assert not any(one in masks for one, _ in outer.named_parameters())


def test_masks_of_a_net_that_is_compiled_in_part() -> None:
    model, masks = linear_net()
    model[2] = torch.compile(model[2], backend="eager")
    assert "2._orig_mod.weight" in dict(model.named_parameters())
    masks.freeze(torch.optim.SGD(model.parameters(), 0.1))
    both = Masks({"2._orig_mod.weight": masks["2.weight"]})
    assert list(both.parameters_of(linear_net()[0])) == ["2._orig_mod.weight"]


def test_a_wrapper_that_holds_more_than_a_net_is_no_wrapper() -> None:
    model, masks = linear_net()
    outer = Held(model)
    outer.head = nn.Linear(2, 2)
    with pytest.raises(MaskError, match="without its parameter"):
        masks.apply(outer)
