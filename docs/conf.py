"""How the guide is built: `make docs`, or `sphinx-build -W docs build/docs`.

Sphinx with furo, because Material for MkDocs reaches its end of life in May 2027 and MkDocs itself
is no longer maintained; furo brings its own fonts, styles and search, and asks no server for them.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "secateur"
copyright = "the secateur founders, MIT licence"  # noqa: A001
release = version = installed_version("secateur")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "commands",
    "notebook",
    "offline",
    "reference",
    "tables",
]
exclude_patterns = ["_ext"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_use_ivar = True
napoleon_use_rtype = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Single backticks, as the docstrings have them.
default_role = "literal"

html_theme = "furo"
html_title = "secateur"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
