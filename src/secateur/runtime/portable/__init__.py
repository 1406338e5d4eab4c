"""What a packaged network is run by: a plan file, numpy and the kernels, without torch."""
