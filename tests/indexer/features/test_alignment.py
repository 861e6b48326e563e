from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.analysis.pools import decoding_pool, fingerprint_file
from indexer.errors import NotAudio, Unreadable
from indexer.features.alignment import FRAMES_PER_S, LONGEST_S, align, file_fingerprint
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SECONDS = 20.0
RATE = 22_050


def song(seed: int, *, seconds: float = SECONDS) -> NDArray[np.float32]:
    return sounds.music(seconds, sample_rate=RATE, channels=1, seed=seed)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One song, its copies, and another song."""
    folder = tmp_path_factory.mktemp("copies")
    plain = song(1)

    def write(name: str, waveform: NDArray[np.float32], *, bit_rate: int = 64_000) -> Path:
        return sounds.write_audio(folder / name, waveform, sample_rate=RATE, bit_rate=bit_rate)

    return {
        "plain": write("plain.wav", plain),
        "mp3": write("mp3.mp3", plain),
        "vorbis": write("vorbis.ogg", plain),
        "opus": write("opus.opus", plain),
        "cut": write("cut.flac", plain[:, 8 * RATE :]),
        "louder": write("louder.wav", np.clip(2 * plain, -1, 1)),
        "softer": write("softer.wav", plain / 2),
        "other": write("other.wav", song(2)),
    }


@pytest.mark.parametrize("kind", ["mp3", "vorbis", "opus", "louder", "softer"])
def test_an_altered_copy_has_the_outline_of_its_original(
    copies: dict[str, Path], kind: str
) -> None:
    found = align(*(file_fingerprint(os.fsencode(copies[name])) for name in ("plain", kind)))
    assert found.correlation > 0.9
    assert abs(found.lag_s) < 0.2
    assert found.overlap_s == pytest.approx(SECONDS, abs=1.5)


def test_a_cut_lies_where_it_was_cut_from(copies: dict[str, Path]) -> None:
    fingerprints = [file_fingerprint(os.fsencode(copies[name])) for name in ("plain", "cut")]
    found = align(*fingerprints)
    assert found.correlation > 0.9
    assert found.lag_s == pytest.approx(8.0, abs=0.15)
    assert align(*reversed(fingerprints)).lag_s == pytest.approx(-8.0, abs=0.15)


def test_another_song_has_another_outline(copies: dict[str, Path]) -> None:
    found = align(*(file_fingerprint(os.fsencode(copies[name])) for name in ("plain", "other")))
    assert found.correlation < 0.5


def test_a_long_file_is_heard_for_a_minute_and_silence_keeps_its_time(tmp_path: Path) -> None:
    waveform = song(3, seconds=80)
    whole = sounds.write_audio(tmp_path / "long.wav", waveform, sample_rate=RATE)
    assert len(file_fingerprint(os.fsencode(whole))) == pytest.approx(
        LONGEST_S * FRAMES_PER_S, rel=0.1
    )
    waveform = waveform[:, : 20 * RATE]
    gap = np.concatenate(
        [waveform[:, : 10 * RATE], np.zeros((1, 5 * RATE), np.float32), waveform[:, 10 * RATE :]], 1
    )
    paused = sounds.write_audio(tmp_path / "paused.wav", gap, sample_rate=RATE)
    assert len(file_fingerprint(os.fsencode(paused))) == pytest.approx(25 * FRAMES_PER_S, rel=0.1)


def test_what_cannot_be_heard_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotAudio):
        file_fingerprint(os.fsencode(sounds.text_file(tmp_path / "text.mp3")))
    with pytest.raises(Unreadable):
        file_fingerprint(os.fsencode(tmp_path / "gone.mp3"))


def test_a_pool_answers_in_order_and_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    text = sounds.text_file(tmp_path / "text.mp3")
    wave = sounds.write_audio(tmp_path / "song.wav", song(1, seconds=3), sample_rate=RATE)
    paths = [os.fsencode(path) for path in (text, wave, tmp_path / "gone.wav", wave)]
    with decoding_pool(1) as workers:
        first, second, third, fourth = workers.map(fingerprint_file, paths)
    assert isinstance(first, NotAudio)
    assert isinstance(third, Unreadable)
    assert isinstance(second, np.ndarray)
    assert np.array_equal(second, fourth)
    assert np.array_equal(second, file_fingerprint(paths[1]))
