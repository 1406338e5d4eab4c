"""RigL: the rigged lottery."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="rigl",
    summary="A sparse net from scratch: small weights are dropped, others grown by gradients.",
    source="Evci et al. 2020, arXiv 1911.11134",
    parts=(Part("random", "weight", "all", "layer", allocation="erk"),),
    schedule="dynamic",
    start="untrained",
)
