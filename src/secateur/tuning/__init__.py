"""Tuning: a search over the settings of a study, whose every trial is a study of its own."""
