from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr

from indexer.analysis.track_analysis import (
    ALL_WINDOWS,
    KnownRecording,
    TrackAnalysis,
    analyse,
    analyse_unless_known,
)
from indexer.audio.container import open_file
from indexer.audio.decoding import make_reader
from indexer.audio.reading import read_windows
from indexer.models.registry import load_model
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".ogg", ".opus", ".flac"])
def test_an_embedding_by_seeking_equals_that_of_a_whole_decode(tmp_path: Path, suffix: str) -> None:
    """Also for AAC as FFmpeg encodes it, whose noise is drawn anew wherever decoding begins."""
    path = sounds.write_audio(tmp_path / f"track{suffix}", sounds.music(40))
    model = load_model()
    windows = read_windows(path, count=4, sample_rates=model.sample_rates)
    with open_file(path) as file:
        whole = make_reader(file)
        samples, _missing = whole.read(0, whole.length or 41 * 48_000)
    pieces = {}
    for rate in model.sample_rates:
        resampled = soxr.resample(samples, windows.facts.sample_rate, rate, quality="HQ")
        starts = np.round(windows.starts_s * rate).astype(int)
        pieces[rate] = np.stack([resampled[start : start + 3 * rate] for start in starts])
    sought, _ = model.pool([model.embed(windows.waveforms)])
    decoded, _ = model.pool([model.embed(pieces)])
    assert float(sought @ decoded) >= 0.9999


def test_a_known_recording_is_not_decoded(original_songs: Path) -> None:
    model = load_model("musicnn")
    path = os.fsencode(original_songs / "album 1" / "11.m4a")
    whole = analyse(path, model)
    assert whole.descriptors.loudness_lufs is not None
    own_hash = whole.facts.audio_hash
    known = analyse_unless_known(path, model, lambda found: found == own_hash)
    assert known == KnownRecording(whole.facts, whole.tags)
    new = analyse_unless_known(path, model, lambda _audio_hash: False)
    assert isinstance(new, TrackAnalysis)
    assert np.array_equal(new.embedding, whole.embedding)


def test_beat_and_key_are_heard_in_windows_and_in_the_whole_track(tmp_path: Path) -> None:
    """A cadence in A minor on an even beat of 100 a minute."""
    rate, beat = 44_100, 0.6
    time = np.arange(round(60 * rate)) / rate
    number = (time / beat).astype(int)
    sound = np.zeros(len(time))
    for chord, semitones in enumerate(((0, 3, 7), (5, 8, 12), (7, 11, 14), (0, 3, 7))):
        for note in semitones:
            tone = np.sin(2 * np.pi * 220 * 2 ** (note / 12) * time)
            sound += 0.1 * tone * (number // 4 % 4 == chord)
    sound *= np.exp(-4 * (time / beat % 1))
    path = sounds.write_audio(tmp_path / "cadence.flac", np.float32([sound, sound]))
    model = load_model("musicnn")
    for windows in (12, ALL_WINDOWS):
        found = analyse(os.fsencode(path), model, windows=windows).descriptors
        assert found is not None
        assert found.tempo_bpm == pytest.approx(100, rel=0.02)
        assert found.musical_key == "A minor"


def test_a_second_of_sound_is_described_without_a_beat(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "short.wav", sounds.music(1.1))
    found = analyse(os.fsencode(path), load_model("musicnn")).descriptors
    assert found is not None
    assert (found.tempo_bpm, found.tempo_confidence) == (None, 0.0)
    assert found.loudness_lufs is not None


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_loudness_adds_up_the_powers_of_channels(tmp_path: Path, suffix: str) -> None:
    """ITU-R BS.1770: as loud as one channel that has the power of both, however they differ."""
    rng = np.random.default_rng(0)
    one, other = soxr.resample(0.05 * rng.standard_normal((12 * 16_000, 2)), 16_000, 44_100).T
    model = load_model("musicnn")

    def lufs(name: str, *channels: np.ndarray) -> float:
        path = sounds.write_audio(tmp_path / f"{name}{suffix}", np.float32(channels))
        found = analyse(os.fsencode(path), model).descriptors
        assert found is not None
        assert found.loudness_lufs is not None
        return found.loudness_lufs

    alone = lufs("alone", one)
    assert lufs("like", one, one) == pytest.approx(alone + 3.01, abs=0.2)
    assert lufs("unlike", one, other) == pytest.approx(alone + 3.01, abs=0.2)
    assert lufs("opposed", one, -0.8 * one) == pytest.approx(alone + 2.15, abs=0.2)
