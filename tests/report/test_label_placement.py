from hypothesis import given
from hypothesis import strategies as st

from secateur.report.label_placement import Box, Move, place

BOUNDS = Box(0, 0, 1000, 400)


def text(x: float, y: float, width: float = 60, height: float = 12) -> Box:
    return Box(x, y - height / 2, x + width, y + height / 2)


def moved(labels: list[Box], moves: list[Move], gap: float) -> list[Box]:
    return [
        label.moved(-(label.right - label.left) - 2 * gap if move.left else 0, move.up)
        for label, move in zip(labels, moves, strict=True)
    ]


def test_a_label_alone_stays() -> None:
    assert place([text(500, 200)], [], BOUNDS, gap=6) == [Move(False, 0.0)]


def test_the_second_of_two_makes_room() -> None:
    moves = place([text(500, 200), text(500, 204)], [], BOUNDS, gap=6)
    assert moves == [Move(False, 0.0), Move(False, 8.0)]


def test_a_label_at_the_edge_of_the_page_goes_to_the_left() -> None:
    assert place([text(990, 200)], [], BOUNDS, gap=6) == [Move(True, 0.0)]


def test_a_label_at_the_top_comes_down() -> None:
    assert place([text(500, 399)], [], BOUNDS, gap=6) == [Move(False, -5.0)]


def test_lines_are_avoided() -> None:
    line = [Box(500, 198, 560, 202)]
    (move,) = place([text(500, 200)], line, BOUNDS, gap=6)
    (box,) = moved([text(500, 200)], [move], gap=6)
    assert box.overlap(line[0]) == 0


def test_overlap_is_an_area_and_touching_is_none() -> None:
    assert Box(0, 0, 4, 2).overlap(Box(3, 1, 9, 9)) == 1
    assert Box(0, 0, 4, 2).overlap(Box(4, 0, 9, 9)) == 0
    assert Box(0, 0, 4, 2).overlap(Box(0, 2, 9, 9)) == 0


@given(st.lists(st.tuples(st.integers(100, 900), st.integers(10, 390)), max_size=8))
def test_no_label_covers_another_or_leaves_the_page(ends: list[tuple[int, int]]) -> None:
    labels = [text(x, y) for x, y in ends]
    boxes = moved(labels, place(labels, [], BOUNDS, gap=6), gap=6)
    for i, box in enumerate(boxes):
        assert BOUNDS.bottom <= box.bottom
        assert box.top <= BOUNDS.top
        assert all(box.overlap(other) == 0 for other in boxes[:i])
