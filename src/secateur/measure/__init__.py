"""What a network costs: parameters and multiply-adds, zeros, latency, and where it was measured."""
