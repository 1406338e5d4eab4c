"""The page: a study in one HTML file that opens offline, and the values that it shows."""

from secateur.report.page.document import FILE, render, write
from secateur.report.page.values import values

__all__ = ["FILE", "render", "values", "write"]
