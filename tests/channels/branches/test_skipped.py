"""What stands where a module was."""

import pytest
import torch
from torch import nn

from secateur.channels.branches.skipped import Skipped, skip
from secateur.errors import ModelError


def test_it_gives_zero_in_the_form_and_type_of_what_was_there() -> None:
    x = torch.ones(2, 3, dtype=torch.float16)
    one = Skipped(nn.Linear(3, 3), "tensor")
    assert torch.equal(x + one(x), x)
    assert one(x).dtype == torch.float16
    zero, none = Skipped(nn.MultiheadAttention(4, 2), ["tensor", "none"])(query=x, key=x)
    assert (zero.shape, none) == ((), None)


def test_it_has_a_shape_while_it_trains_where_that_is_asked_for() -> None:
    one, x = Skipped(nn.Linear(3, 3), "like"), torch.ones(2, 3)
    assert one(x).shape == (2, 3)
    assert not one(x).any()
    assert one.eval()(x).shape == ()
    assert [o if o is None else o.shape for o in Skipped(one, ["like", "none"])(x)] == [(), None]


def test_its_numbers_can_be_read_and_it_has_no_tensors() -> None:
    one = Skipped(nn.Linear(3, 5), "tensor").eval()
    assert (one.in_features, one.weight, one.state_dict(), repr(one)) == (3, None, {}, "Skipped()")


def test_what_is_not_there_is_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    for path in ("1", "", "0.weight"):
        with pytest.raises(ModelError, match="no module of the network"):
            skip(net, {path: "tensor"})
    with pytest.raises(ModelError, match="no tensor"):
        Skipped(net, "tensor")(3)
