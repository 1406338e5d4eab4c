import pytest

from secateur.report.plot import MEASURES
from secateur.report.scale import scale_of
from secateur.study.metrics import AXES, own_metric


@pytest.mark.parametrize("name", MEASURES)
def test_better_is_to_the_right_and_every_value_has_its_place(name: str) -> None:
    values = [0.5, 0.9] if AXES[name].higher else [2e5, 9e5]
    found = scale_of(name, values)
    assert (found.end > found.start) == AXES[name].higher
    assert min(found.start, found.end) < min(values)
    assert max(found.start, found.end) > max(values)
    assert ("less is to the right" in found.label) == (not AXES[name].higher)


def test_a_logarithm_where_the_values_span_it() -> None:
    assert scale_of("macs", [1e5, 1e7]).log
    assert not scale_of("macs", [1e5, 4e5]).log
    assert not scale_of("macs", [0, 1e7]).log
    # A share is a share: its zeros, not their logarithm.
    assert not scale_of("sparsity", [0.01, 0.99]).log


@pytest.mark.parametrize(("name", "value"), [("macs", 0.0), ("macs", 1e6), ("sparsity", 0.0)])
def test_one_value_alone_has_a_frame(name: str, value: float) -> None:
    found = scale_of(name, [value, value])
    assert found.start != found.end
    assert 0 <= min(found.start, found.end) <= value < max(found.start, found.end)


def test_ticks_carry_units() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.add_subplot()
    scale_of("latency", [2e-4, 5e-3]).apply(axes)
    figure.draw_without_rendering()
    words = {tick.get_text() for tick in axes.get_xticklabels()}
    assert {"1\N{THIN SPACE}ms", "500\N{THIN SPACE}µs"} <= words
    assert axes.get_xscale() == "log"
    assert axes.xaxis.get_inverted()


def test_negative_numbers_are_inside_the_frame() -> None:
    for higher in (False, True):
        metric = own_metric("change", lambda *_: 0.0, higher=higher)
        found = scale_of(metric, [-3.5, -2.5])
        assert min(found.start, found.end) < -3.5
        assert -2.5 < max(found.start, found.end) < 0


def test_only_shares_of_zeros_are_called_so() -> None:
    f1 = own_metric("f1", lambda *_: 0.0, unit="share", higher=True)
    assert scale_of(f1, [0.5, 0.9]).label == "f1"
    assert scale_of("sparsity", [0.5, 0.9]).label == "overall sparsity (share of zeros)"
