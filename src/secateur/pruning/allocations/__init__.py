"""Allocations: how much of each layer is kept. One file each, one row in `registry.ALLOCATIONS`."""
