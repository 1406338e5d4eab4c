"""The manifest: strict on reading, short in writing, and it says its version."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.artifact import manifest as module
from secateur.artifact.manifest import (
    MIGRATIONS,
    VERSION,
    Manifest,
    Source,
    count_ranges,
    to_ranges,
    usual_role,
)
from secateur.errors import ArtifactError

PATH = Path("net.safetensors")


def test_what_says_nothing_is_not_written() -> None:
    assert Manifest(version=VERSION).to_text() == '{"version":1}'


def test_a_manifest_comes_back() -> None:
    made = Manifest(
        version=VERSION,
        tied={"b": "a"},
        attributes={"0": {"groups": 4, "shape": [1, 2]}},
        kept=["0-3,7"],
        slots={"a": {"0": 0}},
        masks={"a": (3, 4)},
        source=Source(name="mine:net", shape=[1, 2, 3]),
        metrics={"deep": {"list": [1, None, "x"]}},
    )
    assert Manifest.from_text(PATH, made.to_text()) == made


@pytest.mark.parametrize("version", [0, 2, 99, -1, "1", 1.5, None, True, [1]])
def test_another_version_is_refused_with_what_to_do(version: Any) -> None:
    with pytest.raises(ArtifactError, match="Install the version of secateur"):
        Manifest.from_text(PATH, json.dumps({"version": version}))


def test_an_older_version_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MIGRATIONS, 0, lambda old: {"version": 1, "tied": old["ties"]})
    assert Manifest.from_text(PATH, '{"version":0,"ties":{"b":"a"}}').tied == {"b": "a"}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "1", "null", "{}", "{" * 100_000, '{"version":1,"version":', "\ud800"],
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError):
        Manifest.from_text(PATH, text)


@pytest.mark.parametrize(
    "field",
    [
        {"unknown": 1},
        {"tied": {"a": 1}},
        {"strides": {"a": [-1]}},
        {"strides": {"a": [2**62]}},
        {"strides": {"a": [1.0]}},
        {"attributes": {"a": {"b": True}}},
        {"attributes": {"a": {"b": "rm -rf"}}},
        {"kept": ["0-"]},
        {"kept": ["9" * 30]},
        {"kept": ["٣"]},
        {"slots": {"a": {"0": -1}}},
        {"masks": {"a": [1]}},
        {"roles": {"a": "pickle"}},
        {"source": {"name": ["os:system"]}},
        {"coded": {"a": {"dtype": "F32"}}},
    ],
)
def test_a_field_of_another_kind_is_refused_by_name(field: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match=next(iter(field))):
        Manifest.from_text(PATH, json.dumps({"version": 1, **field}))


@given(st.sets(st.integers(0, 300)))
def test_ranges_count_what_they_were_made_of(indices: set[int]) -> None:
    text = to_ranges(sorted(indices))
    assert count_ranges(text) == len(indices)
    assert Manifest.from_text(PATH, json.dumps({"version": 1, "kept": [text]})).kept == [text]


@pytest.mark.parametrize(
    ("name", "shape", "role"),
    [
        ("a.weight", (2, 3, 3, 3), "conv"),
        ("weight", (2, 3), "linear"),
        ("norm.weight", (2,), ""),
        ("a.bias", (2,), ""),
        ("norm.running_var", (2,), "buffer"),
        ("num_batches_tracked", (), "buffer"),
    ],
)
def test_roles_by_the_usual_names(name: str, shape: tuple[int, ...], role: str) -> None:
    assert usual_role(name, shape) == role


def test_versions_know_a_way_to_this_one() -> None:
    assert all(old < module.VERSION for old in MIGRATIONS)


@pytest.mark.parametrize("form", ["code", ["tensor", "x"], ["none"] * 65, 3, {}])
def test_what_stands_for_a_skipped_module_is_one_of_a_few_words(form: object) -> None:
    text = json.dumps({"version": 1, "skipped": {"conv": {"form": form}}})
    with pytest.raises(ArtifactError, match=r"a manifest with a bad .skipped\.conv"):
        Manifest.from_text(Path("net"), text)


def test_what_a_skipped_module_gave_comes_back() -> None:
    text = json.dumps({"version": 1, "skipped": {"a.b": {"form": ["like", "none"]}}})
    (one,) = Manifest.from_text(Path("net"), text).skipped.values()
    assert (one.form, one.parameters) == (["like", "none"], 0)
