"""`secateur report` as its users run it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., tuple[int, str, str]]


def test_a_sweep_writes_the_page_and_the_command_writes_it_anew(undisturbed: Any) -> None:
    page = Path(undisturbed.folder, "run", "report.html")
    assert "Page: run/report.html" in (undisturbed.folder / "stdout").read_text()
    written = page.read_bytes()
    done = undisturbed.run("report", "run", "--out", "colleague.html")
    assert done.returncode == 0
    assert done.stdout == f"Page: colleague.html ({len(written):,} bytes)\n"
    assert (undisturbed.folder / "colleague.html").read_bytes() == written


def test_a_folder_without_a_study_is_refused_in_one_line(undisturbed: Any) -> None:
    done = undisturbed.run("report", "nowhere")
    assert done.returncode != 0
    assert "opening a run: nowhere is no folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_several_studies_share_a_page(command: Command, undisturbed: Any, tmp_path: Path) -> None:
    run, other = undisturbed.folder / "run", tmp_path / "other"
    shutil.copytree(run, other)
    page = tmp_path / "both.html"
    status, out, err = command("report", str(run), str(other), "--out", str(page))
    assert (status, err) == (0, "")
    assert out == f"Page: {page} ({page.stat().st_size:,} bytes)\n"
    assert page.stat().st_size < 2 * (run / "report.html").stat().st_size


def test_several_studies_need_a_file_and_each_counts_once(
    command: Command, undisturbed: Any, tmp_path: Path
) -> None:
    run = str(undisturbed.folder / "run")
    other = tmp_path / "other"
    shutil.copytree(run, other)
    status, _, err = command("report", run, str(other))
    assert status == 2
    assert "writing the page: --out is not given, for 2 studies" in err
    status, _, err = command("report", run, f"{run}/", "--out", str(tmp_path / "a.html"))
    assert status == 2
    assert "is twice, expected each run folder once" in err
    status, _, err = command("report", run, "--out", str(tmp_path / "a.pdf"))
    assert status == 2
    assert "a.pdf is a name that ends in .pdf, expected one in .html" in err
    status, _, err = command("report", run, "nowhere", "--out", str(tmp_path / "a.html"))
    assert status == 2
    assert "nowhere is no folder" in err
