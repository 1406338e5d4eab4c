"""One study: runs, their store, and the frontier drawn from it."""
