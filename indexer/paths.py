"""Paths of audio files: bytes inside, and what is shown and compared of them."""

from __future__ import annotations

import os


def shown(path: bytes) -> str:
    """A path as it can be shown: bytes that are not UTF-8 are escaped."""
    return path.decode("utf-8", errors="backslashreplace")


def inside(folder: bytes) -> bytes:
    """What every path below a folder begins with."""
    return folder.rstrip(b"/") + b"/"


def settled(path: str | bytes | os.PathLike[str]) -> bytes:
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
