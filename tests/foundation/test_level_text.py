import pytest

from secateur.foundation.level_text import level_text


@pytest.mark.parametrize(
    ("level", "text"),
    [((), ""), ((0.5,), "0.5"), ((0.3, 0.9), "0.3/0.9"), ((0.0, 1.0), "0/1"), ((0.123,), "0.123")],
    ids=["none", "one", "two", "whole", "three digits"],
)
def test_a_level_is_its_sparsities_with_slashes(level, text):
    assert level_text(level) == text
