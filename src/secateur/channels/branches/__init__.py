"""Branches: which residual branches of a network can be skipped as a whole."""
