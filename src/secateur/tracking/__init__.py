"""Trackers of experiments: what the store holds, shown where the user already looks."""
