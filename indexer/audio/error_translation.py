"""Exceptions of FFmpeg, the operating system and our own code, as errors of one file."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import av.error

from indexer.errors import AnalysisError, Corrupt, OutOfMemory, Unforeseen, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 20


@contextmanager
def translate_errors(name: str, *, stage: str) -> Iterator[None]:
    """Raise whatever goes wrong inside as an `AnalysisError` of a file and a stage.

    What nobody foresaw becomes `Unforeseen`: one file must not end a run.
    """
    try:
        yield
    except AnalysisError:
        raise
    except MemoryError as error:
        message = f"{name!r} asks for more memory than a worker may have; leave it out"
        raise OutOfMemory(message, stage=stage) from error
    except av.error.FFmpegError as error:
        message = f"{name!r} is damaged ({error.strerror}); replace it by a good copy"
        raise Corrupt(message, stage=stage) from error
    except OSError as error:
        message = f"{name!r} cannot be read ({error.strerror}); check the disk or the share"
        raise Unreadable(message, stage=stage) from error
    except Exception as error:
        raise Unforeseen.of(error, name, stage=stage) from error


def check_damage(error: av.error.FFmpegError, descriptor: int) -> None:
    """Return where an error of FFmpeg is due to damage of the file's content, else raise.

    Raises
    ------
    MemoryError
        There was no memory.
    OSError
        The file cannot be read: FFmpeg's EIO can mean that, and can mean its end.
    """
    if isinstance(error, MemoryError):
        raise error
    if error.errno == errno.EIO:
        at = 0
        while block := os.pread(descriptor, _BLOCK, at):
            at += len(block)
