from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from secateur.errors import ModelError
from secateur.study.trained_start import content_of, start_from


def net(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width))


def trained() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    state = net().state_dict()
    return {name: one + 1 for name, one in state.items()}


WRITERS = {
    "plain.safetensors": lambda state, path: save_file(state, path),
    "plain.pt": lambda state, path: torch.save(state, path),
    "held.pth": lambda state, path: torch.save({"epoch": 3, "state_dict": state}, path),
    "parallel.pt": lambda state, path: torch.save(
        {"model": {f"module.{name}": one for name, one in state.items()}}, path
    ),
    "compiled.pt": lambda state, path: torch.save(
        {f"module._orig_mod.{name}": one for name, one in state.items()}, path
    ),
    "lightning.ckpt": lambda state, path: torch.save(
        {"state_dict": {f"model.{name}": one for name, one in state.items()}}, path
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_is_read(name: str, tmp_path: Path) -> None:
    WRITERS[name](trained(), tmp_path / name)
    model = net()
    start_from(model, tmp_path / name, content_of(tmp_path / name))
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, trained()[key])


def test_a_counter_that_is_missing_is_no_fault(tmp_path: Path) -> None:
    state = trained()
    del state["1.num_batches_tracked"]
    save_file(state, tmp_path / "old.safetensors")
    start_from(net(), tmp_path / "old.safetensors")


class Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise SystemExit('it ran')",))


def test_no_code_in_it_runs(tmp_path: Path) -> None:
    torch.save({"state_dict": trained(), "more": Runs()}, tmp_path / "evil.pt")
    with pytest.raises(ModelError, match="neither safetensors nor a torch file of tensors"):
        start_from(net(), tmp_path / "evil.pt")


def test_another_net_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(net(4).state_dict(), path)
    with pytest.raises(ModelError, match=r"0.weight is 4x1x3x3, expected 3x1x3x3"):
        start_from(net(), path)
    state = trained()
    state["0.weigth"] = state.pop("0.weight")
    torch.save(state, path)
    with pytest.raises(
        ModelError, match=r"without 0.weight and with 0.weigth \(is it 0.weight\?\)"
    ):
        start_from(net(), path)
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="without any tensor by name"):
        start_from(net(), path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="neither safetensors"):
        start_from(net(), path)
    with pytest.raises(ModelError, match="unreadable"):
        start_from(net(), tmp_path / "absent.pt")


def test_a_file_that_was_replaced_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(trained(), path)
    before = content_of(path)
    torch.save(net().state_dict(), path)
    with pytest.raises(ModelError, match="not as it was when the sweep began"):
        start_from(net(), path, before)
