"""Tasks for workers that read tracks for players: blocks of PCM, encoded sound, hashes, covers."""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.analysis.sandbox import Limits, Sandbox
from indexer.audio.container import open_file
from indexer.audio.cover_art import Picture, read_cover
from indexer.audio.encoders import make_encoder
from indexer.audio.pcm_blocks import PcmBlocks
from indexer.audio.picture_scaling import scale_down
from indexer.errors import WorkerDied
from indexer.filesystem import FileVersion, display_path, file_version, version_of

if TYPE_CHECKING:
    from indexer.audio.encoders import Encoder
    from indexer.audio.encoding import Transcode
    from indexer.audio.wav_layout import WavLayout

PLAYBACK_LIMITS = Limits(wall_s=60.0, cpu_s=40)
"""A block takes milliseconds, unless hours of a stream must be decoded to reach it."""
MOST_OPEN = 4
"""Files that a worker keeps open for the blocks to come."""
MOST_ENCODERS = 16
"""Encoders that a worker keeps; beyond it the oldest is given up, as one that nobody ended."""


@dataclass(frozen=True, eq=False)
class _OpenSound:
    path: bytes
    layout: WavLayout
    version: FileVersion
    audio_hash: bytes
    blocks: PcmBlocks
    closing: ExitStack


class PlaybackWorker:
    """What a worker for players holds: files that it read blocks of, open, and encoders."""

    def __init__(self) -> None:
        self._open: list[_OpenSound] = []
        self._encoders: OrderedDict[int, Encoder] = OrderedDict()

    def block(
        self, path: bytes, layout: WavLayout, block: int, *, audio_hash: bytes
    ) -> bytes | None:
        """A block of a file's sound; None if it is another sound than that of the hash.

        Raises
        ------
        AnalysisError
        """
        sound = self._take(path, layout, block)
        self._open.append(sound)
        return sound.blocks.read(block) if sound.audio_hash == audio_hash else None

    def encode(
        self, path: bytes, transcode: Transcode, step: int, *, audio_hash: bytes
    ) -> bytes | None:
        """What a step adds to a track that is encoded; None if it is another sound.

        The steps come in order, each once.

        Raises
        ------
        AnalysisError
        """
        layout = transcode.layout
        block = transcode.first // layout.block_frames + step
        pcm: bytes | None = b""
        if transcode.pcm.frames:
            pcm = self.block(path, layout, block, audio_hash=audio_hash)
        if pcm is None:
            self.end_encoding(transcode.number)
            return None
        skip = max(0, transcode.first - layout.block_range(block)[0])
        encoder = self._encoder(path, transcode, step)
        made = encoder.encode(pcm[skip * layout.frame_bytes :])
        if step == transcode.steps - 1:
            made += encoder.finish()
            self.end_encoding(transcode.number)
        return made

    def _encoder(self, path: bytes, transcode: Transcode, step: int) -> Encoder:
        if step == 0:
            self._encoders[transcode.number] = make_encoder(transcode.encoding, transcode.pcm)
            while len(self._encoders) > MOST_ENCODERS:
                self._encoders.popitem(last=False)
        if transcode.number not in self._encoders:
            raise WorkerDied(f"{display_path(path)}: its encoder was lost", stage="worker")
        return self._encoders[transcode.number]

    def end_encoding(self, number: int) -> None:
        """Give up an encoder, if there is one."""
        self._encoders.pop(number, None)

    def _take(self, path: bytes, layout: WavLayout, block: int) -> _OpenSound:
        """The open file from which a block takes least to decode, out of the list; or a new one."""
        version = file_version(path)
        for sound in [one for one in self._open if one.path == path and one.version != version]:
            self._open.remove(sound)
            sound.closing.close()
        same = [one for one in self._open if (one.path, one.layout) == (path, layout)]
        # Two players of one stream that cannot be entered must not take it from each other.
        if reaching := [one for one in same if one.blocks.reaches(block)]:
            found = max(reaching, key=lambda one: one.blocks.reached)
        elif len(same) > 1:
            found = same[0]
        else:
            while len(self._open) >= MOST_OPEN:
                self._open.pop(0).closing.close()
            return _open_sound(path, layout)
        self._open.remove(found)
        return found


def _open_sound(path: bytes, layout: WavLayout) -> _OpenSound:
    with ExitStack() as stack:
        file = stack.enter_context(open_file(path))
        version = version_of(os.fstat(file.descriptor))
        blocks = PcmBlocks(file, layout)
        return _OpenSound(path, layout, version, file.facts.audio_hash, blocks, stack.pop_all())


def playback_pool() -> Sandbox[PlaybackWorker]:
    """A worker process for `read_block` and `hash_sound`: one, since it keeps files open."""
    return Sandbox(PlaybackWorker, workers=1, limits=PLAYBACK_LIMITS)


def read_block(
    worker: PlaybackWorker, path: bytes, *, layout: WavLayout, block: int, audio_hash: bytes
) -> bytes | None:
    """A block of a file's sound as PCM; None if it is another sound than that of the hash."""
    return worker.block(path, layout, block, audio_hash=audio_hash)


def encode_step(
    worker: PlaybackWorker, path: bytes, *, transcode: Transcode, step: int, audio_hash: bytes
) -> bytes | None:
    """What a step adds to a track that is encoded; None if it is another sound."""
    return worker.encode(path, transcode, step, audio_hash=audio_hash)


def end_encoding(worker: PlaybackWorker, _path: bytes, *, number: int) -> None:
    """Give up the encoder of a transcode that nobody reads any more."""
    worker.end_encoding(number)


def hash_sound(_worker: object, path: bytes) -> tuple[bytes, FileVersion]:
    """The hash of a file's sound, and which version of the file it is of."""
    with open_file(path) as file:
        return file.facts.audio_hash, version_of(os.fstat(file.descriptor))


def read_file_cover(_worker: object, path: bytes, *, size: int = 0) -> Picture | None:
    """The cover of a file, in its tags or beside it, at most so many pixels a side.

    With the size 0 it is as it is stored, and not decoded.

    Raises
    ------
    AnalysisError
        It cannot be decoded; the stage is "cover".
    """
    picture = read_cover(path)
    if picture is None or not size:
        return picture
    return scale_down(picture, size, display_path(path))
