"""Files that are written whole or not at all: a draft beside the place, then put in its stead."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replacing(path: str | os.PathLike[str], *, draft: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write into that takes a place when all of it is on disk, and else vanishes.

    Who reads the place meanwhile sees the old file or the new one. A file that is replaced leaves
    its permissions to the new one; of a link, the file it leads to is replaced.

    Parameters
    ----------
    draft : Path, optional
        Where it is written, in the same folder; by default under a name of this process.

    Raises
    ------
    OSError
        It cannot be written; the place is as it was.
    """
    place = Path(os.path.realpath(path))
    draft = draft or place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            yield file
            to_disk(file)
        with suppress(FileNotFoundError):
            draft.chmod(place.stat().st_mode & 0o777)
        draft.replace(place)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def to_disk(file: BinaryIO) -> None:
    """Wait until what was written is on disk."""
    file.flush()
    os.fsync(file.fileno())
