"""Channels of a decoded frame, and their mean as float32 with full scale at 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.audio.frame import AudioFrame

Mono = NDArray[np.float32]

_SAMPLE_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}


def downmix(frame: AudioFrame) -> Mono:
    """Mean of a frame's channels.

    Returns
    -------
    ndarray, float32 (frame.samples,)
        Full scale is 1.0 whatever the frame's sample format and layout.
    """
    return mean_of(*channel_rows(frame))


def channel_rows(frame: AudioFrame) -> tuple[list[NDArray[Any]], float]:
    """The channels of a frame as they are stored, and what full scale is in them."""
    channels = frame.layout.nb_channels
    kind = np.dtype(_SAMPLE_TYPES[frame.format.packed.name])
    planes = frame.planes
    # The planes themselves: a third of the time of `to_ndarray`, felt with small frames, which
    # knows no 64 bits; and for 8 channels PyAV counts a ninth plane that is none.
    if not frame.format.is_planar:
        packed = np.frombuffer(memoryview(planes[0]), kind, frame.samples * channels)
        rows = list(packed.reshape(-1, channels).T)
    elif len(planes) >= channels:
        rows = [
            np.frombuffer(memoryview(plane), kind, frame.samples) for plane in planes[:channels]
        ]
    else:
        rows = list(frame.to_ndarray())
    return rows, 1.0 if kind.kind == "f" else 2.0 ** (8 * kind.itemsize - 1)


def mean_of(rows: Sequence[NDArray[Any]], full_scale: float) -> Mono:
    """The mean of channels as `channel_rows` gives them: unsigned ones lie around `full_scale`."""
    kind = rows[0].dtype
    # 16 bits of 256 channels add up exactly in float32, 32 bits do not.
    wide = np.float64 if kind.itemsize > 2 and kind.kind != "f" else np.float32
    total: NDArray[np.floating] = rows[0].astype(wide)
    for row in rows[1:]:
        total += row
    if kind.kind == "u":
        total -= len(rows) * full_scale
    total *= 1 / (len(rows) * full_scale)
    return total.astype(np.float32, copy=False)
