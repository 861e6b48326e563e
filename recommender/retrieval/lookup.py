"""The track that an id, a key, a path or words mean, and how a track is named in text."""

from __future__ import annotations

import operator
import os
import posixpath
import re
from typing import TYPE_CHECKING, Protocol, SupportsIndex, TypeAlias

from indexer.catalog.status import TrackStatus
from indexer.errors import AmbiguousTrack, InvalidOption, UnknownTrack
from indexer.filesystem import absolute_path, display_path, is_url, spellings

if TYPE_CHECKING:
    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import Track

TrackOrFile: TypeAlias = "SupportsIndex | str | bytes | os.PathLike[str]"
"""What names a track or a file: an id, key, words or path."""
LARGEST_ID = 2**63 - 1
"""SQLite's integers end here."""

_AUDIO_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")

CANDIDATES = 10
"""Tracks an ambiguous text lists at most."""
COUNTED = 1_000
"""Tracks that it fits are counted up to so many."""
_NOT_PRESENT = {
    TrackStatus.MISSING: "is missing: its file has vanished; index again when it is back",
    TrackStatus.FAILED: "has changed into a file that cannot be decoded: see `soundalike failures`",
    TrackStatus.REMOVED: "was removed: `soundalike add FILE` brings it back",
}


def resolve(catalog: Catalog, query: TrackOrFile) -> Track | bytes:
    """The present track that a query names, or the path of another file.

    A text names a track by id, key or path; else the file with this path, if there is one; else a
    track by a part of "artist - title".

    Raises
    ------
    UnknownTrack, AmbiguousTrack
    InvalidOption
        It is of another type.
    """
    if isinstance(query, str):
        found = find_exactly(catalog, query)
    elif isinstance(query, bytes | os.PathLike):
        found = find_by_path(catalog, os.fsencode(query))
    else:
        return require_present(find_track(catalog, query))
    if found is not None and found.status == TrackStatus.PRESENT:
        return found
    if isinstance(query, str) and not (os.path.isfile(query) or is_url(os.fsencode(query))):
        return require_present(found or find_by_words(catalog, query))
    return absolute_path(query)


def find_track(catalog: Catalog, query: SupportsIndex | str | bytes) -> Track:
    """The one track that an id, a key, a path or words mean.

    Parameters
    ----------
    query : int, str or bytes
        An id; the path of an indexed file as bytes; or as text, in
        this order: an id, a key, the path of an indexed file, a part of
        "artist - title", or of the key where the file says neither (case and accents do not
        matter).

    Raises
    ------
    UnknownTrack
        Nothing fits, or the file is known but failed to be indexed.
    AmbiguousTrack
        Several tracks fit; the error lists them.
    """
    if isinstance(query, bytes):
        by_path = find_by_path(catalog, query)
        if by_path is None:
            raise UnknownTrack(
                f"{display_path(query)} is not in the catalog: `soundalike add` puts it in"
            )
        return by_path
    if not isinstance(query, str):
        number = whole_number(query, "a track's id")
        found = catalog.tracks([number]).get(number) if 0 < number < LARGEST_ID else None
        if found is None:
            raise UnknownTrack(f"no track has the id {number}: `soundalike similar` lists ids")
        return found
    exact = find_exactly(catalog, query)
    return exact if exact is not None else find_by_words(catalog, query)


def find_exactly(catalog: Catalog, query: str) -> Track | None:
    """The track that a text names as id, key or path; None when it names none.

    Raises
    ------
    AmbiguousTrack
        The text is one track's id and another one's key.
    UnknownTrack
        The text is the path of a file that failed to be indexed.
    """
    by_key = catalog.track_by_key(query) if _is_unicode(query) else None
    by_id = catalog.tracks([int(query)]).get(int(query)) if is_id(query) else None
    if by_key is not None and by_id is not None and by_key.id != by_id.id:
        raise AmbiguousTrack(
            f"{query} is the id of one track and the key of another: use the path",
            candidates=(describe(by_id), describe(by_key)),
        )
    if by_id is not None or by_key is not None:
        return by_id or by_key
    return find_by_path(catalog, os.fsencode(query))


def find_by_path(catalog: Catalog, path: bytes) -> Track | None:
    """The track of a file; None when the catalog knows nothing of the file.

    Raises
    ------
    UnknownTrack
        The file failed to be indexed.
    """
    found: Track | None = None
    for candidate in spellings(path):
        found = found or catalog.track_by_path(candidate)
        failure = catalog.failure_of(candidate)
        if failure is not None:
            raise UnknownTrack(f"that file could not be indexed: {failure.message}")
    return found


def require_present(track: Track) -> Track:
    """The track itself, if its file is there and its sound is known.

    Raises
    ------
    UnknownTrack
        It is missing, was removed, or has changed into a file that cannot be decoded.
    """
    if track.status != TrackStatus.PRESENT:
        raise UnknownTrack(
            f"track {track.id} ({display_name(track)}) {_NOT_PRESENT[TrackStatus(track.status)]}"
        )
    return track


def whole_number(value: SupportsIndex, what: str) -> int:
    """An integer of any kind, numpy's too.

    Raises
    ------
    InvalidOption
        It is something else.
    """
    try:
        return operator.index(value)
    except TypeError as error:
        raise InvalidOption(f"{what} is a whole number, not {value!r}") from error


def result_count(n: SupportsIndex) -> int:
    """How many tracks are asked for: a whole number, 1 or more.

    Raises
    ------
    InvalidOption
    """
    number = whole_number(n, "n")
    if number < 1:
        raise InvalidOption(f"n is {number}: ask for at least one track")
    return number


def describe(track: Track) -> str:
    """Id, name and key of a track in one line."""
    return f"{track.id}  {display_name(track)}  [{track.key}]"


class Named(Protocol):
    """What a track is named by: its key and its tags."""

    @property
    def key(self) -> str:
        """The caller's own name for it, or the file's path below the indexed folder."""

    @property
    def artist(self) -> str | None:
        """None where the file names none."""

    @property
    def title(self) -> str | None:
        """None where the file names none."""


def display_name(track: Named) -> str:
    """Artist - title; a missing title is the file's name without its ending."""
    title = display_title(track)
    return f"{track.artist} - {title}" if track.artist else title


def display_title(track: Named) -> str:
    """The title; where there is none, the file's name without its ending."""
    return track.title or _AUDIO_ENDING.sub("", posixpath.basename(track.key)) or track.key


def display_folder(track: Named) -> str:
    """The folder of a track that lacks artist or title, below the indexed one; else ""."""
    return "" if track.artist and track.title else posixpath.dirname(track.key)


def is_id(query: str) -> bool:
    """Whether a text is written as an id."""
    return query.isascii() and query.isdigit() and len(query) < 20 and int(query) < LARGEST_ID


def _is_unicode(text: str) -> bool:
    """Whether it can be stored; a name from the file system may hold bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def find_by_words(catalog: Catalog, query: str) -> Track:
    """The one track whose "artist - title", or key where it has neither, holds all the words.

    Raises
    ------
    UnknownTrack, AmbiguousTrack
    """
    if not query.strip():
        raise UnknownTrack("an empty text names no track: give an id, key, path or part of a title")
    fitting = catalog.database.named_tracks(query, most=COUNTED + 1)
    if not fitting:
        if catalog.counts()[TrackStatus.PRESENT] == 0:
            raise UnknownTrack(f"{catalog.name} holds no tracks yet: run `soundalike index FOLDER`")
        raise UnknownTrack(
            f"no track fits {query!r}: give an id, key, path or part of artist - title"
        )
    if len(fitting) > 1:
        some = catalog.tracks(fitting[:CANDIDATES])
        count = f"{len(fitting)}" if len(fitting) <= COUNTED else f"over {COUNTED:,}"
        raise AmbiguousTrack(
            f"{count} tracks fit {query!r}: name one by its id",
            candidates=tuple(describe(some[track_id]) for track_id in fitting[:CANDIDATES]),
        )
    return catalog.tracks(fitting)[fitting[0]]


def count_noun(number: int, thing: str) -> str:
    """A number with its noun: "1 track", "1,291 tracks"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
