"""Paths of audio files, which are bytes, and atomic writes of files."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator


def display_path(path: bytes) -> str:
    """A path as text for a person: bytes that are not UTF-8 are escaped."""
    return path.decode("utf-8", errors="backslashreplace")


def folder_prefix(folder: bytes) -> bytes:
    """The folder with a slash behind it: the prefix of every path below."""
    return folder.rstrip(b"/") + b"/"


def resolve_path(path: str | bytes | os.PathLike[str]) -> bytes:
    """The absolute path of a file or folder named by a person, links on the way to it resolved."""
    whole = os.path.abspath(os.fsencode(path))
    if os.path.isdir(whole):
        return os.path.realpath(whole)
    folder, name = os.path.split(whole)
    return os.path.join(os.path.realpath(folder), name)


def has_vanished(path: bytes) -> bool:
    """Whether a file is gone from a folder that can be looked into."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return os.path.isdir(os.path.dirname(path))
    except OSError:
        return False
    return False


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, draft: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write into that replaces `path` when all of it is on disk, and is else deleted.

    Whoever reads `path` meanwhile sees the old file or the new one. The new file has the
    permissions of the one it replaces; of a link, the file it leads to is replaced.

    Parameters
    ----------
    draft : Path, optional
        Where it is written, in the same folder; by default under a name of this process.

    Raises
    ------
    OSError
        It cannot be written; `path` is as it was.
    """
    target = Path(os.path.realpath(path))
    draft = draft or target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            yield file
            fsync_file(file)
        with suppress(FileNotFoundError):
            draft.chmod(target.stat().st_mode & 0o777)
        draft.replace(target)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def fsync_file(file: BinaryIO) -> None:
    """Flush a file, and wait until it is on disk."""
    file.flush()
    os.fsync(file.fileno())
