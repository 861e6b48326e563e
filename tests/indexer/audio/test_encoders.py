from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from indexer.audio.encoders import make_encoder
from indexer.audio.encoding import Pcm, encoding_within
from tests.sounds import music

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.audio.encoding import Encoding

SECONDS = 3.3


def encode(sound: NDArray[np.float32], rate: int, encoding: Encoding) -> bytes:
    """A file, made in pieces of a second."""
    channels, frames = sound.shape
    encoder = make_encoder(encoding, Pcm(rate, channels, frames))
    pcm = (sound.T * 32767).astype("<i2")
    pieces = [encoder.encode(pcm[at : at + rate].tobytes()) for at in range(0, frames, rate)]
    return b"".join([*pieces, encoder.finish()])


def decode(data: bytes) -> tuple[NDArray[np.float32], int, float]:
    """Samples (channels, samples), rate, and the duration that the file says, in seconds."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        said = float(stream.duration * stream.time_base)
        resampler = av.AudioResampler(format="fltp", layout=stream.layout)
        frames = [one for frame in container.decode(stream) for one in resampler.resample(frame)]
        return np.concatenate([one.to_ndarray() for one in frames], axis=1), stream.rate, said


@pytest.mark.parametrize("rate", [8_000, 22_050, 32_000, 37_800, 44_100, 48_000])
@pytest.mark.parametrize("codec", ["mp3", "opus"])
def test_what_is_encoded_is_as_long_as_the_sound(codec: str, rate: int) -> None:
    encoding = encoding_within(codec, 128)
    found, rate_out, said = decode(encode(music(SECONDS, sample_rate=rate), rate, encoding))
    # Players that leave out what encoders add at both ends play albums without gaps.
    assert found.shape == (2, round(SECONDS * rate_out))
    assert said == pytest.approx(SECONDS, abs=0.01)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", ["mp3", "opus"])
def test_what_is_encoded_is_the_sound_at_the_same_time(codec: str, channels: int) -> None:
    sound = music(SECONDS, sample_rate=48_000, channels=channels)
    found, rate, _ = decode(encode(sound, 48_000, encoding_within(codec, 192)))
    assert rate == 48_000
    for channel in range(channels):
        # One sample off, and the noise on the beat would not fit any more.
        fit = [
            np.corrcoef(
                sound[channel, 100:-100], found[channel, 100 + by : len(found[0]) - 100 + by]
            )
            for by in (-1, 0, 1)
        ]
        cosines = [one[0, 1] for one in fit]
        assert int(np.argmax(cosines)) == 1
        assert cosines[1] > 0.95


@pytest.mark.parametrize("kbps", [32, 128, 320])
@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("codec", ["mp3", "opus"])
def test_the_size_is_known_before(codec: str, rate: int, kbps: int) -> None:
    encoding = encoding_within(codec, kbps, is_constant=True)
    for seconds in (0.001, SECONDS):
        sound = music(seconds, sample_rate=rate)
        size = len(encode(sound, rate, encoding))
        most = encoding.largest_size(Pcm(rate, 2, sound.shape[1]))
        slack = 0 if codec == "mp3" else 1_000 + 0.02 * size + 3 * encoding.kbps * 1000 / 8 / 50
        assert 0 <= most - size <= slack


@pytest.mark.parametrize("codec", ["mp3", "opus"])
def test_no_sound_at_all_makes_a_file_that_opens(codec: str) -> None:
    encoder = make_encoder(encoding_within(codec, 128), Pcm(44_100, 2, 0))
    data = encoder.encode(b"") + encoder.finish()
    assert data.startswith(b"\xff\xfb" if codec == "mp3" else b"OggS")


@pytest.mark.parametrize(
    ("codec", "asked", "given"),
    [("mp3", 1, 32), ("mp3", 127, 112), ("mp3", 128, 128), ("mp3", 10**9, 320),
     ("opus", 1, 16), ("opus", 96, 96), ("opus", 10**9, 256)],
)  # fmt: skip
def test_a_bit_rate_is_the_highest_within_a_limit(codec: str, asked: int, given: int) -> None:
    assert encoding_within(codec, asked).kbps == given
