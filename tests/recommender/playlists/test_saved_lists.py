from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from recommender.playlists.saved_lists import (
    MOST_ENTRIES,
    find_lists,
    parse_list,
    paths_of,
    read_list,
    resolve_entries,
)

if TYPE_CHECKING:
    from pathlib import Path

LIST = b"/music/lists/mine.m3u8"


def resolved(content: bytes, **ids: int) -> list[int]:
    """Tracks that a list leads to in a library of files with these names in /music."""
    known = {os.fsencode(f"/music/{name}.mp3"): track_id for name, track_id in ids.items()}
    return resolve_entries(parse_list(LIST, content, changed_at=0.0), known)


@pytest.mark.parametrize(
    "content",
    [
        b"../a.mp3\n../b.mp3\n",
        b"\xef\xbb\xbf#EXTM3U\r\n#EXTINF:12,Somebody - A\r\n../a.mp3\r\n\r\n  ../b.mp3  \r\n",
        b"/music/a.mp3\n/music/lists/.././b.mp3",
        b"file:///music/a.mp3\nFILE://localhost/music/%62.mp3",
        b"..\\a.mp3\r..\\b.mp3",
        b"#PLAYLIST:x\n../a.mp3\n../other.mp3\nhttp://elsewhere/a.mp3\n../b.mp3",
    ],
)
def test_ways_to_write_paths(content: bytes) -> None:
    assert resolved(content, a=1, b=2) == [1, 2]


def test_names_in_other_encodings() -> None:
    ids = {"/music/é.mp3".encode(): 1, b"/music/\xe8.mp3": 2}
    for content in (b"../\xc3\xa9.mp3\n../\xe8.mp3", b"../\xe9.mp3\n../\xe8.mp3"):
        assert resolve_entries(parse_list(LIST, content, changed_at=0.0), ids) == [1, 2]


def test_the_name_of_a_list() -> None:
    for content, title in (
        (b"a.mp3", "mine"),
        (b"#EXTM3U\n#PLAYLIST: For long nights \na.mp3", "For long nights"),
        (b"#playlist:\na.mp3", "mine"),
        (b"#PLAYLIST:f\xfcr dich", "für dich"),
    ):
        assert parse_list(LIST, content, changed_at=0.0).title == title


def test_a_track_may_come_twice_and_lists_have_an_end() -> None:
    assert resolved(b"../a.mp3\n../b.mp3\n../a.mp3", a=1, b=2) == [1, 2, 1]
    long = parse_list(LIST, b"a.mp3\n" * (MOST_ENTRIES + 5), changed_at=0.0)
    assert len(long.entries) == MOST_ENTRIES
    assert paths_of([long]) == [b"/music/lists/a.mp3"]


def test_lists_below_folders(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for name in ("b/two.M3U", "one.m3u8", "b/._two.m3u", "b/song.mp3", "elsewhere/x.m3u8"):
        (tmp_path / name).write_text("a.mp3\n")
    (tmp_path / "b" / "link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "b" / "pipe.m3u8")
    (tmp_path / "b" / "folder.m3u8").mkdir()
    found = find_lists([os.fsencode(tmp_path), os.fsencode(tmp_path / "b"), b"http://host/music/"])
    assert [os.path.relpath(one, os.fsencode(tmp_path)) for one in found] == [
        b"b/pipe.m3u8", b"b/two.M3U", b"elsewhere/x.m3u8", b"one.m3u8",
    ]  # fmt: skip
    assert [read_list(one) is not None for one in found] == [False, True, True, True]
    assert read_list(os.fsencode(tmp_path / "none.m3u8")) is None
