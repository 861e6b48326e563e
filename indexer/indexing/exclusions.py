"""Folders and files that a scan passes over.

Hidden folders and those in which systems keep deleted files, old versions and thumbnails; every
folder with a file `.nomedia` in it; and what the globs in a file `.soundalikeignore` match.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase

MARKER = b".nomedia"
"""A folder with this file in it is passed over, with all below it."""
GLOBS = b".soundalikeignore"
"""A file of globs, one a line, for the folder it is in and all below it."""

_SYSTEM_FOLDERS = frozenset(
    (
        b"#recycle",  # Synology
        b"#snapshot",
        b"@eadir",
        b"@recycle",  # QNAP
        b"$recycle.bin",  # Windows
        b"recycler",
        b"recycled",
        b"system volume information",
        b"lost+found",  # ext
    )
)


def is_hidden(folder: bytes) -> bool:
    """Whether a folder of this name is hidden, or holds no files of its owner's."""
    return folder.startswith(b".") or folder.lower() in _SYSTEM_FOLDERS


@dataclass(frozen=True)
class Glob:
    """A glob of a `.soundalikeignore`.

    Attributes
    ----------
    folder : bytes
        The folder of the file, with a slash behind it.
    pattern : str
        Of the path below the folder if it has a slash in it, else of a name at any depth.
    folders_only : bool
    """

    folder: bytes
    pattern: str
    folders_only: bool

    def matches(self, path: bytes, *, is_folder: bool) -> bool:
        """Whether a file or folder below the glob's own folder is to be passed over."""
        if self.folders_only and not is_folder:
            return False
        below = path.removeprefix(self.folder)
        text = os.fsdecode(below if "/" in self.pattern else os.path.basename(below))
        return fnmatchcase(text, self.pattern.removeprefix("/"))


def read_globs(folder: bytes) -> tuple[Glob, ...]:
    """Globs of the `.soundalikeignore` in a folder.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with open(os.path.join(folder, GLOBS), "rb") as file:
        lines = [
            os.fsdecode(line).strip()
            for line in file.read().removeprefix(b"\xef\xbb\xbf").splitlines()
        ]
    prefix = os.path.join(folder, b"")
    return tuple(
        Glob(prefix, line.rstrip("/"), line.endswith("/"))
        for line in lines
        if line.rstrip("/") and not line.startswith("#")
    )
