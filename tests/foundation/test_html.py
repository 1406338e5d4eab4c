from secateur.foundation.html import paragraph, table


def test_every_word_is_text() -> None:
    made = table(["<b>"], [["</td><script>"]], "a & b")
    for word in ("&lt;b&gt;", "&lt;/td&gt;&lt;script&gt;", "a &amp; b"):
        assert word in made
    assert "<script" not in made
    assert paragraph("<") == "<p>&lt;</p>"


def test_numbers_stand_to_the_right() -> None:
    made = table(["name", "count", "share"], [["a", 12345, 0.5], ["b", 6, 0.25]])
    assert made.count("text-align:right") == 6
    assert "12,345" in made
    assert "0.2500" in made


def test_rows_are_stressed_by_place() -> None:
    made = table(["n"], [[1], [2], [3]], bold=[1], faint=[2])
    weights = [part.partition('"')[0] for part in made.split('<tr style="')[1:]]
    assert weights == ["", "font-weight:600", "opacity:.7"]


def test_no_rows() -> None:
    assert "<tbody></tbody>" in table(["a", "b"], [])
