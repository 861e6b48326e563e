"""The bytes of a track: its file as it is stored, or a WAV file that exists nowhere."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from indexer.audio.wav_layout import HEADER_BYTES, WavLayout, wav_layout
from indexer.filesystem import FileVersion, has_vanished, is_url, version_of
from recommender.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from indexer.catalog.file_queries import TrackFile
    from indexer.catalog.records import Track
    from recommender.server.sound.workers import PlaybackWorkers

PIECE = 256 << 10
READERS = 8
"""Threads that read files at a time: those of a drive that does not answer wait."""
_REMEMBERED = 1000


class Source(ABC):
    """Bytes of which any range can be read.

    Attributes
    ----------
    size : int
    etag : str
        A strong entity tag: the same bytes whenever it is the same.
    media_type : str
    """

    size: int
    etag: str
    media_type: str

    @abstractmethod
    def pieces(self, start: int, stop: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` up to `stop`, piece by piece."""

    @abstractmethod
    def close(self) -> None:
        """Give up what it holds; nothing is read afterwards."""


class StoredFile(Source):
    """A track's file, open."""

    def __init__(
        self, descriptor: int, file: TrackFile, media_type: str, readers: CapacityLimiter
    ) -> None:
        status = os.fstat(descriptor)
        self.size = status.st_size
        self.etag = f'"{file.audio_hash.hex()[:32]}-{self.size:x}-{status.st_mtime_ns:x}"'
        self.media_type = media_type
        self._descriptor = descriptor
        self._readers = readers

    async def pieces(self, start: int, stop: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` up to `stop`, piece by piece.

        Raises
        ------
        OSError
            The file cannot be read, or was cut short.
        """
        while start < stop:
            length = min(PIECE, stop - start)
            piece = await to_thread.run_sync(
                os.pread, self._descriptor, length, start, limiter=self._readers
            )
            if not piece:
                raise OSError("the file has become shorter while it was read")
            start += len(piece)
            yield piece

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class VirtualWav(Source):
    """A track as a WAV file, of which each range is decoded while it is read."""

    media_type = "audio/wav"

    def __init__(self, track: Track, file: TrackFile, workers: PlaybackWorkers) -> None:
        self._layout: WavLayout = wav_layout(
            duration_s=track.duration_s, sample_rate=track.sample_rate, channels=track.channels
        )
        self.size = self._layout.size
        shape = f"{self._layout.rate:x}-{self._layout.channels:x}-{self._layout.frames:x}"
        self.etag = f'"{file.audio_hash.hex()[:32]}-wav-{shape}"'
        self._track_id = track.id
        self._file = file
        self._workers = workers

    async def pieces(self, start: int, stop: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` up to `stop`, piece by piece.

        Raises
        ------
        Problem
            The file holds another sound by now.
        AnalysisError, WorkersFailed
        """
        # The header goes with the first samples: what is wrong with the file is known before it.
        ahead = self._layout.header()[start:stop] if start < HEADER_BYTES else b""
        for block, low, high in self._layout.pieces(start, stop):
            sound = await self._workers.block(
                self._track_id,
                self._file.path,
                self._layout,
                block,
                audio_hash=self._file.audio_hash,
            )
            if sound is None:
                raise changed(self._track_id)
            yield ahead + sound[low:high]
            ahead = b""
        if ahead:
            yield ahead

    def close(self) -> None:
        """Nothing: its worker keeps the file for whoever asks next."""


class StoredFiles:
    """Opens the files of tracks, if they still hold what was indexed."""

    def __init__(self, workers: PlaybackWorkers) -> None:
        self._workers = workers
        self._readers = CapacityLimiter(READERS)
        self._hashes: OrderedDict[FileVersion, bytes] = OrderedDict()

    async def open(self, track_id: int, file: TrackFile, media_type: str) -> StoredFile:
        """A track's file.

        One that was written since it was indexed is taken if its sound is the same, as with new
        tags.

        Raises
        ------
        Problem
            410: it has vanished. 409: it holds another sound. 503: it cannot be reached.
        AnalysisError, WorkersFailed
        """
        descriptor = await to_thread.run_sync(
            _open_regular, track_id, file.path, limiter=self._readers
        )
        source = StoredFile(descriptor, file, media_type, self._readers)
        try:
            version = version_of(os.fstat(descriptor))
            if version[2:] != (file.size, file.mtime_ns):
                await self._require_same_sound(track_id, file, version)
        except BaseException:
            source.close()
            raise
        return source

    async def _require_same_sound(
        self, track_id: int, file: TrackFile, version: FileVersion
    ) -> None:
        found = self._hashes.get(version)
        if found is None:
            found, hashed = await self._workers.hash_sound(track_id, file.path)
            if hashed != version:
                raise changed(track_id)
            self._hashes[version] = found
            while len(self._hashes) > _REMEMBERED:
                self._hashes.popitem(last=False)
        if found != file.audio_hash:
            raise changed(track_id)


def require_reachable(track_id: int, path: bytes) -> None:
    """Look for a track's file.

    Raises
    ------
    Problem
        410: it has vanished. 503: it cannot be reached, or is on another server.
    """
    if is_url(path):
        raise Problem(
            503,
            f"track {track_id} was indexed from another server, whose files are not played from "
            "here: open it there",
        )
    if has_vanished(path):
        raise Problem(410, f"the file of track {track_id} has vanished: index its folder again")
    try:
        os.stat(path)
    except OSError as error:
        raise _unreachable(track_id, error) from error


def changed(track_id: int) -> Problem:
    """The refusal of a file that holds another sound than the catalog says."""
    return Problem(
        409, f"the file of track {track_id} has changed since it was indexed: index it again"
    )


def _open_regular(track_id: int, path: bytes) -> int:
    from indexer.audio.opening import open_descriptor
    from indexer.errors import Unreadable

    require_reachable(track_id, path)
    try:
        return open_descriptor(path, f"track {track_id}")
    except Unreadable as error:
        if isinstance(error.__cause__, OSError):
            raise _unreachable(track_id, error.__cause__) from error
        raise changed(track_id) from error


def _unreachable(track_id: int, error: OSError) -> Problem:
    return Problem(
        503,
        f"the file of track {track_id} cannot be read ({error.strerror}): "
        "check that its drive is connected and that the server may read it",
    )
