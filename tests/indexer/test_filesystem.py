from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from indexer.filesystem import atomic_write, spellings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_when_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="half"), atomic_write(path) as file:
        file.write(b"new")
        raise ValueError("half of it")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with atomic_write(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_through_a_link_the_file_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "file"
    path.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(path)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


def test_a_file_has_a_spelling_for_each_link_on_the_way_and_stays_a_link_itself(
    tmp_path: Path,
) -> None:
    (tmp_path / "real" / "album").mkdir(parents=True)
    (tmp_path / "music").symlink_to("real")
    (tmp_path / "real" / "more").symlink_to("album")
    (tmp_path / "real" / "album" / "1.mp3").symlink_to("2.mp3")
    ways = ["music/more", "real/more", "real/album"]
    folders = [os.fsencode(tmp_path / way) for way in ways]
    named = tmp_path / "music" / "more"
    assert spellings(named / "1.mp3") == [folder + b"/1.mp3" for folder in folders]
    assert spellings(named / "none" / "1.mp3")[-1] == folders[-1] + b"/none/1.mp3"
    assert spellings(named) == folders
    assert spellings("/") == [b"/"]
    assert spellings("HTTPS://host/folder/1.mp3") == [b"https://host/folder/1.mp3"]


def test_a_file_with_permissions_of_its_own_has_them_from_the_first_byte_on(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"known to all")
    path.chmod(0o644)
    with atomic_write(path, mode=0o600) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
        file.write(b"known to one")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"known to one", 0o600)
