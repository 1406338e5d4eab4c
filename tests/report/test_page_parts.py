"""What the first picture is drawn from, and the rest."""

from secateur.report.page.parts import parts

POINT = {"digest": "d", "name": "n", "scores": {}, "zeros": [1, 2], "export": "secateur"}


def test_together_they_are_the_values() -> None:
    held = {"levels": [], "csv": "a", "trainings": {}, "points": [POINT, {**POINT, "digest": "e"}]}
    first, rest = parts(held)
    assert set(first) == {"levels", "points"}
    assert set(rest) == {"csv", "trainings", "points"}
    for place, point in enumerate(held["points"]):
        one, more = first["points"][place], rest["points"][place]
        assert not set(one) & set(more)
        assert one | more == point
    assert set(first["points"][0]) == {"digest", "name", "scores"}


def test_each_of_several_studies_is_parted() -> None:
    held = {"studies": [{"csv": "a"}, {"floor": "0.9"}]}
    assert parts(held) == ({"studies": [{}, {"floor": "0.9"}]}, {"studies": [{"csv": "a"}, {}]})
