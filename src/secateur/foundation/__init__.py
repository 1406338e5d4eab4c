"""What several rooms share: runs of an example, modes, whole files, threads, safe text."""
