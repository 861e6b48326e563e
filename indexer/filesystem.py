"""Paths of audio files, which are bytes, and atomic writes of files."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from indexer.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def display_path(path: bytes) -> str:
    """A path as text for a person: bytes that are not UTF-8 are escaped."""
    return path.decode("utf-8", errors="backslashreplace")


def folder_prefix(folder: bytes) -> bytes:
    """The folder with a slash behind it: the prefix of every path below."""
    return folder.rstrip(b"/") + b"/"


_URL = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://(.+)", re.DOTALL)


def is_url(path: bytes) -> bool:
    """Whether a path is the URL of a file or folder on a server, in an object store or the like."""
    return _URL.fullmatch(path) is not None


def absolute_path(path: str | bytes | os.PathLike[str]) -> bytes:
    """The absolute path of a file or folder; a URL, as it is stored.

    Raises
    ------
    InvalidOption
        A URL that cannot be stored.
    """
    name = os.fsencode(path)
    url = _URL.fullmatch(name)
    return os.path.abspath(name) if url is None else _checked_url(*url.groups())


def _checked_url(scheme: bytes, rest: bytes) -> bytes:
    scheme = scheme.lower()
    host, slash, path = rest.partition(b"/")
    text = display_path(scheme + b"://" + host.rpartition(b"@")[2] + slash + path)
    if scheme in (b"file", b"local"):
        raise InvalidOption(f"{text} is on this machine: name its path")
    if b"@" in host:
        raise InvalidOption(
            f"{text} would be stored with a password: leave it out, and put it into ~/.netrc or "
            "the configuration of fsspec"
        )
    if (
        b"::" in rest
        or set(rest) & set(b"\0\r\n")
        or (scheme in (b"http", b"https") and set(rest) & set(b"?#"))
    ):
        raise InvalidOption(f"{text} is no address of a folder or a file: leave out ?, # and ::")
    return scheme + b"://" + host + slash + path


def spellings(path: str | bytes | os.PathLike[str]) -> list[bytes]:
    """The absolute paths of a file or folder: with no link on the way followed, up to all of them.

    A walk that begins at one of the folders on the way reaches it by one of these. A URL has one.

    Raises
    ------
    InvalidOption
        A URL that cannot be stored.
    """
    whole = absolute_path(path)
    found = [whole]
    if is_url(whole):
        return found
    reached, rest = b"/", whole.lstrip(b"/").split(b"/")
    # A file that is a link stays one.
    while len(rest) > 1 or (rest and os.path.isdir(whole)):
        reached = os.path.join(reached, rest.pop(0))
        if os.path.islink(reached):
            reached = os.path.realpath(reached)
            found.append(os.path.join(reached, *rest))
    return found


def resolve_path(path: str | bytes | os.PathLike[str]) -> bytes:
    """The absolute path of a file or folder named by a person, links on the way to it resolved.

    A URL stays what it is.

    Raises
    ------
    InvalidOption
        A URL that cannot be stored.
    """
    return spellings(path)[-1]


def is_there(path: bytes) -> bool:
    """Whether a file or folder is there; servers are not asked, and what they have is there."""
    return is_url(path) or os.path.lexists(path)


def has_vanished(path: bytes) -> bool:
    """Whether a file is gone from a folder that can be looked into; servers are not asked."""
    if is_url(path):
        return False
    try:
        os.lstat(path)
    except FileNotFoundError:
        return os.path.isdir(os.path.dirname(path))
    except OSError:
        return False
    return False


FileVersion: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size and mtime: another one whenever a file is written or replaced."""


def version_of(status: os.stat_result) -> FileVersion:
    """The version of a file, by its status."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def file_version(path: bytes) -> FileVersion | None:
    """The version of a file now; None where it is gone or cannot be looked at."""
    try:
        return version_of(os.stat(path))
    except (OSError, ValueError):
        return None


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], *, draft: Path | None = None, mode: int | None = None
) -> Iterator[BinaryIO]:
    """A file to write into that replaces `path` when all of it is on disk, and is else deleted.

    Whoever reads `path` meanwhile sees the old file or the new one. Of a link, the file it leads to
    is replaced.

    Parameters
    ----------
    draft : Path, optional
        Where it is written, in the same folder; by default under a name of this process.
    mode : int, optional
        Permissions of the new file, from its first byte on; by default those of the one that it
        replaces.

    Raises
    ------
    OSError
        It cannot be written; `path` is as it was.
    """
    target = Path(os.path.realpath(path))
    draft = draft or target.with_name(f".{target.name}.{os.getpid()}")
    try:
        opener = partial(os.open, mode=0o666 if mode is None else mode)
        with open(draft, "wb", opener=opener) as file:
            yield file
            fsync_file(file)
        with suppress(FileNotFoundError):
            draft.chmod(target.stat().st_mode & 0o777 if mode is None else mode)
        draft.replace(target)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def replace_file(
    path: str | os.PathLike[str],
    content: bytes,
    *,
    kind: str,
    is_kind: Callable[[Path], bool],
    remedy: str = "name another file",
    mode: int | None = None,
) -> None:
    """Write a file atomically; an existing one only where it is empty or of the same kind.

    Parameters
    ----------
    kind : str
        Name of the kind, for the message: "PNG picture".
    is_kind : function
        Whether an existing file is of the kind.
    remedy : str
        What a person can do about a file of another kind.
    mode : int, optional
        As in `atomic_write`.

    Raises
    ------
    InvalidOption
        There is a file of another kind, a folder or a device, or the file cannot be written.
    """
    target = Path(path)
    try:
        if target.exists():
            if not target.is_file():
                raise InvalidOption(f"{path} is not a file: name a {kind}")
            if target.stat().st_size and not is_kind(target):
                raise InvalidOption(f"{path} exists and is no {kind}: {remedy}")
        with atomic_write(target, mode=mode) as file:
            file.write(content)
    except OSError as error:
        raise InvalidOption(
            f"{path} cannot be written ({error.strerror or error}): name another file"
        ) from error


def begins_with(path: Path, head: bytes) -> bool:
    """Whether a file begins with some bytes, letters of either case."""
    with path.open("rb") as file:
        return file.read(len(head)).lower() == head.lower()


def fsync_file(file: BinaryIO) -> None:
    """Flush a file, and wait until it is on disk."""
    file.flush()
    os.fsync(file.fileno())
