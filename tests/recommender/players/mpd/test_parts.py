"""What the parts make of addresses, names and changes of the queue."""

from __future__ import annotations

import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from recommender.players.mpd.address import Address, parse_address
from recommender.players.mpd.client import Unreachable, connect
from recommender.players.mpd.names import MusicDirectory
from recommender.players.mpd.queue_state import (
    QueueState,
    Song,
    is_skip,
    read_state,
    was_taken_out,
)

SONGS = tuple(Song(number, f"{number}.mp3") for number in range(1, 6))
PLAYING = QueueState(
    songs=SONGS,
    version=1,
    position=0,
    next_id=2,
    elapsed_s=4.0,
    duration_s=200.0,
    at_s=100.0,
    playing=True,
    random=False,
    repeat=False,
    single=False,
    consume=False,
    error=None,
)
NEXT = replace(PLAYING, position=1, next_id=3, elapsed_s=0.0, at_s=103.0)


@pytest.mark.parametrize(
    ("host", "means"),
    [
        (None, Address("localhost", 6601)),
        ("music.local", Address("music.local", 6601)),
        ("secret@music.local", Address("music.local", 6601, "secret")),
        ("/run/mpd.sock", Address("/run/mpd.sock", 6601)),
        ("secret@/run/mpd.sock", Address("/run/mpd.sock", 6601, "secret")),
        ("@abstract", Address("@abstract", 6601)),
        ("secret@@abstract", Address("@abstract", 6601, "secret")),
        ("secret@", Address("localhost", 6601, "secret")),
    ],
)
def test_a_host_is_read_as_other_clients_read_it(host: str | None, means: Address) -> None:
    assert parse_address(host, 6601, {}) == means


def test_a_local_socket_comes_before_localhost_and_no_password_is_shown(tmp_path: Path) -> None:
    socket = tmp_path / "mpd" / "socket"
    socket.parent.mkdir()
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert parse_address(None, 6600, environment).host == "localhost"
    socket.touch()
    assert parse_address(None, 6600, environment).host == str(socket)
    assert "secret" not in repr(parse_address("secret@there", 6600, {}))
    assert str(parse_address("secret@there", 6600, {})) == "there, port 6600"


def test_names_and_paths_are_each_others_way_back(tmp_path: Path) -> None:
    (tmp_path / "music" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "music")
    there = bytes(tmp_path / "music")
    music = MusicDirectory(there)
    for name in (b"a.mp3", "sub/\u00fc b.flac".encode(), b"sub/\xff\xfe.ogg"):
        text = music.name_of(there + b"/" + name)
        assert text is not None
        assert music.path_of(text) == there + b"/" + name
    assert music.name_of(bytes(tmp_path / "link" / "sub" / "x.mp3")) == "sub/x.mp3"
    assert MusicDirectory(bytes(tmp_path / "link")).name_of(there + b"/x.mp3") == "x.mp3"
    assert music.name_of(b"/elsewhere/a.mp3") is None
    assert music.name_of(there + b"/new\nline.mp3") is None
    assert music.name_of(b"https://host/a.mp3") is None
    assert music.path_of("http://radio/stream") is None
    assert music.path_of("/whole/path.mp3") == b"/whole/path.mp3"
    assert music.meets(bytes(tmp_path))
    assert music.meets(bytes(tmp_path / "link" / "sub"))
    assert not music.meets(bytes(tmp_path / "other"))
    assert not music.meets(b"https://host/")


def test_links_to_folders_right_in_the_music_directory_are_followed(tmp_path: Path) -> None:
    for folder in ("music/own", "real/below", "other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "music" / "mine").symlink_to(tmp_path / "real")
    (tmp_path / "music" / "loop").symlink_to("loop")
    (tmp_path / "way").symlink_to(tmp_path / "real")
    music = MusicDirectory(bytes(tmp_path / "music"))
    assert music.name_of(bytes(tmp_path / "real" / "below" / "a.mp3")) == "mine/below/a.mp3"
    assert music.name_of(bytes(tmp_path / "way" / "a.mp3")) == "mine/a.mp3"
    assert music.name_of(bytes(tmp_path / "music" / "own" / "a.mp3")) == "own/a.mp3"
    assert music.name_of(bytes(tmp_path / "music" / "mine" / "a.mp3")) == "mine/a.mp3"
    assert music.name_of(bytes(tmp_path / "other" / "a.mp3")) is None
    assert music.meets(bytes(tmp_path / "real"))
    assert music.meets(bytes(tmp_path / "way" / "below"))
    assert not music.meets(bytes(tmp_path / "other"))


def test_songs_are_missing_only_where_the_end_of_the_queue_is_to_be_reached() -> None:
    assert PLAYING.missing(3, ()) == 0
    assert PLAYING.missing(6, ()) == 2
    assert replace(PLAYING, position=4).missing(3, ()) == 3
    assert replace(PLAYING, position=None).missing(9, ()) == 0
    assert replace(PLAYING, position=4, single=True).missing(3, ()) == 0
    assert replace(PLAYING, position=4, repeat=True).missing(3, ()) == 0
    assert replace(PLAYING, position=4, repeat=True, consume=True).missing(3, ()) == 3


def test_at_random_the_songs_to_come_are_those_that_have_not_begun() -> None:
    mixed = replace(PLAYING, random=True, position=4, next_id=3)
    assert mixed.missing(3, {5}) == 0
    assert mixed.missing(3, {5, 1, 2}) == 1
    assert replace(mixed, next_id=None).missing(3, {5}) == 3


@pytest.mark.parametrize(
    ("before", "now", "skipped"),
    [
        (PLAYING, NEXT, True),
        (PLAYING, replace(PLAYING, at_s=103.0), False),  # nothing changed
        (PLAYING, replace(NEXT, position=3), False),  # a jump to another song
        (PLAYING, replace(NEXT, at_s=200.0), False),  # late
        (PLAYING, replace(NEXT, error="no decoder"), False),  # MPD could not play it
        (replace(PLAYING, error="earlier"), replace(NEXT, error="earlier"), True),
        (PLAYING, replace(NEXT, position=None), False),  # stopped
        (replace(PLAYING, playing=False), replace(NEXT, at_s=900.0), True),  # paused meanwhile
        (replace(PLAYING, duration_s=8.0), NEXT, False),  # it was over
        (replace(PLAYING, duration_s=0.0), NEXT, True),
    ],
)
def test_a_skip_is_an_early_step_to_the_next_song(
    before: QueueState, now: QueueState, skipped: bool
) -> None:
    assert is_skip(before, now, 30.0) == skipped


def test_what_was_to_come_and_is_gone_was_taken_out() -> None:
    without = replace(PLAYING, songs=SONGS[:1])
    assert was_taken_out(PLAYING, without, ())
    played = replace(PLAYING, songs=SONGS[1:], position=0)
    assert not was_taken_out(PLAYING, played, ())
    assert not was_taken_out(PLAYING, replace(PLAYING, songs=(*SONGS, Song(9, "new"))), ())


def test_changes_are_put_into_the_queue_before_them() -> None:
    status = {
        "playlist": "7",
        "playlistlength": "3",
        "state": "pause",
        "song": "1",
        "songid": "8",
        "elapsed": "1.5",
        "random": "0",
        "repeat": "0",
        "single": "oneshot",
        "consume": "1",
    }
    changes = [{"pos": "1", "id": "8", "file": "b"}, {"pos": "2", "id": "9", "file": "c"}]
    state = read_state(status, changes, SONGS, at_s=5.0)
    assert state.songs == (SONGS[0], Song(8, "b"), Song(9, "c"))
    assert (state.current, state.next_id, state.playing) == (Song(8, "b"), None, False)
    assert (state.single, state.consume, state.version) == (True, True, 7)
    stopped = read_state({**status, "state": "stop"}, (), SONGS, at_s=5.0)
    assert stopped.current is None


def test_a_socket_at_which_nothing_answers_is_closed_again() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/socket")
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(Unreachable, match="no MPD answers"):
            connect(Address(f"{folder}/socket", 6600))
        assert len(os.listdir("/proc/self/fd")) == before
