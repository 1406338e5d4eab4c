"""A missing library: what a file of this room says when it cannot import what it is for."""

from secateur.errors import UsageError


def missing(library: str) -> UsageError:
    """The error for a library that is not installed; the extra that brings it has its name.

    Example:
        >>> print(missing("transformers"))
        pruning in a Trainer: transformers is not installed, expected the extra 'transformers'. \
Run `pip install 'secateur[transformers]'`.
    """
    return UsageError(
        "pruning in a Trainer",
        library,
        given="not installed",
        expected=f"the extra {library!r}",
        remedy=f"Run `pip install 'secateur[{library}]'`.",
    )
