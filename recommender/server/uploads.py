"""Files that clients send: the body of a request into a file, bounded in bytes, time and disk."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.requests import ClientDisconnect

from indexer.errors import AnalysisError
from recommender.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

    from indexer.analysis.track_analysis import TrackAnalysis
    from recommender.server.context import Context
    from recommender.server.settings import UploadLimits

NAME_BYTES = 120
"""Length of a file's name at most, as UTF-8."""
ENDING_BYTES = 16
"""Length of its ending at most, with the dot."""
PIECE_BYTES = 1 << 20
"""What is written at a time: no more of a file is in memory."""
RESERVE_BYTES = 64 << 20
"""Room on the disk that uploads leave to others."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@asynccontextmanager
async def receive(
    request: Request, folder: Path, limits: UploadLimits, *, name: str = ""
) -> AsyncIterator[Path]:
    """A file that holds the body of a request, deleted afterwards unless it was moved.

    It lies in a hidden folder of its own below `folder`, under a name made of `name`: errors of the
    file say this name.

    Parameters
    ----------
    name : str
        What the client calls the file; only a label and an ending, see `file_name`.

    Raises
    ------
    Problem
        413: longer than the limit; 408: too slow; 400: not whole; 422: empty; 507: disk full;
        503: the folder cannot be written.
    """
    with translate_errors():
        own = Path(tempfile.mkdtemp(prefix=".upload-", dir=folder))
    try:
        path = own / file_name(name)
        with translate_errors():
            await _write_body(request, path, limits)
        yield path
    except AnalysisError as error:
        message = str(error).replace(f"{own}/", "")
        raise type(error)(message, stage=error.stage) from error
    finally:
        shutil.rmtree(own, ignore_errors=True)


async def analyse(context: Context, path: Path) -> TrackAnalysis:
    """Analyse an uploaded file in the worker; a few at a time wait for it, the others for them.

    Raises
    ------
    AnalysisError, ModelMissing, ModelMismatch, QueryError
    """
    return await to_thread.run_sync(
        context.recommender.analyse, path, limiter=context.analysing, abandon_on_cancel=True
    )


def file_name(label: str) -> str:
    """A name for a file that a client calls `label`.

    The last part of a path; without control and invisible characters and dots in front; at most
    `NAME_BYTES` long, its ending kept; "upload" where nothing is left.
    """
    last = re.split(r"[/\\]", label)[-1]
    seen = "".join(letter for letter in last if letter.isprintable())
    stem, ending = os.path.splitext(seen.strip(" .") if seen.strip(" .") else "upload")
    if len(ending.encode()) > ENDING_BYTES:
        stem, ending = stem + ending, ""
    room = NAME_BYTES - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip() + ending


def require_room(folder: Path, length: int) -> None:
    """Refuse a file that would leave a disk less than `RESERVE_BYTES`.

    Raises
    ------
    Problem
        507.
    """
    if shutil.disk_usage(folder).free < length + RESERVE_BYTES:
        raise _full()


async def _write_body(request: Request, path: Path, limits: UploadLimits) -> None:
    """Write a body into a new file, piece by piece as it comes."""
    announced = _announced(request)
    if announced is not None and announced > limits.bytes:
        raise _too_long(limits.bytes)
    most = limits.bytes if announced is None else announced
    require_room(path.parent, announced or 0)
    received, piece = 0, bytearray()
    with path.open("xb") as file:
        async for chunk in _timely(request.stream(), limits):
            received += len(chunk)
            if received > most:
                raise _too_long(most)
            piece += chunk
            if len(piece) >= PIECE_BYTES:
                require_room(path.parent, len(piece))
                await to_thread.run_sync(file.write, bytes(piece))
                piece.clear()
        await to_thread.run_sync(file.write, bytes(piece))
        await to_thread.run_sync(file.flush)
    if received == 0:
        raise Problem(422, "the body is empty: send the file's bytes")


async def _timely(stream: AsyncIterator[bytes], limits: UploadLimits) -> AsyncIterator[bytes]:
    """The pieces of a body, each by the time that a client just quick enough would have sent it."""
    loop = asyncio.get_running_loop()
    began, received = loop.time(), 0
    while True:
        allowed = min(limits.receive_s, limits.grace_s + received / limits.least_bytes_per_s)
        try:
            async with asyncio.timeout_at(began + allowed):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise Problem(
                408,
                "the file came too slowly: send it again over a faster connection",
                headers={"Connection": "close"},
            ) from None
        if chunk is None:
            return
        received += len(chunk)
        yield chunk


def _announced(request: Request) -> int | None:
    """The length that a request gives of its body."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _full() -> Problem:
    return Problem(507, "the server's disk is full: make room on it, then send the file again")


def _too_long(most: int) -> Problem:
    return Problem(
        413, f"the file is longer than the {most:,} bytes that are taken: send a shorter one"
    )


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise as problems what the disk refuses, and that a client is gone."""
    try:
        yield
    except ClientDisconnect as error:
        raise Problem(400, "the file did not come whole: send it again") from error
    except OSError as error:
        if error.errno in FULL:
            raise _full() from error
        raise Problem(503, f"the server cannot store the file: {error.strerror}") from error
