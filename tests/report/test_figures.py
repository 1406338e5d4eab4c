import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from study_points import CONTROLS, study

from secateur.errors import UnknownNameError, UsageError
from secateur.report.figures import figures


def test_four_files_that_open(tmp_path: Path) -> None:
    from matplotlib.image import imread

    paths = figures(study(), tmp_path / "new", controls=CONTROLS)
    assert [path.name for path in paths] == [
        "test-accuracy-sparsity.png",
        "test-accuracy-sparsity.svg",
        "test-accuracy-conv-sparsity.png",
        "test-accuracy-conv-sparsity.svg",
    ]
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)
    for path in paths:
        if path.suffix == ".png":
            assert imread(path).shape[1:] == (1280, 4)
        else:
            assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_no_points(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the study is empty"):
        figures([], tmp_path)


def test_an_unknown_accuracy(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'test_accuracy'"):
        figures(study(1), tmp_path, y="test_acuracy")


def test_importing_it_loads_neither_matplotlib_nor_torch() -> None:
    code = (
        "import sys, secateur.report.figures, secateur.report.table, secateur.report.notebook\n"
        "sys.exit(bool({'matplotlib', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
