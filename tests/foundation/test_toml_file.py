"""Study files of any size, depth and encoding."""

import os
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import SpecError
from secateur.foundation.toml_file import DEEPEST, LARGEST_FILE, check_plain, read_toml


def written(folder: Path, content: bytes) -> Path:
    (folder / "study.toml").write_bytes(content)
    return folder / "study.toml"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_byte_order_mark_is_none_of_its_words(tmp_path: Path, end: bytes) -> None:
    content = b"\xef\xbb\xbf" + end.join((b'name = "a"', b"[methods.magnitude]", b""))
    assert read_toml(written(tmp_path, content)) == {"name": "a", "methods": {"magnitude": {}}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = " + b"[" * 10_000 + b"]" * 10_000, "nested without an end|damaged TOML"),
        (b"a = " + b"{b = " * 10_000 + b"1" + b"}" * 10_000, "nested without an end|damaged TOML"),
        (b'name = "' + b"a" * 10_000_000 + b'"', "of more than 1,048,576 bytes"),
        (b"a = 1\n" * 2_000_000, "of more than"),
        (b'name = "a"\nname = "b"\n', r"damaged TOML .*line 2"),
        (b"[a]\n[a]\n", "damaged TOML"),
        (b"a = " + b"9" * 10_000, "no TOML|damaged TOML"),
        (b"a = 1\0", "damaged TOML"),
        (b'a = "\\ud800"', "damaged TOML"),
        (b'a = "\xed\xa0\x80"', "a TOML file in UTF-8"),
        *(
            ('\ufeffname = "a"'.encode(f"utf-{one}"), "in UTF-16 or UTF-32, .* Save it as UTF-8")
            for one in ("16-le", "16-be", "32-le")
        ),
        ('name = "a"'.encode("utf-16-le"), "damaged TOML"),
        (b"\x1b[2J = 1", "damaged TOML"),
    ],
)
def test_what_is_no_study_file_is_a_named_error(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        read_toml(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_a_device_that_never_ends_is_not_read_to_its_end() -> None:
    with pytest.raises(SpecError, match="of more than"):
        read_toml(Path("/dev/zero"))
    assert LARGEST_FILE == 1 << 20


def test_a_pipe_is_read(tmp_path: Path) -> None:
    """As with `secateur sweep /dev/stdin`."""
    reader, writer = os.pipe()
    os.write(writer, b'name = "a"\n')
    os.close(writer)
    assert read_toml(Path(f"/dev/fd/{reader}")) == {"name": "a"}
    os.close(reader)


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (nested(DEEPEST + 1), "a.a.a is nested without an end"),
        ({"model": "a\0b"}, r"model is 'a\\x00b', expected text, without zero bytes"),
        ({"data": {"options": {"path": ["x", "\0"]}}}, "data.options.path.1 is"),
        ({"a\0": 1}, "the name of a setting is"),
        ({"model": "\ud800"}, "model is .* halves of characters"),
        ({"model": "caf\udce9"}, "files need names in UTF-8"),
    ],
)
def test_what_no_setting_may_be(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check_plain(values, "study.toml")


def test_what_a_setting_may_be() -> None:
    check_plain(nested(DEEPEST - 1), "study.toml")
    check_plain({"name": "日本 é\t", "levels": (0.5, [0.1, "a"]), 3: None}, "the arguments")
