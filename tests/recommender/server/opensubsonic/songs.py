"""A library of real files, and what they sound like when they are decoded again."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

import av
import numpy as np

from tests import sounds
from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import client_of
from tests.recommender.server.opensubsonic.library import Rest, secret_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SECONDS = 7.0
NAMES = ("a.mp3", "b.flac", "c.wav", "d.ogg", "e.opus", "f.m4a", "g.wma", "h.wv", "i.aiff")
"""Song n is the one of this name, counted from 1 on, `sounds.music(SECONDS, seed=n)`."""


def write_songs(folder: Path, names: Sequence[str] = NAMES, *, seconds: float = SECONDS) -> Path:
    """Write songs and a catalog of them; returns the catalog."""
    paths = [
        sounds.write_audio(folder / name, sounds.music(seconds, seed=number))
        for number, name in enumerate(names, start=1)
    ]
    planted = [
        Planted(path.stem, path=path, album="All", album_artist="Band", vector=None)
        for path in paths
    ]
    return plant(folder, ["piano"], planted)


@contextmanager
def rest_of_catalog(catalog: Path, **options: object) -> Iterator[Rest]:
    """A server in this process over a catalog."""
    with client_of(catalog, **options) as client:
        yield Rest(client, secret_of(catalog))


def decode(data: bytes) -> tuple[NDArray[np.float32], int]:
    """Samples of the first channel, and their rate in Hz."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout=stream.layout)
        frames = [one for frame in container.decode(stream) for one in resampler.resample(frame)]
        return np.concatenate([one.to_ndarray() for one in frames], axis=1)[0], stream.rate


def spectrum(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Level in dB of each twentieth of a second in octaves from 100 Hz to 6.4 kHz, (times, 6)."""
    step = rate // 20
    cut = samples[: len(samples) // step * step].reshape(-1, step)
    power = np.abs(np.fft.rfft(cut * np.hanning(step), axis=1)) ** 2 / step
    hz = np.fft.rfftfreq(step, 1 / rate)
    bands = [(hz >= low) & (hz < 2 * low) for low in (100, 200, 400, 800, 1600, 3200)]
    return np.stack([10 * np.log10(power[:, one].sum(axis=1) + 1e-4) for one in bands], axis=1)


def original(number: int, *, seconds: float = SECONDS) -> NDArray[np.float32]:
    """Samples of the first channel of song n, at 44.1 kHz."""
    return sounds.music(seconds, seed=number)[0]
