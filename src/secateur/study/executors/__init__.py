"""Executors: where the runs of a study are performed; `protocol` says what one is."""
