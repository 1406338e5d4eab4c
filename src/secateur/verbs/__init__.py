"""The public verbs that join several rooms: `secateur.prune`, `repair`, `sweep` and others.

A folder of their own, because a module `secateur.prune` would hide the function of that name.
"""
