"""Channels: how they hang together in any network, and how they leave it exactly."""

from secateur.channels.classes import Pinned
from secateur.channels.compact import compact, compact_with_record
from secateur.channels.compaction import Compaction
from secateur.channels.trace import Trace, trace

__all__ = ["Compaction", "Pinned", "Trace", "compact", "compact_with_record", "trace"]
