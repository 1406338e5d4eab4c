"""What runs a pruned network: kernels in C, layers on them, and a compiler for whole networks."""
