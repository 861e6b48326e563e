"""The ids by which another server knows tracks, in a file beside the catalog.

`catalog.db` -> `catalog.ids`. The first line is a header in JSON: the format, the catalog's uuid,
and a checksum of the second line, which is a JSON object from the other server's id to ours. It is
replaced as a whole; without it tracks go by our own ids.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from indexer.errors import IdMapError
from indexer.filesystem import atomic_write, file_version
from recommender.retrieval.where import EVERYTHING, Where

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from indexer.filesystem import FileVersion

FORMAT = 1
_GUID = re.compile("[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\\1){3}[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class IdMap:
    """Ids of another server for tracks of one catalog.

    Attributes
    ----------
    tracks : dict of str to int
        Our ids by the other server's. Several of its songs can be one track.
    """

    tracks: dict[str, int]

    @cached_property
    def songs(self) -> dict[int, str]:
        """The other server's ids by ours; of several the one that it lists first."""
        found: dict[int, str] = {}
        for song, track in self.tracks.items():
            found.setdefault(track, song)
        return found

    @cached_property
    def where(self) -> Where:
        """A filter that keeps the tracks which the other server has."""
        return Where(among=tuple(sorted(self.songs)))

    @cached_property
    def _guids(self) -> dict[str, str]:
        """Ids that are GUIDs, as they were imported, by their normal form."""
        return {normal: song for song in reversed(self.tracks) if (normal := _normal_guid(song))}

    def as_imported(self, song: str) -> str:
        """An id in the form that was imported; servers take a GUID in whatever form."""
        return song if song in self.tracks else self._guids.get(_normal_guid(song), song)

    def track_id(self, song: str) -> int | None:
        """Our id of a song of the other server; None where it has none."""
        return self.tracks.get(self.as_imported(song))

    def song_id(self, track: int) -> str | None:
        """The other server's id of a track; None where it has none."""
        return self.songs.get(track)


class OwnIds(IdMap):
    """Our own ids, where no other server's were imported."""

    def __init__(self) -> None:
        super().__init__({})

    @cached_property
    def where(self) -> Where:
        """A filter that keeps everything."""
        return EVERYTHING

    def track_id(self, song: str) -> int | None:
        """The id that a text is."""
        return int(song) if song.isascii() and song.isdigit() and len(song) < 19 else None

    def song_id(self, track: int) -> str:
        """The id as text."""
        return str(track)


def _normal_guid(song: str) -> str:
    """A GUID in lower case without dashes; empty for any other id."""
    return song.replace("-", "").lower() if _GUID.fullmatch(song) else ""


def id_map_path(catalog: Path) -> Path:
    """Where the ids of a catalog's file are kept."""
    if catalog.suffix == ".db":
        return catalog.with_suffix(".ids")
    return catalog.with_name(catalog.name + ".ids")


def write_id_map(path: Path, ids: Mapping[str, int], *, catalog_uuid: str) -> None:
    """Keep ids of another server for a catalog.

    Raises
    ------
    IdMapError
        The file cannot be written.
    """
    body = json.dumps(dict(ids), separators=(",", ":")).encode()
    header = {"format": FORMAT, "catalog": catalog_uuid, "blake2b": _digest(body)}
    try:
        with atomic_write(path) as file:
            file.write(json.dumps(header).encode() + b"\n" + body + b"\n")
    except OSError as error:
        raise IdMapError(
            f"{path} cannot be written ({error.strerror}): the ids lie beside the catalog, "
            "so make its folder writable and free some space"
        ) from error


def read_id_map(path: Path, *, catalog_uuid: str) -> IdMap:
    """The ids kept for a catalog; `OwnIds` where there are none.

    Raises
    ------
    IdMapError
        The file is damaged, of another catalog or of a newer version.
    """
    remedy = "run `soundalike import-ids` again, or delete the file"
    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return OwnIds()
    except OSError as error:
        raise IdMapError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
    body = body.removesuffix(b"\n")
    try:
        header = json.loads(head)
        known = header["format"], header["catalog"], header["blake2b"]
    except (ValueError, TypeError, KeyError) as error:
        raise IdMapError(f"{path} is damaged: {remedy}") from error
    if known[0] != FORMAT:
        raise IdMapError(f"{path} was written by another version of soundalike: {remedy}")
    if known[1] != catalog_uuid:
        raise IdMapError(f"{path} holds the ids of another catalog: {remedy}")
    if known[2] != _digest(body):
        raise IdMapError(f"{path} is damaged: {remedy}")
    return IdMap(json.loads(body))


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


class KeptIdMap:
    """The ids beside a catalog, read again when the file has changed.

    Several threads may use one.
    """

    def __init__(self, catalog: Path, *, catalog_uuid: str) -> None:
        self.path = id_map_path(catalog)
        self._uuid = catalog_uuid
        self._lock = threading.Lock()
        self._known: tuple[FileVersion | None, IdMap] = None, OwnIds()

    def present(self) -> IdMap:
        """The ids as they are in the file.

        Raises
        ------
        IdMapError
        """
        with self._lock:
            version = file_version(os.fsencode(self.path))
            if version != self._known[0]:
                # The version first: a file replaced meanwhile is read again the next time.
                self._known = version, read_id_map(self.path, catalog_uuid=self._uuid)
            return self._known[1]
