import pytest
from torch import nn

from secateur.foundation.evaluation_mode import evaluation_mode


def nested():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2)))
    net[1].eval()
    return net, [True, True, False, False]


def modes(net):
    return [module.training for module in net.modules()]


def test_every_module_gets_its_own_mode_back():
    net, before = nested()
    with evaluation_mode(net):
        assert not any(modes(net))
    assert modes(net) == before


def test_modes_are_put_back_where_the_run_fails():
    net, before = nested()
    with pytest.raises(KeyError, match="inside"), evaluation_mode(net):
        raise KeyError("inside")
    assert modes(net) == before
