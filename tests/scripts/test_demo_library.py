"""The demo library: music in eight styles, in six formats, with its tags."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import av
import make_demo_library as demo
import numpy as np
import pytest
from composer import SAMPLE_RATE, STYLES, Commission
from composer.harmony import Key
from composer.mixing import LOUDNESS, loudness
from composer.piece import Timeline
from tinytag import TinyTag

PIECES = 2
"""Of each style in `demo_library`."""
SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"}


def decode(path: Path) -> tuple[np.ndarray, int]:
    with av.open(path) as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray() for frame in frames], axis=1), rate


def music_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def truth_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_style_is_written_and_every_file_is_sound(demo_library):
    files = music_in(demo_library / "library")
    rows = truth_of(demo_library)
    assert [demo_library / "library" / row["path"] for row in rows] == files
    assert {row["style"] for row in rows} == {style.name for style in STYLES}
    assert len(rows) == 8 * PIECES
    for path, row in zip(files, rows, strict=True):
        sound, rate = decode(path)
        assert rate == (48000 if path.suffix == ".opus" else 44100)
        assert 20 <= sound.shape[1] / rate <= 30
        assert sound.shape[1] / rate == pytest.approx(float(row["seconds"]), abs=0.1)
        assert np.isfinite(sound).all()
        assert 0.1 < np.abs(sound).max() < 1
        assert abs(sound.mean()) < 1e-3
        seconds = [sound[:, i * rate : (i + 1) * rate].std() for i in range(1, 19)]
        assert min(seconds) > 1e-3, f"{path.name} falls silent"


@pytest.mark.slow
def test_tags_come_back_in_every_format(demo_library):
    suffixes = set()
    for row in truth_of(demo_library):
        path = demo_library / "library" / row["path"]
        tags = TinyTag.get(path)
        number, title = path.stem.split(" ", 1)
        assert (tags.artist, tags.album, tags.title) == (path.parts[-3], path.parts[-2], title)
        assert tags.genre == row["style"]
        assert tags.artist == row["performer"]
        assert str(tags.year)[:4].isdigit()
        assert tags.track == int(number)
        suffixes.add(path.suffix)
    assert suffixes == SUFFIXES


@pytest.mark.slow
def test_the_upload_is_by_nobody_in_the_library(demo_library):
    tags = TinyTag.get(demo_library / "upload.mp3")
    assert tags.genre in {style.name for style in STYLES}
    assert tags.artist not in {p.name for style in STYLES for p in style.performers}
    assert len(music_in(demo_library / "library")) == 8 * PIECES


@pytest.mark.slow
def test_a_second_run_writes_only_what_is_missing(demo_library, tmp_path):
    folder = shutil.copytree(demo_library / "library", tmp_path / "library")
    files = music_in(folder)
    before = {path: path.stat().st_mtime_ns for path in files}
    left_over = files[0].with_name(f".{files[0].name}.part")
    left_over.write_bytes(b"half a file")
    rows = demo.make_library(folder, pieces_per_style=PIECES)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert [row.path for row in rows] == [str(path.relative_to(folder)) for path in files]
    assert not left_over.exists()

    gone = next(path for path in files if path.suffix == ".flac")
    expected, _ = decode(gone)
    gone.unlink()
    demo.make_library(folder, pieces_per_style=PIECES)
    again, _ = decode(gone)
    assert np.array_equal(again, expected)
    others = [path for path in files if path != gone]
    assert all(path.stat().st_mtime_ns == before[path] for path in others)


def test_a_file_that_cannot_be_finished_leaves_nothing(tmp_path):
    # WAV cannot hold Opus: the encoder fails after the file was opened.
    broken = demo.Format(".wav", "wav", "libopus", sample_rate=44100)
    order = demo.Order(Commission(3, 0, 0), tmp_path / "album" / "song.wav", broken)
    with pytest.raises((av.error.FFmpegError, ValueError)):
        demo.fill(order)
    assert list((tmp_path / "album").iterdir()) == []


def test_a_stamp_of_another_seed_or_a_broken_one_vouches_for_nothing(tmp_path):
    truth = demo.Truth("a.wav", "Folk", "Wren Calloway", 100.0, "A minor", 25.0)
    demo.write_stamp(tmp_path, {"a.wav": truth}, seed=1)
    assert demo.read_stamp(tmp_path, seed=1) == {"a.wav": truth}
    assert demo.read_stamp(tmp_path, seed=2) == {}
    (tmp_path / demo.STAMP_NAME).write_text("{")
    assert demo.read_stamp(tmp_path, seed=1) == {}


def test_the_seed_decides_every_sample():
    folk = next(i for i, style in enumerate(STYLES) if style.name == "Folk")
    first = Commission(folk, 0, 0).compose()
    same = Commission(folk, 0, 0).compose()
    other = Commission(folk, 0, 1).compose()
    assert np.array_equal(first.sound, same.sound)
    assert first.sound.shape != other.sound.shape or not np.allclose(first.sound, other.sound)
    assert loudness(first.sound) == pytest.approx(LOUDNESS, abs=0.5)


def test_format_and_performer_tell_nothing_of_the_style(tmp_path):
    orders = demo.order_library(tmp_path, seed=0, pieces_per_style=6)
    assert len({order.path for order in orders}) == 48
    for style in STYLES:
        mine = [order for order in orders if order.commission.style is style]
        assert {order.format.suffix for order in mine} == SUFFIXES
        performers = Counter(order.commission.performer.name for order in mine)
        assert sorted(performers.values()) == [2, 2, 2]
        albums = {(order.path.parts[-3], order.path.parts[-2]) for order in mine}
        assert len(albums) == 3


def test_chords_are_spelt_by_numerals():
    key = Key(9, "minor")
    assert key.name == "A minor"
    assert key.chord("bVI").root == 5
    assert key.chord("i7").shape == (0, 3, 7, 10)
    assert key.chord("V").voicing(60) in {(59, 64, 68), (56, 59, 64)}
    with pytest.raises(ValueError, match="not a chord"):
        key.chord("H7")


def test_swing_delays_the_second_quaver_only():
    straight = Timeline(120, 2)
    swung = Timeline(120, 2, swing=2 / 3)
    assert [straight.seconds(b) for b in (0, 0.5, 1)] == [0, 0.25, 0.5]
    assert [swung.seconds(b) for b in (0, 0.5, 1)] == pytest.approx([0, 1 / 3, 0.5])


def test_full_scale_sine_has_its_standard_loudness():
    # ITU-R BS.1770: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LKFS.
    t = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    tone = np.stack([np.sin(2 * np.pi * 997 * t), np.zeros_like(t)])
    assert loudness(tone) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--jobs", "0"], "0 is less than 1"),
        (["--seed", "-1"], "--seed is 0 or more"),
        (["--upload", "song.txt"], "song.txt has no suffix"),
        (["--pieces-per-style", "x"], "--pieces-per-style"),
    ],
)
def test_wrong_options_are_refused_before_any_work(tmp_path, arguments, complaint, capsys):
    with pytest.raises(SystemExit) as stop:
        demo.main([str(tmp_path / "music"), *arguments])
    assert stop.value.code == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "music").exists()


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        demo.main(["--help"])
    assert "example:" in capsys.readouterr().out
