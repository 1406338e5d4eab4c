"""The sparse kernels in C, and the ctypes wrapper around them. No torch here: numpy arrays."""
