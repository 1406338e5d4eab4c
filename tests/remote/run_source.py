"""A run folder that is filled run by run."""

from dataclasses import dataclass
from pathlib import Path

from secateur.point import Point
from secateur.study.checkpoint_sum import sum_of
from secateur.study.folder import write_whole
from secateur.study.plan import Run
from secateur.study.store import Store

KEYS = {"key": "some-key", "secret": "a-secret-key"}


@dataclass
class Source:
    """A run folder whose runs end one after the other."""

    folder: Path
    made: list[tuple[Run, Point]]

    def end(self, place: int, content: bytes = b"") -> Path:
        """End a run; returns its checkpoint."""
        run, point = self.made[place]
        content = content or run.digest.encode() * 999
        with Store.writing(self.folder) as store:
            path = store.checkpoint(run.digest)
            write_whole(path, content)
            result = {"point": point.to_dict(), "sha256": sum_of(content)}
            store.record_end(store.record_start(run), run, "done", "", result)
        return path
