"""Damage: which finished runs lost their files, said before they are made again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from secateur.study.store import Store

if TYPE_CHECKING:
    from secateur.study.plan import Run

_LISTED = 4


class DamageWarning(UserWarning):
    """Files of finished runs are not as they were written; the runs are made again.

    Args:
        lost: What is wrong with each, by the title of its run.

    Example:
        >>> print(DamageWarning({"dense base seed 0": "there is no such file"}))
        the checkpoint of 1 finished run is lost, which is made again: dense base seed 0 (there is \
no such file)
    """

    def __init__(self, lost: Mapping[str, str]) -> None:
        self.titles: Sequence[str] = tuple(lost)
        listed = [f"{title} ({why})" for title, why in list(lost.items())[:_LISTED]]
        more = f" and {len(lost) - _LISTED} more" if len(lost) > _LISTED else ""
        runs = (
            "1 finished run is lost, which is"
            if len(lost) == 1
            else (f"{len(lost)} finished runs is lost, which are")
        )
        super().__init__(f"the checkpoint of {runs} made again: {', '.join(listed)}{more}")


def tell_damaged(store: Store, runs: Mapping[str, Run]) -> None:
    """Warn of the files of finished runs that are missing or damaged.

    Args:
        store: Of the run folder.
        runs: By digest, those that the sweep needs.

    Raises:
        StoreError: A row is damaged.
    """
    verdicts = store.verdicts()
    lost = {
        run.title: verdicts[digest].why
        for digest, run in runs.items()
        if digest in verdicts and not verdicts[digest].usable
    }
    if lost:
        warnings.warn(DamageWarning(lost), stacklevel=3)
