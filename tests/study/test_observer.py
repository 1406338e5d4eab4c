from secateur.spec import StudySpec
from secateur.study.observer import Several, Silent
from secateur.study.plan import Run, plan


class Diary:
    """Writes down whatever it is told."""

    def __init__(self, name: str, told: list[tuple[object, ...]]) -> None:
        self.name = name
        self.told = told

    def __getattr__(self, event: str):  # type: ignore[no-untyped-def]
        return lambda *values: self.told.append((self.name, event, *values))


def tell(observer: Silent | Several, run: Run) -> None:
    observer.planned((run,), frozenset())
    observer.started(run)
    observer.epoch(run, {"epoch": 1})
    observer.ended(run, "why")
    observer.timing(2)


def test_several_are_told_everything_in_their_order() -> None:
    run = plan(StudySpec.model_validate({"methods": {"dense": {}}}), {"data": ""})[0]
    told: list[tuple[object, ...]] = []
    tell(Several(Diary("one", told), Silent(), Diary("two", told)), run)  # type: ignore[arg-type]
    events = [
        ("planned", (run,), frozenset()),
        ("started", run),
        ("epoch", run, {"epoch": 1}),
        ("ended", run, "why"),
        ("timing", 2),
    ]
    assert told == [(name, *event) for event in events for name in ("one", "two")]
