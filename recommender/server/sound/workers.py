"""Worker processes that read sound and covers for the server, which decodes nothing itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from anyio import CapacityLimiter, to_thread

from indexer.analysis.sandbox import processors
from indexer.errors import WorkersFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.analysis.playback import PlaybackWorker
    from indexer.analysis.sandbox import Sandbox
    from indexer.audio.cover_art import Picture
    from indexer.audio.encoding import Transcode
    from indexer.audio.tags import TaggedLyrics
    from indexer.audio.wav_layout import WavLayout
    from indexer.filesystem import FileVersion

    Work = Callable[[PlaybackWorker, bytes], "Result"]

Result = TypeVar("Result")

MOST_WORKERS = 4
"""Worker processes for sound; one more reads covers, so that a list of them holds up no sound."""


@dataclass(frozen=True, eq=False)
class _Lane:
    """A worker process and the one place in front of it: threads are not kept waiting for it."""

    sandbox: Sandbox[PlaybackWorker]
    limiter: CapacityLimiter


class PlaybackWorkers:
    """Worker processes for players, each started when it is first needed; close it with `close`.

    A track is always read by the same worker, which keeps its file open.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: dict[int, _Lane] = {}
        self._closed = False
        self._count = min(MOST_WORKERS, processors())

    def close(self) -> None:
        """End the workers at once, for good."""
        with self._lock:
            self._closed = True
            for lane in self._lanes.values():
                lane.sandbox.close(at_once=True)
            self._lanes.clear()

    async def block(
        self, track_id: int, path: bytes, layout: WavLayout, block: int, *, audio_hash: bytes
    ) -> bytes | None:
        """A block of a track's sound as PCM; None if it is another sound than that of the hash.

        Raises
        ------
        AnalysisError, WorkersFailed
        """
        from indexer.analysis.playback import read_block

        work = partial(read_block, layout=layout, block=block, audio_hash=audio_hash)
        return await self._run(work, path, lane=track_id % self._count)

    async def encode(
        self, track_id: int, path: bytes, transcode: Transcode, step: int, *, audio_hash: bytes
    ) -> bytes | None:
        """What a step adds to a track that is encoded; None if it is another sound.

        Raises
        ------
        AnalysisError, WorkersFailed
        """
        from indexer.analysis.playback import encode_step

        work = partial(encode_step, transcode=transcode, step=step, audio_hash=audio_hash)
        return await self._run(work, path, lane=track_id % self._count)

    def end_encoding(self, track_id: int, path: bytes, number: int) -> None:
        """Let a track's worker give up an encoder when it next has time; returns at once."""
        from indexer.analysis.playback import end_encoding

        with self._lock:
            lane = self._lanes.get(track_id % self._count)
        if lane is not None:
            lane.sandbox.submit(partial(end_encoding, number=number), path)

    async def hash_sound(self, track_id: int, path: bytes) -> tuple[bytes, FileVersion]:
        """The hash of a file's sound, and which version of the file it is of.

        Raises
        ------
        AnalysisError, WorkersFailed
        """
        from indexer.analysis.playback import hash_sound

        return await self._run(hash_sound, path, lane=track_id % self._count)

    async def cover(self, path: bytes, *, size: int = 0) -> Picture | None:
        """The cover of a file, at most so many pixels a side; None if it has none.

        With the size 0 it is as it is stored, and not decoded.

        Raises
        ------
        AnalysisError
            It cannot be decoded.
        WorkersFailed
        """
        from indexer.analysis.playback import read_file_cover

        return await self._run(partial(read_file_cover, size=size), path, lane=self._count)

    async def lyrics(self, path: bytes) -> TaggedLyrics | None:
        """Lyrics in the tags of a file; None where it has none that can be read.

        Raises
        ------
        AnalysisError, WorkersFailed
        """
        from indexer.analysis.pools import read_file_lyrics

        return await self._run(read_file_lyrics, path, lane=self._count)

    async def _run(self, work: Work[Result], path: bytes, *, lane: int) -> Result:
        chosen = self._lane(lane)
        # A client that is gone is waited for: the worker is not free before.
        return await to_thread.run_sync(chosen.sandbox.run, work, path, limiter=chosen.limiter)

    def _lane(self, number: int) -> _Lane:
        from indexer.analysis.playback import playback_pool

        with self._lock:
            if self._closed:
                raise WorkersFailed("the server is shutting down: ask again when it is back")
            if number not in self._lanes:
                self._lanes[number] = _Lane(playback_pool(), CapacityLimiter(1))
            return self._lanes[number]
