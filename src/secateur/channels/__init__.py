"""Channels: how they hang together in any network, and how they leave it exactly."""

from secateur.channels.compaction.compact import compact, compact_with_record, dry_run
from secateur.channels.compaction.record import Compaction
from secateur.channels.operators.registry import register_operator
from secateur.channels.trace import Trace, trace
from secateur.pruning.pinned import Pinned

__all__ = [
    "Compaction",
    "Pinned",
    "Trace",
    "compact",
    "compact_with_record",
    "dry_run",
    "register_operator",
    "trace",
]
