"""Export: ONNX Runtime and torch.export give torch's outputs, or there is no file."""

import zipfile
from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur import models
from secateur.artifact.export import export_onnx, export_pt2, imported, random_like, session
from secateur.channels import compact_with_record
from secateur.errors import ArtifactError, ModelError


def normed() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4),
    )  # fmt: skip
    net[1].running_mean.uniform_(-1, 1)
    net[1].running_var.uniform_(0.5, 2)
    return net


def outputs(path: Path, inputs: Tensor) -> Tensor:
    return torch.from_numpy(session(path).run(None, {"input": inputs.numpy()})[0])


@pytest.mark.parametrize(("name", "method"), [("lenet-5", "l1-filter"), ("resnet20", "combined")])
def test_one_file_serves_every_batch(tmp_path: Path, name: str, method: str) -> None:
    torch.manual_seed(0)
    shape = (1, 28, 28)
    net = models.build(name, shape, 5).eval()
    example = torch.rand(2, *shape)
    level = [0.5, 0.9] if method == "combined" else 0.5
    masks = secateur.prune(net, method, sparsity=level, example_inputs=example)
    small = compact_with_record(net, masks, example).model
    export_onnx(small, example, tmp_path / "x.onnx")
    for batch in (1, 7):
        inputs = torch.rand(batch, *shape)
        expected = small.eval()(inputs).detach()
        assert (outputs(tmp_path / "x.onnx", inputs) - expected).abs().max() <= 1e-5 * max(
            1.0, float(expected.abs().max())
        )


def test_batch_norms_are_folded_and_no_path_is_told(tmp_path: Path) -> None:
    export_onnx(normed(), torch.rand(1, 3, 8, 8), tmp_path / "x.onnx", metadata={"run": "7"})
    proto = onnx.load(tmp_path / "x.onnx")
    assert [node.op_type for node in proto.graph.node if "Norm" in node.op_type] == []
    assert {entry.key: entry.value for entry in proto.metadata_props} == {"run": "7"}
    assert b".py" not in (tmp_path / "x.onnx").read_bytes()


def test_the_network_is_left_as_it_was(tmp_path: Path) -> None:
    net = normed().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    export_onnx(net, torch.rand(1, 3, 8, 8), tmp_path / "x.onnx")
    export_pt2(net, torch.rand(1, 3, 8, 8), tmp_path / "x.pt2")
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


class Exotic(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.matrix_exp(x)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


class Nothing(nn.Module):
    def forward(self, x: Tensor) -> str:
        return "nothing"


@pytest.mark.parametrize(
    ("net", "named"),
    [
        (Exotic(), "the operator aten.linalg_matrix_exp"),
        (Branching(), "data-dependent"),
        (Nothing(), "a str"),
        (nn.Linear(9, 9), "on an input of"),
    ],
)
def test_what_cannot_be_exported_is_named_and_leaves_no_file(
    tmp_path: Path, net: nn.Module, named: str
) -> None:
    (tmp_path / "x.onnx").write_text("old")
    with pytest.raises(ModelError, match=named):
        export_onnx(net, torch.rand(1, 4, 4), tmp_path / "x.onnx")
    assert (tmp_path / "x.onnx").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_difference_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"inputs of 1x3x8x8 is .* away"):
        export_onnx(normed(), torch.rand(1, 3, 8, 8), tmp_path / "x.onnx", tolerance=0)
    assert not list(tmp_path.iterdir())


def test_pt2_runs_every_batch_and_holds_no_pickle(tmp_path: Path) -> None:
    net = normed()
    export_pt2(net, torch.rand(1, 3, 8, 8), tmp_path / "x.pt2")
    program = torch.export.load(tmp_path / "x.pt2").module()
    inputs = torch.rand(7, 3, 8, 8)
    assert torch.allclose(program(inputs), net.eval()(inputs), atol=1e-6)
    with zipfile.ZipFile(tmp_path / "x.pt2") as archive:
        assert not [n for n in archive.namelist() if archive.read(n)[:1] == b"\x80"]


def test_pt2_names_what_stops_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="data-dependent"):
        export_pt2(Branching(), torch.rand(1, 4), tmp_path / "x.pt2")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(ArtifactError, match=r"pip install 'secateur\[export\]'"):
        imported("no_such_package")


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no")
    with pytest.raises(ArtifactError, match="refused by ONNX Runtime"):
        session(tmp_path / "x.onnx")


def test_random_inputs_of_integers_come_from_the_example() -> None:
    drawn = random_like(torch.tensor([[3, 5]]), 50)
    assert drawn.shape == (50, 2)
    assert set(drawn.unique().tolist()) == {3, 5}


class Pair(nn.Module):
    """Two inputs, an optional one, and outputs in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.mix = nn.Embedding(9, 8), nn.Linear(8, 3)

    def forward(
        self, ids: Tensor, scale: Tensor, mask: Tensor | None = None
    ) -> dict[str, Tensor | None]:
        mixed = self.mix(self.words(ids)) * scale[:, None, None]
        mixed = mixed if mask is None else mixed.masked_fill(~mask[:, :, None], 0.0)
        return {"mixed": mixed, "none": None, "mean": mixed.mean(1)}


def pair(size: int) -> tuple[Tensor, Tensor]:
    return torch.randint(9, (size, 5)), torch.randn(size)


@pytest.mark.parametrize("form", ["tuple", "dict", "none", "mask"])
def test_several_inputs_and_outputs_keep_their_names(tmp_path: Path, form: str) -> None:
    net, (ids, scale) = Pair().eval(), pair(2)
    example: Any = {
        "tuple": (ids, scale),
        "dict": {"scale": scale, "ids": ids},
        "none": [ids, scale, None],
        "mask": UserDict(ids=ids, scale=scale, mask=ids > 2),
    }[form]
    export_onnx(net, example, tmp_path / "x.onnx")
    export_pt2(net, example, tmp_path / "x.pt2")
    ids, scale = pair(4)
    given = {"ids": ids, "scale": scale} | ({"mask": ids > 2} if form == "mask" else {})
    expected = net(**given)
    running = session(tmp_path / "x.onnx")
    found = running.run(["mixed", "mean"], {name: one.numpy() for name, one in given.items()})
    for one, name in zip(found, ("mixed", "mean"), strict=True):
        assert torch.allclose(torch.from_numpy(one), expected[name], atol=1e-5)
    program = torch.export.load(tmp_path / "x.pt2").module()
    order = ("scale", "ids") if form == "dict" else tuple(given)
    mixed, mean = program(*[given[name] for name in order])
    assert torch.equal(mixed, expected["mixed"])
    assert torch.equal(mean, expected["mean"])


@pytest.mark.parametrize("deep", [1, 6])
def test_float16_is_checked_by_its_own_rounding(tmp_path: Path, deep: int) -> None:
    torch.manual_seed(0)
    layers = [layer for _ in range(deep) for layer in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())]
    net = nn.Sequential(nn.Conv2d(3, 8, 3), *layers, nn.Flatten(), nn.Linear(8 * 36, 4)).half()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float16)
    export_onnx(net, x, tmp_path / "x.onnx")
    assert session(tmp_path / "x.onnx").get_inputs()[0].type == "tensor(float16)"


@pytest.mark.parametrize(
    ("net", "x", "named"),
    [
        (nn.Linear(3, 2).bfloat16(), torch.ones(1, 3).bfloat16(), "torch.bfloat16"),
        (nn.Sequential(nn.Linear(3, 2, dtype=torch.complex64)), torch.ones(1, 3) + 0j, "complex64"),
        (nn.Conv2d(3, 2, 3).double(), torch.ones(1, 3, 4, 4).double(), "ONNX Runtime"),
    ],
)
def test_types_that_onnx_runtime_has_no_operators_for_are_refused_with_a_way_on(
    tmp_path: Path, net: nn.Module, x: Tensor, named: str
) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        export_onnx(net, x, tmp_path / "x.onnx")
    assert ".float()" in caught.value.remedy
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "wrap",
    [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm, nn.DataParallel],
)
def test_wrapped_layers_are_exported(tmp_path: Path, wrap: Callable[[Any], nn.Module]) -> None:
    net = nn.Sequential(wrap(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(3, 4)
    net(x)
    export_onnx(net, x, tmp_path / "x.onnx")
    export_pt2(net, x, tmp_path / "x.pt2")
    assert torch.allclose(outputs(tmp_path / "x.onnx", x), net(x), atol=1e-5)


@pytest.mark.parametrize("write", [export_onnx, export_pt2])
def test_a_path_that_cannot_be_written_is_named(tmp_path: Path, write: Callable[..., None]) -> None:
    for place in (tmp_path, tmp_path / "missing" / "x", 3, ""):
        with pytest.raises(ArtifactError, match=r"path|not writable"):
            write(nn.Linear(4, 2), torch.zeros(1, 4), place)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("nested", [False, True], ids=["whole", "part"])
def test_a_scripted_net_is_refused_in_our_own_words(tmp_path, nested):
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 2)))
    net = nn.Sequential(scripted) if nested else scripted
    with pytest.raises(ModelError, match=r"torch\.jit was given") as caught:
        export_pt2(net, torch.zeros(2, 4), tmp_path / "net.pt2")
    assert "TS2EPConverter" not in str(caught.value)
    assert not list(tmp_path.iterdir())
