"""The music that is analysed: pieces of the demo library end to end, in the formats of a library.

Index runs and long files need many hours of it. They are made of the packets of a few minutes,
encoded once and put together in another order or again and again: to the indexer that is other
music, and it costs what any other costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import soundfile
import soxr
from composer import SAMPLE_RATE, library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Format:
    """Container and codec as FFmpeg calls them; Vorbis goes through libsndfile."""

    label: str
    suffix: str
    container: str
    codec: str
    rate: int = SAMPLE_RATE
    bit_rate: int | None = None


FORMATS = (
    Format("MP3 192k", "mp3", "mp3", "libmp3lame", bit_rate=192_000),
    Format("FLAC", "flac", "flac", "flac"),
    Format("Ogg Vorbis", "ogg", "ogg", "vorbis"),
    Format("Opus 128k", "opus", "ogg", "libopus", rate=48_000, bit_rate=128_000),
    Format("M4A (AAC) 192k", "m4a", "ipod", "aac", bit_rate=192_000),
)
RARER_FORMATS = (
    Format("ALAC", "alac.m4a", "ipod", "alac"),
    Format("WAV", "wav", "wav", "pcm_s16le"),
    Format("AIFF", "aiff", "aiff", "pcm_s16be"),
    Format("WavPack", "wv", "wv", "wavpack"),
    Format("TTA", "tta", "tta", "tta"),
    Format("WMA 192k", "wma", "asf", "wmav2", bit_rate=192_000),
    Format("Opus in Matroska 128k", "mka", "matroska", "libopus", rate=48_000, bit_rate=128_000),
)
BY_SUFFIX = {form.suffix: form for form in FORMATS}
_MP3 = BY_SUFFIX["mp3"]
# LAME's quick way takes a third of the time; what it writes costs a decoder the same.
_LAME = {"compression_level": "7"}
_SEGMENT_FRAMES = 38  # a second of MP3
_FRAME_SAMPLES = 1152


def compose(path: Path, seconds: float, *, composed: float, seed: int) -> None:
    """Store music as float32 (2, samples): pieces of the demo library, one a style.

    After `composed` seconds, or a piece of each style, they begin again.
    """
    samples = round(seconds * SAMPLE_RATE)
    enough = min(samples, round(composed * SAMPLE_RATE))
    pieces: list[NDArray[np.float32]] = []
    # The last style first: the first one begins with half a minute of fading in.
    for commission in reversed(library(seed=seed, pieces_per_style=1)):
        pieces.append(commission.compose().sound.astype(np.float32))
        if sum(piece.shape[1] for piece in pieces) >= enough:
            break
    music = np.concatenate(pieces, axis=1)
    times = -(-samples // music.shape[1])
    np.save(path, np.tile(music, (1, times))[:, :samples])


def load(path: Path, seconds: float) -> NDArray[np.float32]:
    """The first seconds of stored music, (2, samples)."""
    music: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return music[:, : round(seconds * SAMPLE_RATE)]


def encode(path: Path, sound: NDArray[np.float32], form: Format) -> Path:
    """Write (2, samples) at `SAMPLE_RATE` as a file; returns its path."""
    if form.codec == "vorbis":
        _encode_vorbis(path, sound)
        return path
    with av.open(path, "w", format=form.container) as output:
        stream = cast("AudioStream", output.add_stream(form.codec, rate=form.rate))
        stream.layout = "stereo"
        if form.bit_rate is not None:
            stream.bit_rate = form.bit_rate
        if form.codec == _MP3.codec:
            stream.options = dict(_LAME)
        for frame in _frames(sound, form.rate):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def mp3_frames(sound: NDArray[np.float32]) -> list[bytes]:
    """Encode (2, samples) at 192 kbit/s into frames that do not lean on one another."""
    context = cast("AudioCodecContext", av.CodecContext.create(_MP3.codec, "w"))
    context.sample_rate = _MP3.rate
    context.layout = "stereo"
    context.format = "fltp"
    context.bit_rate = cast("int", _MP3.bit_rate)
    context.options = {**_LAME, "reservoir": "0"}
    packets = [packet for frame in _frames(sound, _MP3.rate) for packet in context.encode(frame)]
    return [bytes(packet) for packet in [*packets, *context.encode(None)]]


def write_mp3(path: Path, frames: list[bytes], seconds: float) -> Path:
    """Write a file of frames, again and again until they last so long; returns its path."""
    count = round(seconds * SAMPLE_RATE / _FRAME_SAMPLES)
    whole, rest = divmod(count, len(frames))
    once = b"".join(frames)
    with path.open("wb") as file:
        for _ in range(whole):
            file.write(once)
        file.write(b"".join(frames[:rest]))
    return path


def drawn_mp3(path: Path, frames: list[bytes], seconds: float, *, rng: np.random.Generator) -> Path:
    """Write a file of one-second parts of the frames, drawn at random; returns its path."""
    starts = rng.integers(0, len(frames) - _SEGMENT_FRAMES, round(seconds) + 1)
    drawn = [frame for start in starts for frame in frames[start : start + _SEGMENT_FRAMES]]
    return write_mp3(path, drawn, seconds)


def repeated(path: Path, source: Path, seconds: float) -> Path:
    """Write the packets of a file again and again until they last so long; returns its path.

    All packets of the source but its last must last equally long, as those of AAC and Opus do.
    """
    with av.open(source) as first, av.open(path, "w", format=_container_of(path)) as output:
        played = first.streams.audio[0]
        written = output.add_stream_from_template(played)
        packets = [packet for packet in first.demux(played) if packet.size][:-1]
        time_base, length = played.time_base, packets[0].duration
        if time_base is None or not length:
            raise ValueError(f"{source} does not say how long its packets last")
        payloads = cycle([bytes(packet) for packet in packets])
        for number in range(round(seconds / (length * time_base))):
            packet = av.Packet(next(payloads))
            packet.time_base, packet.duration = time_base, length
            packet.pts = packet.dts = number * length
            packet.is_keyframe = True
            packet.stream = written
            output.mux(packet)
    return path


def repeated_to(
    folder: Path, suffix: str, sound: NDArray[np.float32], lengths: Sequence[float]
) -> dict[float, Path]:
    """Write the packets of a sound again and again, in files of so many seconds; their paths."""
    paths = {seconds: folder / f"{seconds:.0f} repeated.{suffix}" for seconds in lengths}
    if suffix == _MP3.suffix:
        frames = mp3_frames(sound)
        for seconds, path in paths.items():
            write_mp3(path, frames, seconds)
    else:
        once = encode(folder / f"once.{suffix}", sound, BY_SUFFIX[suffix])
        for seconds, path in paths.items():
            repeated(path, once, seconds)
    return paths


def length(seconds: float) -> str:
    """A length of time as tables show it."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


def _container_of(path: Path) -> str:
    return BY_SUFFIX[path.suffix[1:]].container


def _frames(sound: NDArray[np.float32], rate: int) -> list[av.AudioFrame]:
    if rate != SAMPLE_RATE:
        sound = np.clip(soxr.resample(sound.T, SAMPLE_RATE, rate).T, -1, 1)
    frames = []
    for start in range(0, sound.shape[1], rate):
        samples = np.ascontiguousarray(sound[:, start : start + rate])
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate = rate
        frame.pts = start
        frames.append(frame)
    return frames


def _encode_vorbis(path: Path, sound: NDArray[np.float32]) -> None:
    with soundfile.SoundFile(
        path, "w", SAMPLE_RATE, channels=2, format="OGG", subtype="VORBIS"
    ) as output:
        # libsndfile's Vorbis encoder overflows the stack on one long write.
        for start in range(0, sound.shape[1], SAMPLE_RATE):
            output.write(sound[:, start : start + SAMPLE_RATE].T)
