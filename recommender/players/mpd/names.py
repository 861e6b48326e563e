"""Names of songs in MPD, which count from its music directory, and the paths that they mean."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from indexer.filesystem import folder_prefix, is_url


@dataclass(frozen=True)
class MusicDirectory:
    """The folder that MPD's names count from, as this machine sees it.

    Attributes
    ----------
    path : bytes
        Absolute.
    """

    path: bytes

    def path_of(self, name: str) -> bytes | None:
        """The path of a song's file; None where it is a stream or the like.

        A song that MPD was given by its whole path keeps it.
        """
        encoded = os.fsencode(name)
        if is_url(encoded):
            return None
        return os.path.normpath(os.path.join(self.path, encoded))

    def name_of(self, path: bytes) -> str | None:
        """MPD's name for a file; None where the file is not below the folder.

        Links on the way to either, and to folders right in the folder, are followed when the path
        alone is not below. MPD knows no file whose name has a line break in it.
        """
        below = _below(path, self.path)
        if below is None and not is_url(path):
            resolved = os.path.realpath(path)
            found = ((name, _below(resolved, place)) for name, place in self._places)
            below = next((name + rest for name, rest in found if rest is not None), None)
        return None if below is None or b"\n" in below else os.fsdecode(below)

    def meets(self, folder: bytes) -> bool:
        """Whether a folder is this one or where a link in it leads, above that or below it."""
        if is_url(folder):
            return False
        other = folder_prefix(os.path.realpath(folder))
        places = [folder_prefix(place) for _, place in self._places]
        return any(own.startswith(other) or other.startswith(own) for own in places)

    @cached_property
    def _places(self) -> list[tuple[bytes, bytes]]:
        """Where it really is, and where links to folders right in it lead, after MPD's prefixes."""
        try:
            entries = sorted(os.listdir(self.path))
        except OSError:
            entries = []
        whole = [(name + b"/", os.path.join(self.path, name)) for name in entries]
        links = [(name, path) for name, path in whole if os.path.islink(path)]
        places = [(b"", self.path), *links]
        return [(name, os.path.realpath(path)) for name, path in places if os.path.isdir(path)]


def _below(path: bytes, folder: bytes) -> bytes | None:
    prefix = folder_prefix(folder)
    return path[len(prefix) :] if path.startswith(prefix) else None
