"""Stars and ratings by the ids that clients know, and whom they make a radio lean to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from indexer.catalog.records import Opinion, Subject
from indexer.errors import UnknownTrack
from recommender.retrieval.lookup import is_id
from recommender.server.opensubsonic.library_tree import ALBUM, ARTIST, SONG, song_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recommender.engine import Recommender
    from recommender.server.opensubsonic.library_tree import LibraryTree

DISLIKE = 1
"""The rating that is a dislike."""

Marks: TypeAlias = Mapping[str, Opinion]
"""Stars and ratings by the id of what they are of, as clients know it."""


class KeptMarks:
    """The marks of a catalog, made again when they have changed. Threads may share one."""

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender
        self._made: tuple[object, Marks] = None, {}

    def __call__(self) -> Marks:
        """Stars and ratings as they are now."""
        opinions = self._recommender.opinions.all()
        of, marks = self._made
        if of is not opinions:
            marks = {client_id(subject): one for subject, one in opinions.items()}
            self._made = opinions, marks
        return marks


def client_id(subject: Subject) -> str:
    """The id by which clients know a song, an album or an artist."""
    return song_id(int(subject.id)) if subject.kind == "track" else subject.id


def subject_of(item_id: str) -> Subject | None:
    """What a client's id means, which need not be there; None: nothing."""
    number = item_id.removeprefix(SONG)
    if number != item_id:
        return Subject("track", str(int(number))) if is_id(number) else None
    if item_id.startswith(ALBUM):
        return Subject("album", item_id)
    return Subject("artist", item_id) if item_id.startswith(ARTIST) else None


@dataclass(frozen=True)
class Taste:
    """Ids of the tracks that a listener likes and dislikes."""

    liked: frozenset[int]
    disliked: frozenset[int]


def taste(marks: Marks, tree: LibraryTree) -> Taste:
    """What the marks say of tracks: a star is a like, a rating of 1 a dislike.

    The marks of an album count for those of its songs that have none of their own, those of an
    artist for the artist's songs of which neither says anything.
    """
    likes: dict[int, bool | None] = {}
    for kind in (ARTIST, ALBUM, SONG):
        for item_id, mark in marks.items():
            if item_id.startswith(kind):
                says = _says(mark)
                likes.update((track_id, says) for track_id in _tracks_of(item_id, tree))
    return Taste(
        frozenset(track_id for track_id, says in likes.items() if says),
        frozenset(track_id for track_id, says in likes.items() if says is False),
    )


def _says(mark: Opinion) -> bool | None:
    """Whether a mark is a like; None where it is neither that nor a dislike."""
    if mark.rating == DISLIKE:
        return False
    return True if mark.starred_at is not None else None


def _tracks_of(item_id: str, tree: LibraryTree) -> Iterable[int]:
    """Ids of the tracks that an item has, if it is there."""
    if item_id.startswith(SONG):
        return [int(item_id.removeprefix(SONG))]
    try:
        if item_id.startswith(ALBUM):
            songs = tree.album_songs(tree.album(item_id))
        else:
            songs = tree.artist_songs(tree.artist(item_id))
    except UnknownTrack:
        return []
    found: list[int] = songs.tolist()
    return found
