"""The sound of tracks encoded anew while it is sent, a few at a time."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

from indexer.audio.encoding import Transcode
from indexer.audio.wav_layout import wav_layout
from recommender.server.problems import Problem
from recommender.server.sound.sources import changed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from indexer.audio.encoding import Encoding
    from indexer.catalog.file_queries import TrackFile
    from indexer.catalog.records import Track
    from recommender.server.sound.workers import PlaybackWorkers

MOST_TRANSCODES = 4
"""Transcodes under way at a time: each keeps a processor busy while its client reads fast."""
IDLE_S = 60.0
"""Seconds after which one that its client does not read is ended where another one is asked for."""
_LEAST_S = 0.1
# Of an offset beyond the end the last of the sound is left: a file of nothing is none.
RETRY_S = 10
"""What clients that are refused are asked to wait, in seconds."""


class Transcodes:
    """Prepares transcodes, of which `MOST_TRANSCODES` are under way at a time.

    Used by the event loop's thread alone.
    """

    def __init__(self, workers: PlaybackWorkers) -> None:
        self.workers = workers
        self._running: set[TranscodedSound] = set()
        self._numbers = count(1)

    @property
    def running(self) -> int:
        """How many are under way."""
        return len(self._running)

    def prepare(
        self,
        track: Track,
        file: TrackFile,
        encoding: Encoding,
        *,
        offset_s: float = 0.0,
        is_sized: bool = False,
    ) -> TranscodedSound:
        """The sound of a track from an offset in seconds on, to be begun or not; to be closed.

        Parameters
        ----------
        is_sized : bool
            Whether its size is to be known before; the end is filled up with zeros.
        """
        layout = wav_layout(
            duration_s=track.duration_s, sample_rate=track.sample_rate, channels=track.channels
        )
        last = max(0, layout.frames - round(_LEAST_S * layout.rate))
        first = min(round(max(0.0, offset_s) * layout.rate), last)
        transcode = Transcode(next(self._numbers), layout, first, encoding)
        return TranscodedSound(track.id, file, transcode, self, is_sized=is_sized)

    def add(self, sound: TranscodedSound) -> None:
        """Count one among those under way.

        Raises
        ------
        Problem
            503: there are too many.
        """
        if len(self._running) >= MOST_TRANSCODES:
            self._end_idle()
        self._running.add(sound)

    def _end_idle(self) -> None:
        """End the one whose client has read nothing for longest."""
        longest = min(self._running, key=lambda one: one.read_at)
        if longest.read_at > time.monotonic() - IDLE_S:
            raise Problem(
                503,
                f"{MOST_TRANSCODES} tracks are being transcoded: ask again later, or for the file "
                "as it is stored (`format=raw`)",
                headers={"Retry-After": str(RETRY_S)},
            )
        longest.close()

    def forget(self, sound: TranscodedSound) -> None:
        """Make room for another one."""
        self._running.discard(sound)


class TranscodedSound:
    """A track that is encoded while it is read: what is not read is not decoded.

    Attributes
    ----------
    media_type : str
    size : int or None
        In bytes; None where it is not known before.
    read_at : float
        When it was last read, by the monotonic clock.
    """

    def __init__(
        self,
        track_id: int,
        file: TrackFile,
        transcode: Transcode,
        transcodes: Transcodes,
        *,
        is_sized: bool,
    ) -> None:
        encoding = transcode.encoding
        self.media_type = encoding.media_type
        self.size = encoding.largest_size(transcode.pcm) if is_sized else None
        self.read_at = time.monotonic()
        self._track_id = track_id
        self._file = file
        self._transcode = transcode
        self._transcodes = transcodes
        self._is_begun = self._closed = False

    def begin(self) -> None:
        """Be counted among those under way.

        Raises
        ------
        Problem
            503: there are too many.
        """
        self._transcodes.add(self)
        self._is_begun, self.read_at = True, time.monotonic()

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The bytes, piece by piece.

        Raises
        ------
        Problem
            The file holds another sound by now, or another transcode took the turn of this one.
        AnalysisError, WorkersFailed
        """
        left = self.size
        for step in range(self._transcode.steps):
            piece = await self._piece(step)
            if left is not None:
                piece = piece[:left]
                left -= len(piece)
            if piece:
                yield piece
        if left:
            yield bytes(left)

    async def _piece(self, step: int) -> bytes:
        if self._closed:
            raise Problem(503, "nobody read this transcode for long, and another one took its turn")
        self.read_at = time.monotonic()
        piece = await self._transcodes.workers.encode(
            self._track_id,
            self._file.path,
            self._transcode,
            step,
            audio_hash=self._file.audio_hash,
        )
        if piece is None:
            raise changed(self._track_id)
        return piece

    def close(self) -> None:
        """Make room for another one."""
        if self._is_begun and not self._closed:
            self._transcodes.forget(self)
            self._transcodes.workers.end_encoding(
                self._track_id, self._file.path, self._transcode.number
            )
        self._closed = True
