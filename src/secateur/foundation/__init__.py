"""What several rooms share: one example run, one atomic write, one thread count, safe HTML."""
