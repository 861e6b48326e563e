"""Blocks of 16-bit PCM of an open file, each made by itself, as `WavLayout` cuts them.

A block is always decoded the same way, from a fresh decoder that enters at the same sample, so its
bytes do not depend on what was read before; nor do they where a decoder adds noise of its own
(AC-3, WMA). A stream that cannot be entered is decoded from its beginning, once for blocks that are
read in order.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, cast

import av.error
import numpy as np
import soxr

from indexer.audio.decoding import ForwardOnly, make_reader
from indexer.audio.downmix import downmix, to_stereo
from indexer.audio.error_translation import translate_errors
from indexer.audio.opening import audio_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from numpy.typing import NDArray

    from indexer.audio.container import OpenFile
    from indexer.audio.wav_layout import WavLayout

    Samples = NDArray[np.float32]
    Pieces = Iterator[tuple[int, Samples]]

# soxr's HQ filter is 40 ms long at most when it halves a rate.
_MARGIN_S = 0.1
_PROBE_S = 0.1
# Encoder delay is a fraction of a second, which lies in the first packets.
_DELAY_PACKETS = 16
_FULL_SCALE = 2.0**15
# Samples this far above full scale (1.0) are no sound at any scale.
_LARGEST = 1e10


class PcmBlocks:
    """Blocks of an open file's sound, by their numbers.

    Attributes
    ----------
    reached : int
        The sample at which a stream goes on that can only be decoded from its beginning; 0 where
        it can be entered anywhere.
    """

    def __init__(self, file: OpenFile, layout: WavLayout) -> None:
        self._file = file
        self._layout = layout
        self._lead = _encoder_delay(file)
        self._margin = _resampling_margin(layout)
        self._wanted_from = 0
        begin = partial(self._pieces, 0, forward=True)
        self._forward = None if self._can_be_entered() else _ForwardStretches(begin)

    @property
    def reached(self) -> int:
        """See the class."""
        return 0 if self._forward is None else self._forward.reached

    def read(self, block: int) -> bytes:
        """The bytes of a block, zeros where nothing could be decoded.

        Raises
        ------
        AnalysisError
            The file cannot be read; the stage is "decode".
        """
        layout = self._layout
        first, last = layout.block_range(block)
        start, stop = self._stretch_of(block)
        with translate_errors(self._file.name, stage="decode"):
            samples = self._read(start, stop)
            if self._margin:
                margin = layout.to_in(first) + self._lead - start
                resampled = soxr.resample(samples, layout.rate_in, layout.rate, quality="HQ")
                samples = resampled[margin * layout.rate // layout.rate_in :]
        return _to_int16(samples[: last - first]).tobytes()

    def reaches(self, block: int) -> bool:
        """Whether a block can be read without beginning a stream again."""
        return self._forward is None or self._stretch_of(block)[0] >= self._forward.reached

    def _mix(self, frame: AudioFrame) -> Samples:
        """A frame's samples (samples, channels), with the channels of the layout."""
        return to_stereo(frame) if self._layout.channels == 2 else downmix(frame)[:, None]

    def _stretch_of(self, block: int) -> tuple[int, int]:
        """Samples of the stream that a block is made of, with a margin on both sides."""
        low, high = (self._layout.to_in(frame) for frame in self._layout.block_range(block))
        return max(0, low - self._margin) + self._lead, high + self._margin + self._lead

    def _read(self, start: int, stop: int) -> Samples:
        self._wanted_from = start
        samples = np.zeros((stop - start, self._layout.channels), np.float32)
        if self._forward is not None:
            # The next block's margin begins before this one's ends.
            self._forward.fill(samples, start, keep_from=stop - 2 * self._margin)
        else:
            try:
                _fill(samples, start, self._pieces(start), keep_from=stop)
            except ForwardOnly:
                samples[:] = 0.0
                _fill(samples, start, self._pieces(0, forward=True), keep_from=stop)
        # Samples beyond all bounds, NaN too, would spread where they are resampled.
        samples[~(np.abs(samples) <= _LARGEST)] = 0.0
        return samples

    def _pieces(self, start: int, *, forward: bool = False) -> Pieces:
        """Decoded pieces from a sample or before it, from a fresh decoder."""
        self._file.reopen()
        reader = make_reader(self._file, forward=forward)
        return reader.pieces_from(start, self._mix, is_needed=self._is_needed)

    def _is_needed(self, end: int) -> bool:
        return end > self._wanted_from

    def _can_be_entered(self) -> bool:
        """Whether a stretch in the middle is reached by seeking."""
        reader = make_reader(self._file)
        with suppress(ForwardOnly), translate_errors(self._file.name, stage="decode"):
            middle = (reader.length or 0) // 2
            reader.read(middle, middle + int(_PROBE_S * reader.rate))
            return not reader.is_forward
        return False


def _resampling_margin(layout: WavLayout) -> int:
    """Samples that are decoded on both sides of a block where it is resampled, else 0."""
    if layout.rate == layout.rate_in:
        return 0
    unit = layout.rate_in // math.gcd(layout.rate_in, layout.rate)
    return math.ceil(_MARGIN_S * layout.rate_in / unit) * unit


def _encoder_delay(file: OpenFile) -> int:
    """Samples that FFmpeg drops at the beginning of a stream, and that our readers keep."""
    file.reopen()
    kept = _count_samples(file, audio_stream(file.container))
    file.reopen()
    stream = cast("AudioStream", file.container.streams.best("audio"))
    return max(0, kept - _count_samples(file, stream))


def _count_samples(file: OpenFile, stream: AudioStream) -> int:
    """Samples of the first packets, as a stream's decoder is set."""
    total = 0
    with suppress(av.error.FFmpegError):
        for packet in islice(file.container.demux(stream), _DELAY_PACKETS):
            total += sum(frame.samples for frame in packet.decode())
    return total


class _ForwardStretches:
    """Stretches of a stream that is decoded from its beginning, in one go while they are in order.

    Parameters
    ----------
    begin : function
        Begins to decode.

    Attributes
    ----------
    reached : int
        The first sample that can be read without beginning again.
    """

    def __init__(self, begin: Callable[[], Pieces]) -> None:
        self._begin = begin
        self._pieces: Pieces = iter(())
        self._kept: list[tuple[int, Samples]] = []
        self.reached = 0
        self._is_begun = False

    def fill(self, samples: Samples, start: int, *, keep_from: int) -> None:
        """Fill in the stretch that begins at `start`; a later one may begin at `keep_from`."""
        if start < self.reached or not self._is_begun:
            self._pieces, self._kept = self._begin(), []
        # If this fails, the stream is begun again.
        self.reached, self._is_begun = 0, False
        self._kept = _fill(samples, start, chain(self._kept, self._pieces), keep_from=keep_from)
        self.reached, self._is_begun = keep_from, True


def _fill(
    samples: Samples, start: int, pieces: Pieces, *, keep_from: int
) -> list[tuple[int, Samples]]:
    """Fill in the stretch that begins at `start`; the pieces that reach beyond `keep_from`."""
    stop = start + len(samples)
    kept = []
    for at, piece in pieces:
        end = at + len(piece)
        low, high = max(at, start), min(end, stop)
        if high > low:
            samples[low - start : high - start] = piece[low - at : high - at]
        if end > keep_from:
            kept.append((at, piece))
        if end >= stop:
            break
    return kept


def _to_int16(samples: Samples) -> NDArray[np.int16]:
    scaled = np.rint(samples * _FULL_SCALE)
    clipped: NDArray[np.int16] = scaled.clip(-_FULL_SCALE, _FULL_SCALE - 1).astype("<i2")
    return clipped
