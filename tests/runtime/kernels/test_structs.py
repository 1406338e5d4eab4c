"""Structs: the same as those of `secateur.h`, field by field."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

from secateur.runtime.kernels.nonzeros import _Nonzeros
from secateur.runtime.kernels.structs import (
    ABI,
    Algorithm,
    Buffer,
    Flag,
    Function,
    KernelLayer,
    Layout,
    Op,
    OpKind,
    PackInfo,
    Shape,
    Status,
    Task,
    shape,
)

HEADER = Path(__file__).parents[3] / "src" / "secateur" / "runtime" / "kernels" / "secateur.h"
STRUCTS = {
    "shape": Shape,
    "op": Op,
    "buffer": Buffer,
    "task": Task,
    "layer": KernelLayer,
    "pack_info": PackInfo,
    "nonzeros": _Nonzeros,
}
ENUMS = {
    "status": Status,
    "layout": Layout,
    "kind": OpKind,
    "algorithm": Algorithm,
    "flag": Flag,
    "function": Function,
}
POINTER = "a pointer"


@pytest.fixture(scope="module")
def header() -> str:
    """The header without its comments."""
    return re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)


def fields_in_c(header: str, name: str) -> list[tuple[str, str]]:
    """(name, type) of every field of a struct; all pointers are one type."""
    (body,) = re.findall(rf"typedef struct secateur_{name} \{{(.*?)\}}", header, re.DOTALL)
    fields = []
    for declaration in body.split(";")[:-1]:
        kind, names = declaration.replace("const ", "").strip().split(maxsplit=1)
        for field in names.split(","):
            pointer = field.strip().startswith("*")
            fields.append((field.strip(" *\n"), POINTER if pointer else kind))
    return fields


def type_in_c(field: type) -> str:
    if field is ctypes.c_void_p or issubclass(field, ctypes._Pointer):
        return POINTER
    names = {ctypes.c_int32: "int32_t", ctypes.c_int64: "int64_t", Shape: "secateur_shape"}
    return names[field]


@pytest.mark.parametrize("name", STRUCTS)
def test_fields_are_those_of_the_header(header: str, name: str) -> None:
    given = [(field, type_in_c(kind)) for field, kind in STRUCTS[name]._fields_]
    assert given == fields_in_c(header, name)


def test_no_struct_of_the_header_is_left_out(header: str) -> None:
    assert set(re.findall(r"typedef struct secateur_(\w+)", header)) == set(STRUCTS)


@pytest.mark.parametrize("name", ENUMS)
def test_constants_are_those_of_the_header(header: str, name: str) -> None:
    (body,) = re.findall(rf"enum secateur_{name} \{{(.*?)\}}", header, re.DOTALL)
    in_c = {key: int(value) for key, value in re.findall(r"SECATEUR_(\w+) = (\d+)", body)}
    given = {each.name: int(each) for each in ENUMS[name]}
    if name == "flag":
        assert given.pop("NONE", 0) == 0  # not to be named in C
    assert given == in_c


def test_the_version_is_that_of_the_header(header: str) -> None:
    assert re.findall(r"#define SECATEUR_ABI (\d+)", header) == [str(ABI)]


def test_the_structs_have_the_size_that_c_gives_them() -> None:
    """A field that one side has and the other has not would shift all that follow."""
    sizes = {kind: ctypes.sizeof(kind) for kind in (Shape, Op, Buffer, KernelLayer, PackInfo, Task)}
    assert sizes == {Shape: 56, Op: 104, Buffer: 24, KernelLayer: 80, PackInfo: 96, Task: 64}


def test_a_shape_says_where_each_size_goes() -> None:
    options = {"kernel": (1, 2), "stride": (3, 4), "padding": (5, 6), "dilation": (7, 8)}
    made = shape((10, 11, 12), (20, 21, 22), **options)
    given = {name: getattr(made, name) for name, _ in Shape._fields_}
    assert given == {
        "in_channels": 10,
        "in_height": 11,
        "in_width": 12,
        "out_channels": 20,
        "out_height": 21,
        "out_width": 22,
        "kernel_height": 1,
        "kernel_width": 2,
        "stride_height": 3,
        "stride_width": 4,
        "pad_top": 5,
        "pad_left": 6,
        "dilation_height": 7,
        "dilation_width": 8,
    }
    assert (made.in_features, made.out_features) == (1320, 9240)


def test_what_is_not_given_is_one_and_padding_is_none() -> None:
    made = shape((1, 1, 1), (1, 1, 1))
    rest = {getattr(made, name) for name, _ in Shape._fields_ if not name.startswith("pad")}
    assert rest == {1}
    assert (made.pad_top, made.pad_left) == (0, 0)
