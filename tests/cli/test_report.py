"""`secateur report` as its users run it."""

from pathlib import Path
from typing import Any


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
