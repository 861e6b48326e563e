"""The queue of a Music Player Daemon, kept filled: its changes are waited for and answered."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, NoReturn

from indexer.errors import SoundalikeError
from indexer.filesystem import display_path
from recommender.players.mpd.client import (
    CONNECTION_LOST,
    CommandError,
    QueueFull,
    Unreachable,
    add,
    connect,
)
from recommender.players.mpd.queue_state import is_skip, read_state, was_taken_out
from recommender.players.mpd.radio import REMEMBERED
from recommender.retrieval.lookup import count_noun, display_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recommender.players.mpd.address import Address
    from recommender.players.mpd.client import Client
    from recommender.players.mpd.names import MusicDirectory
    from recommender.players.mpd.queue_state import QueueState, Song
    from recommender.players.mpd.radio import Radio

QUIET_S = 0.5
"""A queue that somebody else changes is left alone until it has been still for so long."""
RELENT_S = 15.0
"""So long before the end of a song behind which nothing was left, songs come again."""
WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Between tries to reach a daemon that went away; the last one again and again."""
UNKNOWN_IN_A_ROW = 50
"""After so many tracks that MPD does not know, it is left alone until something changes."""
_EVENTS = ("player", "playlist", "options", "database")


@dataclass(frozen=True)
class FillOptions:
    """How a queue is filled.

    Attributes
    ----------
    ahead : int
        Songs kept after the one that plays.
    skip_within_s : float or None
        A song of the station that is skipped sooner is disliked; None: none is.
    """

    ahead: int = 3
    skip_within_s: float | None = None


class QueueFiller:
    """Fills the queue of one daemon while connections to it come and go.

    It only ever appends: what others put into the queue, or took out of it, stays as they left it.

    Parameters
    ----------
    radio : Radio
    folder : MusicDirectory
    options : FillOptions
    say : function of str
        Given a sentence whenever there is something that the listener should know.
    """

    def __init__(
        self,
        radio: Radio,
        folder: MusicDirectory,
        options: FillOptions,
        say: Callable[[str], object],
    ) -> None:
        self._radio, self._folder, self._options, self._say = radio, folder, options, say
        self._state: QueueState | None = None
        self._own: dict[int, str] = {}  # what this process added, by MPD's ids
        self._begun: set[int] = set()
        self._is_full = False  # the queue, before all the songs that were missing were added
        self._held = False  # songs were taken out of the queue while one plays

    def follow(self, client: Client) -> None:
        """Fill the queue and keep it filled, until the connection is lost.

        Raises
        ------
        CONNECTION_LOST, CommandError
        """
        self._reconnected(client)
        while True:
            try:
                self._fill(client)
            except QueueFull:
                self._say_full()
            self._is_full &= self._missing() > 0
            self._radio.prepare()
            events = client.idle(*_EVENTS, within_s=self._relents_in())
            if "database" in events:
                self._radio.retry_passed()
            before = self._state
            self._update(client)
            if before is not None and "playlist" in events:
                self._await_quiet(client, before)

    def _reconnected(self, client: Client) -> None:
        """Read the whole queue; ids of songs are others after the daemon was started anew."""
        self._state = None
        own = set(self._own.values())
        state = self._read(client)
        self._own = {song.id: song.name for song in state.songs if song.name in own}
        self._begun.clear()
        self._note(state.songs)
        self._changed(None, state)

    def _update(self, client: Client) -> None:
        before = self._state
        if before is None:
            return
        state = self._read(client)
        known = {song.id for song in before.songs}
        self._note([song for song in state.songs if song.id not in known | self._own.keys()])
        self._changed(before, state)

    def _changed(self, before: QueueState | None, state: QueueState) -> None:
        """Draw the conclusions of a change of the queue or of what plays."""
        current = state.current
        left = None if before is None else before.current
        if current is not None and current != left:
            self._held = False
            if before is not None and self._options.skip_within_s is not None:
                self._dislike_skipped(before, state, self._options.skip_within_s)
            if current.id not in self._own:
                self._choose(current)
            self._begun.add(current.id)
        elif before is not None and was_taken_out(before, state, self._begun):
            self._held = True
        present = {song.id for song in state.songs}
        self._begun &= present
        self._own = {number: name for number, name in self._own.items() if number in present}

    def _dislike_skipped(self, before: QueueState, state: QueueState, within_s: float) -> None:
        skipped = before.current
        if skipped is None or skipped.id not in self._own or not is_skip(before, state, within_s):
            return
        track = self._radio.track_at(self._folder.path_of(skipped.name))
        if track is not None:
            self._radio.dislike(track)
            self._say(f"disliked, for it was skipped early: {display_name(track)}")

    def _choose(self, song: Song) -> None:
        path = self._folder.path_of(song.name)
        if path is None:
            self._say(f"{song.name} is no file: the station does not follow it")
        else:
            self._radio.follow(path)

    def _await_quiet(self, client: Client, before: QueueState) -> None:
        """Wait until nobody changes the queue, unless only this process did or a song ended."""
        while self._state is not None and self._others_changed(before, self._state):
            before = self._state
            time.sleep(QUIET_S)
            self._update(client)

    def _others_changed(self, before: QueueState, state: QueueState) -> bool:
        left = before.current
        gone = {left.id} if left is not None and state.consume else set()
        ours = self._own.keys() | gone
        changed = {song.id for song in before.songs} ^ {song.id for song in state.songs}
        return bool(changed - ours)

    def _fill(self, client: Client) -> None:
        """Append the songs that are missing, one by one; each time the queue is looked at anew."""
        if self._relents_in() == 0.0:
            self._held = False
        unknown = 0
        while not self._held and self._missing() and unknown < UNKNOWN_IN_A_ROW:
            track = self._radio.next_track()
            if track is None:
                return
            # To analyse what plays takes seconds, in which everything may have changed.
            self._update(client)
            if self._held or not self._missing() or not self._radio.is_at_hand(track):
                continue
            name = self._folder.name_of(track.path)
            if name is None:
                self._pass_over_outside()
            elif not self._append(client, name):
                unknown += 1
                self._radio.pass_over([track])
            else:
                self._radio.add_played([track])
                self._say(f"added {display_name(track)}")
        if unknown == UNKNOWN_IN_A_ROW:
            self._say(
                f"MPD knows none of {unknown} songs of the catalog in a row: let it update its "
                "database, or name another --music-directory"
            )

    def _append(self, client: Client, name: str) -> bool:
        """Append a song; False where MPD does not know it."""
        number = add(client, name)
        if number is None:
            return False
        self._own[number] = name
        self._update(client)
        if self._state is not None and self._state.position is None:
            # The player was stopped, and perhaps the queue cleared, at this very moment.
            with suppress(CommandError):
                client.deleteid(number)
        return True

    def _say_full(self) -> None:
        if not self._is_full:
            self._say(
                "MPD's queue is full: take songs out of it, let it `consume` what was played, or "
                "raise its `max_playlist_length`"
            )
        self._is_full = True

    def _missing(self) -> int:
        if self._state is None:
            return 0
        return self._state.missing(self._options.ahead, self._begun)

    def _relents_in(self) -> float | None:
        """Seconds until songs that were taken out are replaced after all, as the music would end.

        None while something is left to come, or nothing plays. Where MPD does not know how long the
        song is, at once.
        """
        state = self._state
        if not self._held or state is None or not state.playing or state.to_come(self._begun):
            return None
        return max(0.0, state.duration_s - state.elapsed_at(time.monotonic()) - RELENT_S)

    def _pass_over_outside(self) -> None:
        outside = self._radio.pass_over_where(lambda t: self._folder.name_of(t.path) is None)
        self._say(
            f"{count_noun(outside, 'track')} of the catalog passed over: not below "
            f"{display_path(self._folder.path)}, or with a line break in the name"
        )

    def _read(self, client: Client) -> QueueState:
        """Ask for the queue's present state."""
        before = self._state
        # Both in one go: a song that is taken out between two answers would let another be taken
        # for the one that plays.
        client.command_list_ok_begin()
        client.status()
        if before is None:
            client.playlistinfo()
        else:
            client.plchanges(before.version)
        status, changes = client.command_list_end()
        songs = () if before is None else before.songs
        self._state = read_state(status, changes, songs, at_s=time.monotonic())
        return self._state

    def _note(self, songs: Sequence[Song]) -> None:
        """Keep what others put into the queue from being added once more."""
        paths = [self._folder.path_of(song.name) for song in songs[-REMEMBERED:]]
        tracks = [self._radio.track_at(path) for path in paths]
        self._radio.add_played([track for track in tracks if track is not None])


def keep_filled(
    client: Client, address: Address, filler: QueueFiller, say: Callable[[str], object]
) -> NoReturn:
    """Fill the queue of the daemon at an address for ever, also after it was started anew.

    Parameters
    ----------
    client : Client
        Connected to it.

    Raises
    ------
    SoundalikeError
        It refuses a command.
    """
    while True:
        try:
            filler.follow(client)
        except CommandError as error:
            raise SoundalikeError(
                f"the MPD at {address} refuses to {error.command or 'answer'} ({error.msg}): "
                "see its `permissions`"
            ) from error
        except CONNECTION_LOST:
            say(f"the MPD at {address} went away: trying until it is back")
        finally:
            client.disconnect()
        client = _reconnect(address)
        say(f"the MPD at {address} is back")


def _reconnect(address: Address) -> Client:
    for wait in chain(WAITS_S, repeat(WAITS_S[-1])):
        time.sleep(wait)
        with suppress(Unreachable):
            return connect(address)
    raise AssertionError  # the waits have no end
