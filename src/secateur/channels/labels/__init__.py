"""Labels: which channel every index of a tensor is, and what only goes together."""
