"""Yardsticks: what papers have published, and what it is here, side by side."""
