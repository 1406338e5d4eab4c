import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from study_points import CONTROLS, study

from secateur.errors import UsageError
from secateur.report.figure import FORMATS, Picture
from secateur.report.plot import plot

START = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF-1.4"}


@pytest.fixture(scope="module")
def picture() -> Picture:
    return Picture(plot(study(), x="macs", controls=CONTROLS, title="5 < 6 & $x$"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_of_every_form(picture: Picture, form: str, tmp_path: Path) -> None:
    path = picture.save(tmp_path / "new" / f"figure.{form.upper()}")
    assert path.read_bytes().startswith(START[form])
    # Nothing else: no draft is left behind.
    assert list(path.parent.iterdir()) == [path]


def test_the_png_is_as_wide_as_asked(tmp_path: Path) -> None:
    from matplotlib.image import imread

    path = Picture(plot(study(1), width=3.3)).save(tmp_path / "a.png")
    assert imread(path).shape[1] == 660


def test_the_svg_is_xml_and_runs_nothing(picture: Picture) -> None:
    root = ElementTree.fromstring(picture.bytes("svg"))
    names = {node.tag.rpartition("}")[2] for node in root.iter()}
    assert "path" in names
    assert not names & {"script", "image", "foreignObject"}


def test_the_pdf_has_letters_and_no_date(picture: Picture) -> None:
    content = picture.bytes("pdf")
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_the_same_points_in_any_order_give_the_same_bytes(picture: Picture) -> None:
    points = list(reversed(study()))
    again = Picture(plot(points, x="macs", controls=CONTROLS, title="5 < 6 & $x$"))
    for form in FORMATS:
        assert picture.bytes(form) == again.bytes(form)


def test_another_process_another_time_the_same_bytes(picture: Picture, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from study_points import CONTROLS, study\n"
        "from secateur.report.figure import Picture; from secateur.report.plot import plot\n"
        "p = Picture(plot(study(), x='macs', controls=CONTROLS, title='5 < 6 & $x$'))\n"
        f"[p.save({str(tmp_path / 'a')!r} + '.' + form) for form in ('png', 'svg', 'pdf')]\n"
        "sys.exit(bool({'matplotlib.pyplot', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0  # neither pyplot nor torch was loaded
    for form in FORMATS:
        assert (tmp_path / f"a.{form}").read_bytes() == picture.bytes(form)


def test_the_users_settings_do_not_matter(picture: Picture) -> None:
    import matplotlib

    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 20, "pdf.fonttype": 3}):
        again = Picture(picture.plot)
        assert all(again.bytes(form) == picture.bytes(form) for form in FORMATS)


@pytest.mark.parametrize("name", ["figure.jpg", "figure", "pdf", "figure.pdf.gz"])
def test_another_suffix(picture: Picture, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected one of \.png, \.svg, \.pdf"):
        picture.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_notebook_gets_the_svg_and_words(picture: Picture) -> None:
    shown = picture._repr_mimebundle_(include=None, exclude=None)
    assert shown["image/svg+xml"].encode() == picture.bytes("svg")
    assert shown["text/plain"].startswith(
        "Picture(Test accuracy (4,000 examples) against MACs: comb"
    )
