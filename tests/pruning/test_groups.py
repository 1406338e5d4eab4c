import torch

from secateur.pruning.groups import Groups, Slot


def test_groups_are_counted_by_their_layers() -> None:
    slot = Slot("conv.weight", 0, torch.tensor([0, 1, -1]), "write")
    assert Groups(("conv",), torch.tensor([0, 0]), (slot,)).count == 2
    assert Groups((), torch.tensor([], dtype=torch.int64), ()).count == 0
