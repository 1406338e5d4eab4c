"""The directive `{notebook}`: a notebook's cells and outputs as they lie in its file."""

from __future__ import annotations

import base64
import json
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Notebook(SphinxDirective):
    """Shows a notebook; nothing in it is run."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The cells, one after another."""
        relative, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        made: list[nodes.Node] = []
        for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                made += self._markdown(source)
                continue
            made.append(_literal(source, "python"))
            for output in cell.get("outputs", ()):
                made += self._output(output)
        return made

    def _markdown(self, text: str) -> list[nodes.Node]:
        holder = nodes.container()
        self.state.nested_parse(StringList(text.splitlines(), ""), self.content_offset, holder)
        return list(holder.children)

    def _output(self, output: dict[str, Any]) -> list[nodes.Node]:
        if output["output_type"] == "stream":
            return [_literal("".join(output["text"]), "text")]
        data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
        words = data.get("text/plain", "A figure")
        if "text/html" in data:
            wide = f'<div style="overflow-x: auto">{data["text/html"]}</div>'
            return [nodes.raw("", wide, format="html")]
        if "image/svg+xml" in data:
            svg = base64.b64encode(data["image/svg+xml"].encode()).decode()
            return [_picture(f"image/svg+xml;base64,{svg}", words)]
        if "image/png" in data:
            return [_picture(f"image/png;base64,{''.join(data['image/png'].split())}", words)]
        return [_literal(words, "text")]


def _picture(content: str, words: str) -> nodes.Node:
    return nodes.raw("", f'<img alt="{escape(words)}" src="data:{content}">', format="html")


def _literal(text: str, language: str) -> nodes.literal_block:
    block = nodes.literal_block(text, text)
    block["language"] = language
    return block


def setup(app: Sphinx) -> dict[str, Any]:
    """Enter the directive."""
    app.add_directive("notebook", Notebook)
    return {"parallel_read_safe": True}
