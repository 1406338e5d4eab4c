import pytest

from secateur.foundation.target import Target, is_target, parse_target

READ = {
    "macs=0.5": Target("macs", 0.5),
    "bytes=200k": Target("bytes", 200_000),
    "parameters=1.5M": Target("parameters", 1_500_000),
    "latency_ms=2@64": Target("latency_ms", 2, 64),
}


@pytest.mark.parametrize("text", READ)
def test_words_and_tables_say_the_same(text: str) -> None:
    target = READ[text]
    assert is_target(text)
    assert parse_target(text) == target
    table = {target.cost: target.limit} | ({"batch": target.batch} if target.batch > 1 else {})
    assert parse_target(table) == target
    assert parse_target(list(target)) == target
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    "wrong",
    [
        {"macs": 0.5, "bytes": 10}, {"macs": 0}, {"macs": -1}, {"macs": True}, {"macs": "half"},
        {"macs": 1.5}, {"bytes": float("nan")}, {"latency_ms": 1, "batch": 0},
        {"macs": 1, "batch": 2}, {}, "macs", "mac=0.5", 5, {"bytes": float("inf")},
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_target(wrong)


def test_a_table_of_layers_is_none() -> None:
    assert not is_target({"conv1": 0.5})
    assert not is_target("conv1=0.5")
    assert not is_target([["macs", 0.5]])


def test_a_share_is_of_the_dense_net_but_for_milliseconds() -> None:
    assert Target("macs", 0.5).is_share
    assert not Target("macs", 1).is_share
    assert not Target("latency_ms", 0.5).is_share
