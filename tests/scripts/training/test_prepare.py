from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
from training.augment import alter, change_speed, encode, mix, reverberate
from training.corpus import PIECE_SAMPLES, read_tables
from training.files import open_chunk

from recommender.evaluation.degradations import MP3, OPUS, Kind
from tests import sounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.prepare import Prepared


def test_every_piece_is_there_as_it_is_and_altered(prepared: Prepared) -> None:
    assert sorted(prepared.pieces()) == list(range(6))
    assert sorted(prepared.pieces(altered=True)) == sorted(2 * list(range(6)))
    assert prepared.gather("mn04", altered=True).shape == (12, 384)
    assert [track.artist for track in prepared.tracks][:2] == ["artist 0", "artist 0"]


def test_a_resumed_run_keeps_what_is_there_and_ends_with_the_same(
    run_prepare: Callable[[Path], Prepared], tmp_path: Path
) -> None:
    whole = run_prepare(tmp_path / "data")
    first, second = (open_chunk(chunk)["log_mel"].copy() for chunk in whole.chunks)
    kept = (tmp_path / "data" / "sound" / "00000.npy").stat().st_mtime_ns
    for path in whole.chunks[1].glob("*"):
        path.unlink()
    whole.chunks[1].rmdir()
    (tmp_path / "data" / "sound" / "00003.npy").unlink()
    again = run_prepare(tmp_path / "data")
    assert (tmp_path / "data" / "sound" / "00000.npy").stat().st_mtime_ns == kept
    np.testing.assert_array_equal(open_chunk(again.chunks[0])["log_mel"], first)
    np.testing.assert_array_equal(open_chunk(again.chunks[1])["log_mel"], second)


def test_a_folder_prepared_from_other_music_is_refused(
    run_prepare: Callable[[Path], Prepared], tmp_path: Path
) -> None:
    run_prepare(tmp_path)
    (tmp_path / "tracks.json").write_text("[]")
    with pytest.raises(ValueError, match="was prepared from other tracks"):
        run_prepare(tmp_path)


def test_nothing_is_trained_on_that_forbids_derivatives(tmp_path: Path) -> None:
    columns = ["path", "seconds", "artist", "genre", "group", "licence", "split"]
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerow(["a.opus", "40", "a", "pop", "set", "CC BY-NC-ND", "train"])
        table.writerow(["b.opus", "40", "b", "pop", "set", "CC by-nc-nd/2.0", "train"])
        table.writerow(["c.opus", "40", "c", "pop", "set", "CC BY", "train"])
        table.writerow(["d.opus", "40", "d", "pop", "set", "CC BY-NC-ND", "eval"])
    assert [t.path.name for t in read_tables(tmp_path, None, split="train")] == ["c.opus"]
    assert [t.path.name for t in read_tables(tmp_path, None, split="eval")] == ["d.opus"]


def test_alterations_are_repeatable_and_sound() -> None:
    rng = np.random.default_rng(0)
    sound, mate = rng.standard_normal((2, PIECE_SAMPLES // 10)).astype(np.float32) / 10
    for seed in range(8):
        altered = alter(sound, mate, np.random.default_rng(seed))
        np.testing.assert_array_equal(altered, alter(sound, mate, np.random.default_rng(seed)))
        assert altered.shape == sound.shape
        assert np.isfinite(altered).all()
        assert 0.2 < np.abs(altered).max() <= 1.0001
        assert not np.array_equal(altered, sound)


def test_faster_is_higher_and_the_mix_has_both() -> None:
    time = np.arange(32_000) / 32_000
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(change_speed(tone, 1.25)[:16_000]))
    assert abs(int(spectrum.argmax()) * 2 - 1250) <= 2
    other = np.sin(2 * np.pi * 3000 * time).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(mix(tone, other, 0.5)))
    assert spectrum[3000] == pytest.approx(spectrum[1000] / 2, rel=1e-3)


@pytest.mark.parametrize("kind", [MP3, OPUS], ids=lambda kind: kind.name)
def test_an_encoded_piece_is_as_long_and_nearly_the_same(kind: Kind) -> None:
    sound = sounds.music(4, sample_rate=32_000, channels=1, seed=3)[0].astype(np.float32)
    heard = encode(sound, kind)
    assert heard.shape == sound.shape
    spectra = [np.abs(np.fft.rfft(part))[:20_000] for part in (sound, heard)]
    assert 0.95 < np.corrcoef(spectra)[0, 1] < 0.99999


def test_a_room_goes_on_after_the_sound() -> None:
    click = np.zeros(64_000, np.float32)
    click[100] = 1.0
    heard = reverberate(click, np.random.default_rng(0))
    assert heard.shape == click.shape
    assert np.abs(heard[2_000:5_000]).max() > 100 * np.abs(heard[60_000:]).max()
