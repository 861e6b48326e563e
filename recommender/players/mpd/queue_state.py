"""What an MPD says of its queue and of what plays, and what a change of it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

END_S = 5.0
"""A song that is left so near its end has ended: crossfades begin before it."""


class Song(NamedTuple):
    """A song of the queue: the id that MPD gave this entry, and the song's name."""

    id: int
    name: str


@dataclass(frozen=True)
class QueueState:
    """The queue at one time.

    Attributes
    ----------
    songs : tuple of Song
    version : int
        MPD's number of the queue's last change.
    position : int or None
        Of the song that plays or is paused; None when the player is stopped.
    next_id : int or None
        Id of the song that MPD would play after it.
    elapsed_s, duration_s : float
        Of that song; a duration of 0 is not known.
    at_s : float
        When this was so, on the clock of `time.monotonic`.
    playing : bool
        Whether it plays, so that `elapsed_s` grows.
    random, repeat, single, consume : bool
        MPD's modes; a one-time `single` counts.
    error : str or None
        What MPD says of the last song that it could not play, until something else is played.
    """

    songs: tuple[Song, ...]
    version: int
    position: int | None
    next_id: int | None
    elapsed_s: float
    duration_s: float
    at_s: float
    playing: bool
    random: bool
    repeat: bool
    single: bool
    consume: bool
    error: str | None

    @property
    def current(self) -> Song | None:
        """The song that plays or is paused."""
        return None if self.position is None else self.songs[self.position]

    def elapsed_at(self, at_s: float) -> float:
        """Seconds of that song that were played at a later time, if nothing else happened."""
        return self.elapsed_s + (at_s - self.at_s if self.playing else 0.0)

    def to_come(self, begun: Collection[int]) -> Sequence[Song]:
        """Songs that are still to be played.

        Parameters
        ----------
        begun : ids of songs that have begun already; what MPD plays at random, it plays once
        """
        if self.position is None:
            return self.songs
        if not self.random:
            return self.songs[self.position + 1 :]
        if self.next_id is None:
            return ()
        return [song for song in self.songs if song.id not in begun and song != self.current]

    def missing(self, ahead: int, begun: Collection[int]) -> int:
        """How many songs the queue lacks to have `ahead` of them after the one that plays.

        None are missing while nothing plays, so that a queue which is being cleared and filled
        stays as it is; nor in a mode in which the end of the queue is not to be reached.
        """
        if self.position is None or self.single or (self.repeat and not self.consume):
            return 0
        return max(0, ahead - len(self.to_come(begun)))


def read_state(
    status: Mapping[str, str],
    changes: Sequence[Mapping[str, str]],
    before: Sequence[Song],
    *,
    at_s: float,
) -> QueueState:
    """The state of the queue by MPD's answers to `status` and `plchanges`.

    Parameters
    ----------
    before : sequence of Song
        The queue at the version that the changes are since.
    """
    songs: list[Song | None] = list(before)
    for change in changes:
        row = int(change["pos"])
        songs += [None] * (row + 1 - len(songs))
        songs[row] = Song(int(change["id"]), change["file"])
    kept = tuple(song for song in songs[: int(status["playlistlength"])] if song is not None)
    position = None if status["state"] == "stop" else int(status.get("song", len(kept)))
    return QueueState(
        songs=kept,
        version=int(status["playlist"]),
        position=position if position is not None and position < len(kept) else None,
        next_id=int(status["nextsongid"]) if "nextsongid" in status else None,
        elapsed_s=float(status.get("elapsed", 0.0)),
        duration_s=float(status.get("duration", 0.0)),
        at_s=at_s,
        playing=status["state"] == "play",
        random=status["random"] != "0",
        repeat=status["repeat"] != "0",
        single=status["single"] != "0",
        consume=status["consume"] != "0",
        error=status.get("error"),
    )


def is_skip(before: QueueState, now: QueueState, within_s: float) -> bool:
    """Whether the listener went on to the next song in the first seconds of the one before.

    A song that ended, one that MPD could not play, and a jump to any other song are no skips.
    """
    left, current = before.current, now.current
    if left is None or current is None or left.id == current.id or current.id != before.next_id:
        return False
    if now.error is not None and now.error != before.error:
        return False
    elapsed = before.elapsed_at(now.at_s)
    ended = bool(before.duration_s) and elapsed >= before.duration_s - END_S
    return elapsed < within_s and not ended


def was_taken_out(before: QueueState, now: QueueState, begun: Collection[int]) -> bool:
    """Whether songs that were still to come have left the queue."""
    present = {song.id for song in now.songs}
    return any(song.id not in present for song in before.to_come(begun))
