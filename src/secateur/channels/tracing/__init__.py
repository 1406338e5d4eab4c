"""Tracing: one pass recorded, solved for its channel classes, and a cut played through it."""
