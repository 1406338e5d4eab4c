import pytest

from secateur.data import ImageData, load
from secateur.data.shapes import shapes
from secateur.errors import DataError, UnknownNameError
from secateur.registry import DATASETS


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_entry_of_the_registry_is_a_loader(name: str) -> None:
    assert callable(DATASETS[name])
    assert DATASETS[name].__doc__


def test_options_reach_the_loader() -> None:
    assert len(load("shapes", train=30, val=5, test=5).train) == 30


def test_an_unknown_name_is_met_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'fashion-mini'"):
        load("fashion-mimi")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "fashion-mini",
            {"crops": 2},
            "option 'crops' is unknown, expected one of train, val, test, flip, crop",
        ),
        ("folder", {}, "option 'root' is missing"),
        ("npz", {"path": 3}, "option 'path' is 3, expected"),
        ("shapes", {"train": "100"}, "option 'train' is '100', expected a whole number"),
        ("shapes", {"flip": 1}, "option 'flip' is 1, expected true or false"),
        ("npz", {"path": "x", "layout": "HW"}, "option 'layout' is 'HW', expected 'NHWC'"),
    ],
)
def test_options_that_do_not_fit_are_named(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(name, **options)


class Unjudged:
    pass


def test_a_loader_of_the_user_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(size: Unjudged, hidden: "OnlyForTypeCheckers" = None, **rest: int) -> ImageData:  # type: ignore[name-defined]  # noqa: F821  # type: ignore[name-defined]
        return shapes(train=int(rest["count"]), val=2, test=2)

    def wrong(size: Unjudged) -> int:
        return 3

    monkeypatch.setattr(DATASETS, "_own", {"own": own, "wrong": wrong})
    assert len(load("own", size=4, count=12).train) == 12
    with pytest.raises(DataError, match="returned is of type int, expected data with three splits"):
        load("wrong", size=4)


def test_what_a_loader_raises_is_told_in_one_line() -> None:
    def broken() -> None:
        raise MemoryError("no\nroom")

    DATASETS.add("broken", broken)
    with pytest.raises(DataError, match=r"the loader is failing \(MemoryError: no room\)"):
        load("broken")
