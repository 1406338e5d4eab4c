"""L1 filter pruning on the convolutions, magnitude pruning on the rest."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="combined",
    summary="L1 filter pruning on the convolutions and magnitude pruning on all other layers.",
    source="Li et al. 2016, arXiv 1608.08710, with Han et al. 2015, arXiv 1506.02626",
    parts=(
        Part("magnitude", "channel", "conv", "layer"),
        Part("magnitude", "weight", "non-conv", "global"),
    ),
)
