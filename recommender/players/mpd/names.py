"""Names of songs in MPD, which count from its music directory, and the paths that they mean."""

from __future__ import annotations

import os
from dataclasses import dataclass

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

        Links on the way to either are followed when the path alone is not below. MPD knows no file
        whose name has a line break in it.
        """
        below = _below(path, self.path)
        if below is None and not is_url(path):
            below = _below(os.path.realpath(path), os.path.realpath(self.path))
        return None if below is None or b"\n" in below else os.fsdecode(below)

    def meets(self, folder: bytes) -> bool:
        """Whether a folder is this one, above it or below it."""
        if is_url(folder):
            return False
        own, other = os.path.realpath(self.path), os.path.realpath(folder)
        return own == other or _below(own, other) is not None or _below(other, own) is not None


def _below(path: bytes, folder: bytes) -> bytes | None:
    prefix = folder_prefix(folder)
    return path[len(prefix) :] if path.startswith(prefix) else None
