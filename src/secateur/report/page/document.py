"""The document: values, styles, scripts and a chart library in one HTML file.

Charts are drawn by Observable Plot on D3 (both ISC): 0.5 MB together, SVG that a style sheet, a
keyboard and a screen reader can work on, and no code made from text, so that a strict
Content-Security-Policy holds. ECharts (1 MB) draws on a canvas, Vega-Lite with Vega (0.8 MB)
compiles expressions with `Function`, plotly takes 4 MB, and uPlot draws time series on a canvas.

What a study holds is untrusted here: it enters the file packed, in letters that cannot be markup,
and the scripts write it with `textContent` alone. The policy names the hash of each script and
style that belongs, so nothing else would run even if it got in.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from secateur.report.file import write_whole
from secateur.report.page.parts import parts
from secateur.report.page.values import values
from secateur.study.folder import inside

if TYPE_CHECKING:
    from secateur.study.store import Store
    from secateur.study.study import RunFolder

FILE = "report.html"
"""The page's name in a run folder."""

# In the order in which they run: the libraries, then ours as one script.
_LIBRARIES = ("d3-7.9.0.min.js", "plot-0.6.17.umd.min.js")
_SCRIPTS = (
    "exact.js", "words.js", "state.js", "chart.js", "multiples.js", "dots.js", "names.js",
    "choice.js", "gain.js", "studies.js", "pick.js", "details.js", "beside.js",
    "filter.js", "table.js", "ranks.js", "tuning.js", "about.js", "live.js", "view.js",
    "main.js",
)  # fmt: skip

# Plot puts this sheet into every chart of class `chart`; the policy has to know it.
_PLOT_STYLE = """\
:where(.chart) {
  --plot-background: white;
  display: block;
  height: auto;
  height: intrinsic;
  max-width: 100%;
}
:where(.chart text),
:where(.chart tspan) {
  white-space: pre;
}"""


def write(
    source: Store | RunFolder | Sequence[Store | RunFolder], path: Path | None = None
) -> Path:
    """Write the page of a study, or of several, whole or not at all.

    Args:
        source: The store of a run folder, or the study; finished or not. Or some of them, which
            share a page and are shown one at a time.
        path: The file; `report.html` in the (first) run folder by default.

    Returns:
        The path.

    Raises:
        StoreError: The file cannot be written; what was there is untouched.
    """
    several = source if isinstance(source, Sequence) else [source]
    target = path or inside(several[0].folder, FILE)
    held = [values(one) for one in several]
    text = render(held[0] if len(held) == 1 else {"studies": held})
    return write_whole(target, text.encode(), "writing the page")


def render(values: Mapping[str, Any], *, live: bool = False) -> str:
    """The whole page.

    Args:
        values: What `values` gave; or `{"studies": [...]}` with what it gave of each.
        live: Whether the page asks `study.json`, beside it on the same server, for newer values
            every two seconds. Without it the page asks no one for anything.

    Returns:
        HTML, complete: it loads nothing.

    Example:
        >>> text = render({"study": {"name": "</script><script>alert(1)</script>"}})
        >>> "alert(1)</script>" in text
        False
    """
    style, script = _style(), _script()
    first, rest = parts(values)
    libraries = [_vendored(name) for name in _LIBRARIES]
    policy = {
        "default-src": "'none'",
        "script-src": " ".join(map(_hash, [*libraries, script])),
        "style-src": " ".join(map(_hash, [style, _PLOT_STYLE])),
        "img-src": "data:",
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return Template(_asset("page.html")).substitute(
        policy="; ".join(f"{name} {sources}" for name, sources in policy.items()),
        live="true" if live else "false",
        style=style,
        values=_packed(first),
        rest=_packed(rest),
        libraries="\n".join(f"<script>{text}</script>" for text in libraries),
        script=script,
    )


def _packed(values: Mapping[str, Any]) -> str:
    """Values as base64 of gzipped JSON: 2,000 points in 1 MB, and no markup in any name."""
    text = json.dumps(values, allow_nan=False, separators=(",", ":"))
    # Without a time: the same study gives the same bytes.
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _vendored(name: str) -> str:
    return files(__package__).joinpath("vendor", name).read_text(encoding="utf-8").strip()


@cache
def _style() -> str:
    return _asset("page.css").strip()


@cache
def _script() -> str:
    """Our scripts as one, their names seen by each other and by nothing else."""
    body = "\n".join(_asset(name).strip() for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}\n}})();'
