"""Altered copies of a track as files, whose embeddings should be near that of the track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import av
import numpy as np

from indexer.audio.container import open_file
from indexer.audio.error_translation import translate_errors
from indexer.audio.opening import audio_stream
from indexer.errors import Corrupt, TooShort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from numpy.typing import NDArray

    from indexer.audio.opening import AnyPath

LONGEST_S = 600.0
"""Longer tracks are not copied whole: 10 minutes of stereo are 200 MB while they are altered."""
LOW_PASS_HZ = 8000
CUT_S = 10.0

_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_GAIN = 10 ** (6 / 20)


@dataclass(frozen=True)
class Sound:
    """Decoded sound.

    Attributes
    ----------
    samples : float32 (channels, n)
        One channel or two, nominal range -1 to 1.
    rate : int
        Samples a second and channel.
    """

    samples: NDArray[np.float32]
    rate: int


def keep(sound: Sound) -> Sound:
    """The sound itself."""
    return sound


@dataclass(frozen=True)
class Kind:
    """A kind of copy: how the sound is altered, and in which format it is written."""

    name: str
    suffix: str = ".wav"
    bit_rate: int | None = None
    alter: Callable[[Sound], Sound] = keep


def amplify(sound: Sound) -> Sound:
    """6 dB louder, clipped at full scale."""
    return Sound(np.clip(sound.samples * np.float32(_GAIN), -1.0, 1.0), sound.rate)


def attenuate(sound: Sound) -> Sound:
    """6 dB softer."""
    return Sound(sound.samples / np.float32(_GAIN), sound.rate)


def low_pass(sound: Sound) -> Sound:
    """The sound below 8 kHz, at the same sample rate."""
    import soxr

    if sound.rate <= 2 * LOW_PASS_HZ:
        return sound
    low = soxr.resample(sound.samples.T, sound.rate, 2 * LOW_PASS_HZ, quality="HQ")
    back = soxr.resample(low, 2 * LOW_PASS_HZ, sound.rate, quality="HQ")
    return Sound(np.ascontiguousarray(back.T), sound.rate)


def change_channel_count(sound: Sound) -> Sound:
    """Stereo as mono, mono as two equal channels."""
    if len(sound.samples) == 1:
        return Sound(np.tile(sound.samples, (2, 1)), sound.rate)
    return Sound(sound.samples.mean(0, keepdims=True), sound.rate)


def cut_beginning(sound: Sound) -> Sound:
    """The sound without its first 10 s, or first third where it is shorter than 30 s."""
    cut = min(round(CUT_S * sound.rate), sound.samples.shape[1] // 3)
    return Sound(sound.samples[:, cut:], sound.rate)


MP3 = Kind("MP3 64k", ".mp3", 64_000)
OPUS = Kind("Opus 32k", ".opus", 32_000)
PLAIN = Kind("16-bit WAV")
ENCODINGS = (MP3, OPUS)
KINDS = (
    MP3,
    OPUS,
    Kind("+6 dB", alter=amplify),
    Kind("-6 dB", alter=attenuate),
    Kind("8 kHz low-pass", alter=low_pass),
    Kind("mono/stereo", alter=change_channel_count),
    Kind("first 10 s cut off", alter=cut_beginning),
)

_Encoder: TypeAlias = tuple[str, str]
_ENCODERS: dict[str, _Encoder] = {
    ".wav": ("wav", "pcm_s16le"),
    ".mp3": ("mp3", "libmp3lame"),
    ".opus": ("ogg", "libopus"),
}


def read_sound(path: AnyPath, *, start_s: float = 0.0, seconds: float = LONGEST_S) -> Sound:
    """Decode a stretch of a file, more than two channels mixed to two.

    The stretch begins at `start_s` to within a packet.

    Raises
    ------
    AnalysisError
        The file cannot be read any more; the message says why.
    """
    with open_file(path) as file, translate_errors(file.name, stage="decode"):
        file.reopen()
        rate = file.facts.sample_rate
        layout = "mono" if file.facts.channels == 1 else "stereo"
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        wanted = round(seconds * rate)
        pieces: list[NDArray[np.float32]] = []
        have = 0
        try:
            for frame in _frames_from(file.container, start_s):
                for resampled in resampler.resample(frame):
                    pieces.append(np.asarray(resampled.to_ndarray(), dtype=np.float32))
                    have += resampled.samples
                if have >= wanted:
                    break
        except ValueError as error:
            message = f"{file.name!r} changes its format inside the stream; split or convert it."
            raise Corrupt(message, stage="decode") from error
        if not pieces:
            message = f"{file.name!r} has no sound after {start_s:.0f} s; choose another stretch."
            raise TooShort(message, stage="decode")
        return Sound(np.concatenate(pieces, axis=1)[:, :wanted], rate)


def _frames_from(container: InputContainer, start_s: float) -> Iterator[AudioFrame]:
    stream = audio_stream(container)
    if start_s > 0:
        try:
            container.seek(int(start_s * av.time_base))
        except av.error.FFmpegError:
            # Formats that cannot be entered are decoded from their beginning.
            container.seek(0)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if frame.time is None or frame.time >= start_s - 1.0:
                yield frame


def write_copies(
    _worker: object,
    path: bytes,
    *,
    folder: Path,
    kinds: Sequence[Kind],
    start_s: float = 0.0,
    seconds: float = LONGEST_S,
) -> dict[str, Path]:
    """Write copies of a stretch of a file, one of each kind; a task for a worker.

    Returns
    -------
    dict of str to Path
        The copies, by the name of their kind.

    Raises
    ------
    AnalysisError
        The file cannot be read; the message says why.
    """
    sound = read_sound(path, start_s=start_s, seconds=seconds)
    return {
        kind.name: write_copy(folder, f"copy {number}", sound, kind)
        for number, kind in enumerate(kinds)
    }


def write_copy(folder: Path, name: str, sound: Sound, kind: Kind) -> Path:
    """Write a copy of sound as a file in a folder; returns its path.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    """
    altered = kind.alter(sound)
    path = folder / f"{name}{kind.suffix}"
    container_name, codec = _ENCODERS[kind.suffix]
    layout = "mono" if len(altered.samples) == 1 else "stereo"
    rate = _rate_for(kind, altered.rate)
    with av.open(str(path), "w", format=container_name) as container:
        stream = cast("AudioStream", container.add_stream(codec, rate=rate))
        stream.layout = layout
        if kind.bit_rate is not None:
            stream.bit_rate = kind.bit_rate
        if kind.suffix == ".mp3":
            # LAME's quick way takes a third of the time.
            stream.options = {"compression_level": "7"}
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        for frame in [*_frames_of(altered, layout), None]:
            for resampled in resampler.resample(frame):
                container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
    return path


def _rate_for(kind: Kind, rate: int) -> int:
    if kind.suffix == ".opus":
        return 48_000
    if kind.suffix == ".mp3" and rate not in _MP3_RATES:
        return 44_100
    return rate


def _frames_of(sound: Sound, layout: str) -> Iterator[AudioFrame]:
    for start in range(0, sound.samples.shape[1], sound.rate):
        piece = np.ascontiguousarray(sound.samples[:, start : start + sound.rate])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = sound.rate, start
        yield frame
