"""Sparse layers as modules and as torch operators, on the native kernels."""
