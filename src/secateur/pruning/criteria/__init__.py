"""Criteria: (weights, statistics) -> scores; higher is kept."""
