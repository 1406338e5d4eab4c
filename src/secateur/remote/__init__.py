"""Copies of run folders at addresses elsewhere: an object store, another disk."""
