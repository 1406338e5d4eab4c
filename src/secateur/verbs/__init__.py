"""The public verbs that join several rooms: `secateur.prune` and `secateur.sweep`.

A folder of their own, because a module `secateur.prune` would hide the function of that name.
"""
