"""Whole residual branches as what is cut: which they are, how many go, and the same function."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from residual_nets import HELD, Encoder, Held, X, resnet
from torch import nn

import secateur
from secateur.channels import compact_with_record
from secateur.errors import MaskError
from secateur.pruning.method import METHODS, Method, Part, find_method, parts_of
from secateur.pruning.weights import prunable_weights
from secateur.spec import MethodSpec

PARTS = ("attention", "perceptron")
ATTENTION, PERCEPTRON = 8 * 24 + 8 * 8, 2 * 8 * 12
IMAGES = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def encoder(seed: int = 1, depth: int = 3) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(depth).eval()


def branches(
    model: nn.Module, method: str | Method = "l1-filter", **options: Any
) -> secateur.Masks:
    given = {"example_inputs": X, "granularity": "branch", "protected": 0.0, **options}
    return secateur.prune(model, method, **given)


def gone(masks: secateur.Masks, model: nn.Module) -> list[str]:
    """The branches that went; of each all parameters or none, and of the rest of the net none."""
    found = []
    for n in range(len(model.blocks)):
        for number, part in enumerate(PARTS, start=1):
            start = (f"blocks.{n}.{part}.", f"blocks.{n}.norm{number}.")
            start += (f"blocks.{n}.scale",) if number == 1 else ()
            own = [bool(mask.any()) for name, mask in masks.items() if name.startswith(start)]
            whole = [bool(mask.all()) for name, mask in masks.items() if name.startswith(start)]
            assert own == whole
            assert len(own) == (7 if number == 1 else 6)
            assert len(set(own)) == 1
            found += [] if own[0] else [f"{n}.{part}"]
    assert len(masks) == 13 * len(model.blocks)
    return found


def test_by_hand() -> None:
    model = encoder(depth=2)
    with torch.no_grad():  # of the l1 norms of their rows, together: 256, 96, 2, 57.6
        for n, part, value in ((0, 0, 1.0), (0, 1, 0.5), (1, 0, 1 / 128), (1, 1, 0.3)):
            for one in model.blocks[n].get_submodule(PARTS[part]).parameters():
                one.fill_(value)
    total = 2 * (ATTENTION + PERCEPTRON)
    expected = ["1.attention", "1.perceptron", "0.perceptron"]
    for count, weights in enumerate((0, 256, 448, 640)):
        share = (weights + 0.5) / total
        masks = branches(copy.deepcopy(model), sparsity=share)
        assert gone(masks, model) == sorted(expected[:count])
        assert masks.report.note == (
            f"{count} of 4 branches go, {weights} of {total} weights; "
            f"a sparsity of {share:g} asks for no more than {weights}"
        )
    assert masks.floored == ()
    kept = branches(model, sparsity=0.8, protected=0.5)
    assert (gone(kept, model), kept.floored) == (["1.attention", "1.perceptron"], ("the branches",))


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "first"])
def test_reduced_over_the_weights_of_a_branch(reduce: str) -> None:
    model = encoder(depth=1)
    with torch.no_grad():
        for name, value in (("attention.qkv", 1.0), ("attention.out", 2.0)):
            model.blocks[0].get_submodule(name).weight.fill_(value / 64)
        model.blocks[0].perceptron.up.weight.fill_(3.5 / 96)
        model.blocks[0].perceptron.down.weight.fill_(0.0)
    # Rows summed: 3 and 2 of the attention, 3.5 and 0 of the perceptron.
    method = Method("own", "", "", (Part("magnitude", "branch", "all", "global", reduce=reduce),))  # type: ignore[arg-type]
    kept = {"sum": 0, "mean": 0, "max": 1, "first": 1}[reduce]
    (left,) = {"0.attention", "0.perceptron"} - set(
        gone(branches(model, method, sparsity=0.9), model)
    )
    assert left == f"0.{PARTS[kept]}"


def _of_channels() -> list[str]:
    return [
        name
        for name, method in METHODS.items()
        if len(method.parts) == 1 and method.parts[0].cuts_channels and method.prepare is None
        if name != "hrank"  # ranks of feature maps: of convolutions alone
    ]


@pytest.mark.parametrize("name", _of_channels())
def test_every_method_of_channels_cuts_branches(name: str) -> None:
    model = encoder(depth=2)
    total = 2 * (ATTENTION + PERCEPTRON)
    before: secateur.Masks | None = None
    for share in (0.5, 0.99):
        again = copy.deepcopy(model)
        options = {"data": [X], "loss": lambda net, x: net(x).square().mean(), "previous": before}
        masks = branches(model, name, sparsity=share, **options)
        if before is None:
            assert masks == branches(again, name, sparsity=share, **options)
        else:
            assert masks.is_within(before)
        weights = sum(ATTENTION if "att" in one else PERCEPTRON for one in gone(masks, model))
        assert weights <= share * total
        found = prunable_weights(model).values()
        zeros = sum(one.value.numel() - int(one.value.count_nonzero()) for one in found)
        assert zeros == weights
        before = masks


def test_a_method_of_ones_own_by_name() -> None:
    part = Part("taylor", "branch", "all", "global")
    METHODS.add("taylor-branch", Method("taylor-branch", "Whole branches.", "", (part,)))
    model = encoder()
    loss = lambda net, x: net(x).square().mean()  # noqa: E731
    assert (
        len(gone(branches(model, "taylor-branch", sparsity=0.4, data=[X], loss=loss), model)) >= 1
    )


def test_the_modules_leave_and_the_function_stays(tmp_path: Path) -> None:
    model = encoder(depth=2)
    with torch.no_grad():
        for one in (
            *model.blocks[0].perceptron.parameters(),
            *model.blocks[1].attention.parameters(),
        ):
            one.mul_(0.01)
    masks = branches(model, sparsity=0.6)
    assert gone(masks, model) == ["0.perceptron", "1.attention"]
    record = compact_with_record(model, masks, X)
    small = record.model
    names = ("blocks.0.norm2", "blocks.0.perceptron", "blocks.1.norm1", "blocks.1.attention")
    assert tuple(record.skipped) == names
    assert not any(list(small.get_submodule(name).parameters()) for name in names)
    assert torch.equal(small(X), model(X))
    assert small.train()(X).isfinite().all()  # where paths are dropped by their shapes
    path = tmp_path / "small.safetensors"
    secateur.save(small, path, masks, dense=model, kept=record.kept, example_inputs=X)
    assert torch.equal(secateur.load(path, partial(encoder, depth=2))(X), small.eval()(X))
    totals = secateur.inspect(path).totals()
    assert totals["parameters"] == sum(one.numel() for one in small.parameters())
    assert totals["dense_parameters"] == sum(one.numel() for one in model.parameters())
    secateur.export_onnx(small, X, tmp_path / "small.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node]
    assert kinds.count("Softmax") == 1


def test_a_residual_net_loses_whole_blocks_and_can_be_retrained() -> None:
    torch.manual_seed(0)
    model = resnet().eval()
    masks = branches(model, sparsity=0.5, example_inputs=IMAGES)
    assert not any(one.any() for one in model[1].parameters())
    assert [one.path for one in masks.report if one.unit == "branch"] == ["2"]
    record = compact_with_record(model, masks, IMAGES, fold=False)
    assert list(record.skipped) == ["1.conv1", "1.norm1", "1.conv2", "1.norm2"]
    assert torch.equal(record.model(IMAGES), model(IMAGES))
    full = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    masks.freeze(full)
    nets = [model.train(), copy.deepcopy(record.model).train()]
    for net, optimizer in zip(
        nets, [full, torch.optim.SGD(nets[1].parameters(), lr=0.1, momentum=0.9)], strict=True
    ):
        net(IMAGES).square().mean().backward()
        optimizer.step()
    assert not any(one.any() for one in model[1].parameters())
    back = record.expand(nets[1].state_dict(), like=model.state_dict())
    for name, one in model.named_parameters():
        torch.testing.assert_close(one, back[name])
    left = list(record.model.parameters())
    assert len(record.carry(full).param_groups[0]["params"]) == len(left)
    assert not any(name.startswith("1.") for name in record.masks(masks))


def test_torchs_own_encoder_keeps_what_its_code_reads_and_says_so() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    for n in range(2):
        nn.init.constant_(model.layers[n].linear1.weight, 1e-3)
        nn.init.constant_(model.layers[n].linear2.weight, 1e-3)
    with torch.no_grad():
        model.layers[1].self_attn.in_proj_weight.mul_(1e-6)
        model.layers[1].self_attn.out_proj.weight.mul_(1e-6)
    masks = branches(model, sparsity=0.8)
    record = compact_with_record(model, masks, X)
    assert "layers.1.self_attn" in record.skipped
    assert [one.path for one in record.report if one.unit == "empty branch"] == ["layers.0"]
    assert record.model.layers[0].linear1.out_features == 1
    torch.testing.assert_close(record.model(X), model(X))


def test_what_may_not_go_stays_and_is_named() -> None:
    model = encoder(depth=2)
    masks = branches(model, sparsity=0.99, exclude="blocks.0.attention.qkv")
    assert "0.attention" not in [
        n for n in range(2) if not model.blocks[n].attention.qkv.weight.any()
    ]
    assert model.blocks[0].attention.qkv.weight.all()
    held = [(one.operator, one.path) for one in masks.report if one.path.startswith("blocks.0.att")]
    assert held == [("left out by exclude", "blocks.0.attention.qkv")]
    spoiled, _, _ = HELD["feeds"]
    net = Held(spoiled).eval()
    masks = branches(net, sparsity=0.99)
    assert net.second.up.weight.all()
    assert [one.path for one in masks.report] == ["second"]
    masks = branches(encoder(depth=2), sparsity=0.99, max_sparsity={"blocks.1.*": 0.5})
    assert [one.path for one in masks.report] == [
        "blocks.1.attention.qkv",
        "blocks.1.perceptron.up",
    ]


def test_a_target_is_reached_by_whole_branches() -> None:
    torch.manual_seed(0)
    model = Held(lambda net, x: x + net.second(x)).eval()
    count = sum(one.numel() for one in model.parameters())
    masks = branches(model, target={"parameters": 0.7})
    assert masks.reached is not None
    assert masks.reached.cost == count - 2 * (PERCEPTRON + 12 + 8)
    assert sum(not one.any() for one in masks.values()) == 8


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"allocation": "erk"}, "a branch is several layers"),
        ({"ranking": "output"}, "'output' of a method that cuts by branch"),
        ({"round_to": 8}, "a branch goes with all its channels"),
        ({"scope": "conv"}, "without one in scope 'conv'"),
        ({"example_inputs": None}, "missing"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises((MaskError, secateur.SecateurError), match=match):
        branches(encoder(depth=1), sparsity=0.5, **options)


def test_methods_of_weights_and_of_several_cuts_have_no_branches() -> None:
    with pytest.raises(MaskError, match="'branch' of combined, whose cuts have scopes"):
        parts_of(find_method("combined"), MethodSpec(granularity="branch"))
    (part,) = parts_of(find_method("magnitude"), MethodSpec(granularity="branch"))
    assert part.granularity == "weight"


def test_each_layer_alone_has_no_meaning() -> None:
    with pytest.raises(MaskError, match="'branch', which goes with all its layers"):
        secateur.sensitivity(
            encoder(depth=1), lambda _: 1.0, "l1-filter", granularity="branch",
            example_inputs=X, levels=[0.5],
        )  # fmt: skip
