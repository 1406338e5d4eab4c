from pathlib import Path

import pytest

from secateur.errors import StoreError
from secateur.study.run_lock import LOCK, is_in_use, writable


def test_one_at_a_time_though_the_lock_file_is_removed(tmp_path: Path) -> None:
    with writable(tmp_path):
        (tmp_path / LOCK).unlink()
        assert is_in_use(tmp_path)
        with pytest.raises(StoreError, match="in use by another sweep"), writable(tmp_path):
            pass
    assert not is_in_use(tmp_path)
    with writable(tmp_path):
        pass


def test_the_lock_file_that_earlier_versions_look_at_is_held_too(tmp_path: Path) -> None:
    import fcntl

    with writable(tmp_path), (tmp_path / LOCK).open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_looking_whether_a_folder_is_in_use_makes_nothing(tmp_path: Path) -> None:
    assert not is_in_use(tmp_path / "none")
    assert not is_in_use(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_several_that_share_it_write_it_and_none_of_them_beside_one_that_does_not(
    tmp_path: Path,
) -> None:
    with writable(tmp_path, shared=True), writable(tmp_path, shared=True):
        assert is_in_use(tmp_path)
        with pytest.raises(StoreError, match=r"which shares it.*with --shared"), writable(tmp_path):
            pass
    assert not is_in_use(tmp_path)
    with writable(tmp_path):
        assert is_in_use(tmp_path)
        with (
            pytest.raises(StoreError, match=r"which does not share it.*with --shared"),
            writable(tmp_path, shared=True),
        ):
            pass
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".partial"] == []


def test_the_lock_of_a_shared_folder_keeps_earlier_versions_out(tmp_path: Path) -> None:
    import fcntl

    with (
        writable(tmp_path, shared=True),
        (tmp_path / LOCK).open() as lock,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
