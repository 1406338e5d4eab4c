"""Training with pruned weights held at zero, and scoring."""
