"""Channels of a decoded frame, mixed to one or two, as float32 with full scale at 1."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.audio.frame import AudioFrame

Mono = NDArray[np.float32]

# FFmpeg's names of sample formats, a "p" behind those of planes: type, full scale, planar or not.
_SAMPLE_TYPES = {
    name + planar: (np.dtype(kind), full_scale, bool(planar))
    for planar in ("", "p")
    for name, kind, full_scale in (
        ("u8", "u1", 2.0**7),
        ("s16", "i2", 2.0**15),
        ("s32", "i4", 2.0**31),
        ("s64", "i8", 2.0**63),
        ("flt", "f4", 1.0),
        ("dbl", "f8", 1.0),
    )
}


def downmix(frame: AudioFrame) -> Mono:
    """Mean of a frame's channels.

    Returns
    -------
    ndarray, float32 (frame.samples,)
        Full scale is 1.0 whatever the frame's sample format and layout.
    """
    return mean_of(*channel_rows(frame))


def to_stereo(frame: AudioFrame) -> NDArray[np.float32]:
    """Left and right of a frame, of however many channels.

    Two channels are left and right. Of more, those of one side go to it, those in the middle to
    both 3 dB lower, bass effects (LFE) nowhere; each side is scaled so that it cannot clip.

    Returns
    -------
    ndarray, float32 (frame.samples, 2)
    """
    rows, full_scale = channel_rows(frame)
    stereo = np.empty((frame.samples, 2), np.float32)
    if len(rows) <= 2:
        stereo[:, 0] = mean_of(rows[:1], full_scale)
        stereo[:, 1] = mean_of(rows[-1:], full_scale) if len(rows) == 2 else stereo[:, 0]
        return stereo
    channels = np.stack([mean_of([row], full_scale) for row in rows])
    gains = _stereo_gains(tuple(channel.name for channel in frame.layout.channels))
    if gains.shape[1] != len(rows):
        gains = np.full((2, len(rows)), 1 / len(rows), np.float32)
    np.matmul(gains, channels, out=stereo.T)
    return stereo


@lru_cache(maxsize=64)
def _stereo_gains(names: tuple[str, ...]) -> NDArray[np.float32]:
    """Gains (2, channels) of channels on the left and the right, by FFmpeg's names of them."""
    gains = np.zeros((2, len(names)), np.float32)
    for number, name in enumerate(names):
        if name in ("LFE", "LFE2"):
            continue
        sides = [side for side, letter in enumerate("LR") if letter in name] or [0, 1]
        gains[sides, number] = 1.0 if len(sides) == 1 else 0.5**0.5
    if not gains.any(axis=1).all():
        gains[:] = 1.0
    balanced: NDArray[np.float32] = gains / gains.sum(axis=1, keepdims=True)
    return balanced


def channel_rows(frame: AudioFrame) -> tuple[list[NDArray[Any]], float]:
    """The channels of a frame as they are stored, and what full scale is in them."""
    # Frames are small and many: what happens here costs as much as decoding them.
    kind, full_scale, is_planar = _SAMPLE_TYPES[frame.format.name]
    channels, samples, planes = frame.layout.nb_channels, frame.samples, frame.planes
    # The planes themselves: a third of the time of `to_ndarray`, which knows no 64 bits; and for 8
    # channels PyAV counts a ninth plane that is none.
    if not is_planar:
        packed = np.frombuffer(memoryview(planes[0]), kind, samples * channels)
        return list(packed.reshape(-1, channels).T), full_scale
    if len(planes) >= channels:
        rows = [np.frombuffer(memoryview(plane), kind, samples) for plane in planes[:channels]]
        return rows, full_scale
    return list(frame.to_ndarray()), full_scale


def mean_of(rows: Sequence[NDArray[Any]], full_scale: float) -> Mono:
    """The mean of channels as `channel_rows` gives them: unsigned ones lie around `full_scale`."""
    kind = rows[0].dtype
    # 16 bits of 256 channels add up exactly in float32, 32 bits do not.
    wide = np.float64 if kind.itemsize > 2 and kind != np.float32 else np.float32
    total: NDArray[np.floating]
    total = np.add(rows[0], rows[1], dtype=wide) if len(rows) > 1 else rows[0].astype(wide)
    for row in rows[2:]:
        total += row
    if kind.kind == "u":
        total -= len(rows) * full_scale
    total *= 1 / (len(rows) * full_scale)
    return total.astype(np.float32, copy=False)
