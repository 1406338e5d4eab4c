from pathlib import Path
from typing import Any

import pytest


def test_a_figure_of_every_kind(undisturbed: Any, tmp_path: Path) -> None:
    out = tmp_path / "f.pdf"
    done = undisturbed.run("figure", "run", "--x", "conv_sparsity", "--out", str(out))
    assert (done.returncode, done.stdout.split()) == (0, ["Figure:", str(out)])
    assert out.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "f.jpg"), "choosing a figure's format: the file's suffix is 'f.jpg'"),
        (("--out", "f.png", "--x", "conv_sparsty"), "Did you mean 'conv_sparsity'"),
        (("--out", "f.png", "--methods", "magnitude,nil"), "the method of this study is 'nil'"),
    ],
)
def test_what_cannot_be_is_one_line(
    undisturbed: Any, options: tuple[str, ...], message: str
) -> None:
    done = undisturbed.run("figure", "run", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (undisturbed.folder / options[1]).exists()
