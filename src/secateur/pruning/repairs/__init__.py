"""Kinds of repair, a file each."""
