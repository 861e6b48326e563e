"""The queue of Debian's own MPD, filled: in this process, so that each test has its station."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog import writer
from indexer.catalog.status import TrackStatus
from indexer.library import Library
from recommender import Recommender
from recommender.players.mpd.client import CONNECTION_LOST, Client, connect
from recommender.players.mpd.filling import QUIET_S, RELENT_S, FillOptions, QueueFiller
from recommender.players.mpd.names import MusicDirectory
from recommender.players.mpd.radio import Radio, StationOptions
from tests import sounds
from tests.catalogs import Planted, plant
from tests.mpd_daemon import Daemon, connected, queue, running_mpd, update_database
from tests.waiting import LIMIT_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COUNT = 40
ODD = [b"not utf-8 \xff\xe9.flac", "\u00fc \u266b.flac".encode(), b'quotes" \\ back.flac']
LINE_BREAK = b"new\nline.flac"
UNKNOWN = b"not known to mpd.flac"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `music` and a planted catalog of it; six minutes of silence, many times."""
    folder = tmp_path_factory.mktemp("library")
    music = folder / "songs"
    music.mkdir()
    whole = sounds.long_silent_flac(folder / "whole.flac", hours=0.1)
    names = [f"{number:02}.flac".encode() for number in range(COUNT)]
    names += [*ODD, LINE_BREAK, UNKNOWN]
    for name in names:
        os.link(whole, bytes(music) + b"/" + name)
    os.link(whole, music / "stranger.flac")
    tracks = [
        Planted(
            f"Song {number}",
            artist=f"Band {number}",
            path=Path(os.fsdecode(bytes(music) + b"/" + name)),
            duration_s=200.0 + 20 * number,
            vector=np.random.default_rng(number).normal(size=8).tolist(),
        )
        for number, name in enumerate(names)
    ]
    tracks.append(Planted("Elsewhere", artist="Band elsewhere", duration_s=90.0))
    plant(folder, ["calm"], tracks)
    return folder


@pytest.fixture(scope="module")
def recommender(library: Path) -> Iterator[Recommender]:
    with Recommender.open(library / "catalog.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def daemon(library: Path) -> Iterator[Daemon]:
    unknown = library / "songs" / os.fsdecode(UNKNOWN)
    with running_mpd(library / "songs") as running:
        unknown.rename(library / "aside")
        with connected(running) as client:
            update_database(client)
        (library / "aside").rename(unknown)
        yield running


@pytest.fixture
def mpd(daemon: Daemon) -> Iterator[Client]:
    """A listener's own connection to the daemon, with an empty queue and no modes."""
    with connected(daemon) as client:
        client.clear()
        for mode in ("random", "repeat", "single", "consume"):
            getattr(client, mode)(0)
        yield client
        client.clear()


def new_filler(
    recommender: Recommender, library: Path, said: list[str], **options: float
) -> QueueFiller:
    radio = Radio(recommender, StationOptions(), said.append)
    folder = MusicDirectory(bytes(library / "songs"))
    return QueueFiller(radio, folder, FillOptions(**options), said.append)  # type: ignore[arg-type]


class Filling:
    """A filler at work in a thread of its own, what it says, and when it has nothing to do."""

    def __init__(self, filler: QueueFiller, said: list[str], client: Client) -> None:
        self.filler, self.said = filler, said
        self._client = client
        self._told = self._done = 0
        client.idle = self._idle

    def follow(self) -> None:
        with suppress(*CONNECTION_LOST):
            self.filler.follow(self._client)

    def settled(self, listener: Client) -> list[str]:
        """The queue once the filler has answered whatever was done to it before."""
        before = self._done
        listener.crossfade(0)  # It was that already, and whoever waits is told.
        wait_until(lambda: self._done > before)
        return queue(listener)

    def _idle(self, *events: str, within_s: float | None) -> Sequence[str]:
        self._done = self._told
        happened = Client.idle(self._client, *events, within_s=within_s)
        self._told += "options" in happened
        return happened


@contextmanager
def filling(
    daemon: Daemon, recommender: Recommender, library: Path, **options: float
) -> Iterator[Filling]:
    """Fill the daemon's queue meanwhile."""
    said: list[str] = []
    client = connect(daemon.address)
    number = os.dup(client.fileno())
    filled = Filling(new_filler(recommender, library, said, **options), said, client)
    thread = threading.Thread(target=filled.follow)
    thread.start()
    try:
        yield filled
    finally:
        with socket.socket(fileno=number) as connection:
            connection.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        client.disconnect()


def play(client: Client, place: int = 0) -> None:
    """Let a song of the queue play, and wait until it does."""
    client.play(place)
    wait_until(lambda: client.status()["state"] == "play")


def test_what_plays_is_followed_by_songs_of_any_name_and_none_comes_twice(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    with filling(daemon, recommender, library) as filled:
        assert queue(mpd) == []
        mpd.add("00.flac")
        assert filled.settled(mpd) == ["00.flac"]  # nothing plays yet
        mpd.play()
        # Everything that MPD knows is played once: the odd names, too.
        expected = COUNT + len(ODD)
        for length in range(4, expected + 1):
            wait_until(lambda length=length: len(queue(mpd)) == length)  # type: ignore[misc]
            mpd.next()
    names = [os.fsencode(name) for name in queue(mpd)[:expected]]
    assert sorted(names) == sorted([*(f"{n:02}.flac".encode() for n in range(COUNT)), *ODD])
    (line,) = [line for line in filled.said if not line.startswith("added ")]
    assert line == (
        f"2 tracks of the catalog passed over: not below {library}/songs, "
        "or with a line break in the name"
    )


def test_when_all_was_played_what_was_played_longest_ago_comes_again(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    with filling(daemon, recommender, library):
        mpd.add("00.flac")
        mpd.play()
        everything = COUNT + len(ODD)
        for length in range(4, everything + 12):
            wait_until(lambda length=length: len(queue(mpd)) == length)  # type: ignore[misc]
            mpd.next()
    names = queue(mpd)
    assert len(set(names[:everything])) == everything
    assert set(names[everything : everything + 8]) <= set(names[: everything // 2])


def test_a_queue_filled_by_hand_stays_as_it_is(
    mpd: Client,
    daemon: Daemon,
    recommender: Recommender,
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    still = threading.Event()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert still.wait(LIMIT_S)

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=pause)
    monkeypatch.setattr("recommender.players.mpd.filling.time", clock)
    with filling(daemon, recommender, library) as filled:
        for number in range(6):
            mpd.add(f"{number:02}.flac")
        play(mpd)
        still.set()
        assert len(filled.settled(mpd)) == 6
        # Whoever puts a song after another does so without one of ours between them.
        still.clear()
        pauses.clear()
        mpd.clear()
        mpd.add("10.flac")
        play(mpd)
        wait_until(lambda: pauses)
        for number in range(11, 14):
            mpd.add(f"{number}.flac")
        still.set()
        assert filled.settled(mpd) == [f"{number}.flac" for number in range(10, 14)]
        # Once more each time that something was added meanwhile.
        assert pauses[:2] == [QUIET_S, QUIET_S]
        mpd.play(1)
        wait_until(lambda: len(queue(mpd)) == 5)
        # What is taken out stays out until the next song.
        mpd.delete((2, 5))
        assert filled.settled(mpd) == ["10.flac", "11.flac"]
        mpd.play(0)
        wait_until(lambda: len(queue(mpd)) == 4)
        mpd.clear()
        assert filled.settled(mpd) == []


def test_the_music_goes_on_when_nothing_is_left_behind_the_song_that_plays(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    with filling(daemon, recommender, library) as filled:
        mpd.add("00.flac")
        play(mpd)
        wait_until(lambda: len(queue(mpd)) == 4)
        filled.settled(mpd)
        mpd.delete((1, 4))
        assert filled.settled(mpd) == ["00.flac"]
        # Nobody does anything any more: time alone brings the next ones.
        mpd.seekcur(float(mpd.status()["duration"]) - RELENT_S - 0.5)
        wait_until(lambda: len(queue(mpd)) == 4)


def test_waiting_for_the_daemon_ends_after_a_time_and_the_connection_goes_on(
    mpd: Client, daemon: Daemon
) -> None:
    with connected(daemon) as other:
        other.idle("player", within_s=0.0)  # what happened before
        assert other.idle("player", "options", within_s=0.01) == []
        mpd.crossfade(0)
        assert other.idle("player", "options", within_s=LIMIT_S) == ["options"]
        assert other.status()["state"] == "stop"


def test_it_goes_on_from_the_song_that_was_chosen_by_hand(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    nearest = [recommender.similar_to_track(track, 20) for track in (1, 26)]
    with filling(daemon, recommender, library, ahead=1):
        for track, near in zip((1, 26), nearest, strict=True):
            chosen = f"{track - 1:02}.flac"
            mpd.add(chosen)
            mpd.play(len(queue(mpd)) - 1)
            wait_until(lambda chosen=chosen: queue(mpd)[-1] != chosen)  # type: ignore[misc]
            added = queue(mpd)[-1]
            names = [os.path.basename(one.path) for one in recommender.tracks([n.id for n in near])]
            assert os.fsencode(added) in names


@pytest.mark.parametrize("mode", ["single", "repeat"])
def test_modes_that_never_reach_the_end_of_the_queue_are_waited_out(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path, mode: str
) -> None:
    getattr(mpd, mode)(1)
    with filling(daemon, recommender, library) as filled:
        mpd.add("00.flac")
        play(mpd)
        assert filled.settled(mpd) == ["00.flac"]
        getattr(mpd, mode)(0)
        wait_until(lambda: len(queue(mpd)) == 4)


def test_songs_that_are_consumed_or_come_at_random_are_replaced(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    mpd.consume(1)
    seen: list[str] = []
    with filling(daemon, recommender, library):
        mpd.add("00.flac")
        mpd.play()
        for mode in (0, 1):
            mpd.random(mode)
            for _ in range(8):
                wait_until(lambda: len(queue(mpd)) == 4)
                playing = mpd.currentsong()["file"]
                seen.append(playing)
                mpd.next()
                wait_until(lambda playing=playing: playing not in queue(mpd))  # type: ignore[misc]
        assert len(seen) == len(set(seen))
        # At random without consuming: as many as have not been played are kept.
        wait_until(lambda: len(queue(mpd)) == 4)
        mpd.consume(0)
        for length in range(5, 10):
            mpd.next()
            wait_until(lambda length=length: len(queue(mpd)) == length)  # type: ignore[misc]


def test_a_song_that_is_skipped_early_is_disliked_if_asked(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    for within in (None, 30.0):
        mpd.clear()
        with filling(daemon, recommender, library, skip_within_s=within) as filled:
            mpd.add("00.flac")
            mpd.play()
            for length in (4, 5, 6):
                wait_until(lambda length=length: len(queue(mpd)) == length)  # type: ignore[misc]
                mpd.next()
            wait_until(lambda: len(queue(mpd)) == 7)
            # Late in a song: no skip.
            mpd.seekcur(100)
            filled.settled(mpd)
            mpd.next()
            wait_until(lambda: len(queue(mpd)) == 8)
        titles = [line.split(": ")[1] for line in filled.said if line.startswith("disliked")]
        skipped = [str(song["file"]) for song in mpd.playlistinfo()[1:3]]
        found = [recommender.track(os.fsencode(library / "songs" / name)) for name in skipped]
        expected = [f"{track.artist} - {track.title}" for track in found]
        assert titles == (expected if within else [])


def test_skips_keep_no_song_from_coming_and_let_none_come_twice(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    everything = COUNT + len(ODD)
    with filling(daemon, recommender, library, skip_within_s=30.0) as filled:
        mpd.add("00.flac")
        mpd.play()
        for length in range(4, everything + 1):
            wait_until(lambda length=length: len(queue(mpd)) == length)  # type: ignore[misc]
            mpd.next()
    assert len(set(queue(mpd)[:everything])) == everything
    assert sum(line.startswith("disliked") for line in filled.said) > everything // 2


def test_what_is_at_hand_may_come_again_if_the_listener_chooses_another_song(
    recommender: Recommender,
) -> None:
    radio = Radio(recommender, StationOptions(), print)
    radio.follow(recommender.track(1).path)
    at_hand = radio.next_track()
    assert at_hand is not None
    assert radio.next_track() == at_hand
    radio.follow(recommender.track(2).path)
    given = []
    while (track := radio.next_track()) is not None and track.id not in given:
        given.append(track.id)
        radio.add_played([track])
    assert at_hand.id in given
    assert len(given) == len(recommender.ids()) - 1


def test_a_song_that_left_the_catalog_while_it_was_at_hand_is_not_added(
    mpd: Client, daemon: Daemon, library: Path, tmp_path: Path
) -> None:
    songs = [library / "songs" / f"{number:02}.flac" for number in range(6)]
    planted = [
        Planted(one.name, artist=one.name, path=one, duration_s=200.0 + 20 * row)
        for row, one in enumerate(songs)
    ]
    catalog = plant(tmp_path, ["calm"], planted)
    with Recommender.open(catalog) as few, filling(daemon, few, library, ahead=1) as filled:
        mpd.add("00.flac")
        play(mpd)
        filled.settled(mpd)
        at_hand = filled.filler._radio._at_hand
        assert at_hand is not None
        with closing(Library.open_for_writing(catalog)) as opened:
            with opened.catalog.writing() as connection:
                writer.set_status(connection, [at_hand.id], TrackStatus.REMOVED)
            opened.refresh()
        for length in range(3, 6):
            mpd.next()
            wait_until(lambda length=length: len(queue(mpd)) == length)  # type: ignore[misc]
        assert len({*queue(mpd), at_hand.title}) == 6


def test_a_song_that_mpd_did_not_know_comes_once_it_does(
    recommender: Recommender,
) -> None:
    radio = Radio(recommender, StationOptions(), print)
    radio.follow(recommender.track(1).path)
    unknown = radio.next_track()
    assert unknown is not None
    radio.pass_over([unknown])
    assert radio.next_track() != unknown
    radio.retry_passed()
    radio.follow(recommender.track(1).path)
    assert radio.next_track() == unknown


def test_music_behind_a_link_in_the_folder_of_mpd_is_played(
    recommender: Recommender, library: Path, tmp_path: Path
) -> None:
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "mine").symlink_to(library / "songs")
    with running_mpd(tmp_path / "songs") as linked, connected(linked) as client:
        update_database(client)
        with filling(linked, recommender, tmp_path):
            client.add("mine/00.flac")
            client.play()
            for length in range(4, COUNT):
                wait_until(lambda length=length: len(queue(client)) == length)  # type: ignore[misc]
                client.next()
        names = queue(client)
        assert len(set(names)) == len(names)
        assert all(name.startswith("mine/") for name in names)


def test_a_full_queue_is_said_once_and_filled_on_when_it_has_room(
    recommender: Recommender, library: Path
) -> None:
    with (
        running_mpd(library / "songs", 'max_playlist_length "3"') as small,
        connected(small) as client,
    ):
        update_database(client)
        with filling(small, recommender, library) as filled:
            client.add("00.flac")
            play(client)
            wait_until(lambda: any("MPD's queue is full" in line for line in filled.said))
            client.next()
            before = filled.settled(client)
            assert len(before) == 3
            client.delete(0)
            wait_until(lambda: len(queue(client)) == 3 and queue(client)[:2] == before[1:])
            filled.settled(client)
            assert sum(not line.startswith("added ") for line in filled.said) == 1


def test_what_cannot_be_analysed_is_waited_out_with_one_line(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    with filling(daemon, recommender, library) as filled:
        mpd.add("stranger.flac")
        mpd.play()
        wait_until(lambda: filled.said)
        assert filled.settled(mpd) == ["stranger.flac"]
        (line,) = filled.said
        assert line.startswith("stranger.flac is not in the catalog (")
        assert line.endswith("waiting for the next song")
        mpd.add("00.flac")
        mpd.next()
        wait_until(lambda: len(queue(mpd)) == 5)


def test_a_song_that_comes_when_the_queue_is_just_cleared_is_taken_back(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    filler = new_filler(recommender, library, [])
    mpd.add("00.flac")
    mpd.play()
    filler._reconnected(mpd)
    assert filler._append(mpd, "01.flac")
    assert queue(mpd) == ["00.flac", "01.flac"]
    mpd.clear()  # after the filler has looked at the queue, and before it appends
    assert filler._append(mpd, "02.flac")
    assert queue(mpd) == []


def test_a_restart_takes_history_and_seed_from_the_queue(
    mpd: Client, daemon: Daemon, recommender: Recommender, library: Path
) -> None:
    with filling(daemon, recommender, library):
        mpd.add("00.flac")
        mpd.play()
        for length in range(4, 20):
            wait_until(lambda length=length: len(queue(mpd)) == length)  # type: ignore[misc]
            mpd.next()
        wait_until(lambda: len(queue(mpd)) == 20)
    with filling(daemon, recommender, library):
        for length in range(21, 36):
            mpd.next()
            wait_until(lambda length=length: len(queue(mpd)) == length)  # type: ignore[misc]
    names = queue(mpd)
    assert len(names) == len(set(names))
