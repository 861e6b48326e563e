from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.audio.reading import open_track, read_facts, read_windows
from indexer.audio.windows import MIN_SECONDS, Windows
from indexer.errors import (
    AnalysisError,
    Corrupt,
    NoAudioStream,
    NotAudio,
    NotFinite,
    Silent,
    TooShort,
    Unreadable,
)
from tests import sounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read(path: Path | bytes, *, count: int = 12) -> Windows:
    windows = read_windows(path, count=count)
    assert np.isfinite(windows.waveforms[16_000]).all()
    return windows


def refusal(path: Path | bytes) -> AnalysisError:
    """The error of reading windows, after checking that streaming gives the same and it pickles."""
    with pytest.raises(AnalysisError) as caught:
        read_windows(path)
    with pytest.raises(type(caught.value)):
        with open_track(path) as track:
            list(track.stream())
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (type(copy), str(copy), copy.stage) == (
        type(caught.value),
        str(caught.value),
        caught.value.stage,
    )
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["a.mp3", "a.wav", "a.flac", "a.ogg", "a.m4a", "a.aac", "a"])
@pytest.mark.parametrize("write", [sounds.empty_file, sounds.random_bytes, sounds.text_file])
def test_what_is_no_audio(tmp_path: Path, write: Callable[[Path], Path], name: str) -> None:
    error = refusal(write(tmp_path / name))
    assert isinstance(error, NotAudio)
    assert name in str(error)


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_never_audio(tmp_path: Path, seed: int) -> None:
    error = refusal(sounds.random_bytes(tmp_path / "a.mp3", size=500_000, seed=seed))
    assert isinstance(error, NotAudio | Corrupt)


def test_random_bytes_behind_an_id3_tag(tmp_path: Path) -> None:
    path = sounds.random_bytes(tmp_path / "a.mp3")
    path.write_bytes(sounds.id3v2({"TIT2": b"\0A title"}) + path.read_bytes())
    assert isinstance(refusal(path), NotAudio | Corrupt)


def test_no_audio_stream(tmp_path: Path) -> None:
    assert isinstance(refusal(sounds.silent_video(tmp_path / "a.mp4")), NoAudioStream)
    assert isinstance(refusal(sounds.picture(tmp_path / "a.jpg")), NoAudioStream)
    assert isinstance(refusal(sounds.picture(tmp_path / "a.png")), NoAudioStream)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".m4a", ".mka", ".wma"])
@pytest.mark.parametrize("keep", [20, 40])
def test_cut_in_the_header(tmp_path: Path, suffix: str, keep: int) -> None:
    whole = sounds.write_audio(tmp_path / f"whole{suffix}", sounds.music(4))
    error = refusal(sounds.cut(tmp_path / f"cut{suffix}", whole, keep=keep))
    assert isinstance(error, Corrupt | TooShort | NoAudioStream)


@pytest.mark.parametrize("suffix", sorted({*sounds.SUFFIXES} - {".m4a", ".wv", ".tta"}))
def test_cut_in_the_middle_is_taken_for_as_long_as_it_lasts(tmp_path: Path, suffix: str) -> None:
    whole = sounds.write_audio(tmp_path / f"whole{suffix}", sounds.music(20))
    windows = read(sounds.cut(tmp_path / f"cut{suffix}", whole, keep=0.5))
    assert windows.facts.duration_s == pytest.approx(10, abs=1.5)
    assert windows.facts.audio_hash != read_facts(whole).audio_hash
    assert len(windows.starts_s) in {2, 3}
    assert windows.starts_s.max() + 3 <= 11.5


def test_cut_m4a_has_lost_its_index(tmp_path: Path) -> None:
    whole = sounds.write_audio(tmp_path / "whole.m4a", sounds.music(20))
    assert isinstance(refusal(sounds.cut(tmp_path / "cut.m4a", whole, keep=0.5)), Corrupt)


@pytest.mark.parametrize("suffix", sounds.SUFFIXES)
def test_scattered_damage_ends_in_windows_or_a_reason(tmp_path: Path, suffix: str) -> None:
    whole = sounds.write_audio(tmp_path / f"whole{suffix}", sounds.music(12))
    for share in (0.0005, 0.02):
        path = sounds.flip_bytes(tmp_path / f"flipped{suffix}", whole, share=share)
        with contextlib.suppress(AnalysisError):
            assert 1 <= len(read(path).starts_s) <= 4


def test_a_damaged_stretch_of_mp3_costs_its_windows_only(tmp_path: Path) -> None:
    whole = sounds.write_audio(tmp_path / "whole.mp3", sounds.music(30), bit_rate=128_000)
    data = bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 48_000] = bytes(48_000)
    path = tmp_path / "damaged.mp3"
    path.write_bytes(data)
    windows = read(path)
    assert len(windows.starts_s) == 9
    assert windows.facts.duration_s == pytest.approx(27, abs=0.3)


@pytest.mark.parametrize("seconds", [0.05, 0.3, MIN_SECONDS - 0.1])
@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".ogg", ".opus", ".m4a", ".flac", ".wma"])
def test_too_short(tmp_path: Path, seconds: float, suffix: str) -> None:
    path = sounds.write_audio(tmp_path / f"a{suffix}", sounds.music(seconds))
    assert isinstance(refusal(path), TooShort)


def test_a_second_is_enough_and_a_sample_less_is_not_said_to_be_one(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(44_100, dtype=np.float32) / 44_100)
    fades = np.interp(np.arange(44_100), [0, 4_410, 39_690, 44_100], [0, 1, 1, 0])
    for number, sound in enumerate((tone, tone * fades)):
        path = sounds.write_audio(tmp_path / f"{number}.wav", sound[np.newaxis].astype("f4"))
        assert len(read(path).starts_s) == 1
    error = refusal(sounds.write_audio(tmp_path / "a.wav", tone[np.newaxis, 1:]))
    assert "only 0.99 s of sound; at least 1 s" in str(error)


def test_a_click_in_silence_is_too_short(tmp_path: Path) -> None:
    waveform = np.pad(sounds.music(0.5), ((0, 0), (44_100 * 3, 44_100 * 3)))
    assert isinstance(refusal(sounds.write_audio(tmp_path / "a.wav", waveform)), TooShort)


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".ogg", ".opus", ".m4a", ".flac", ".wma"])
def test_digital_silence(tmp_path: Path, suffix: str) -> None:
    assert isinstance(refusal(sounds.silence(tmp_path / f"a{suffix}")), Silent)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_not_finite(tmp_path: Path, value: float) -> None:
    """Some are as good as damage, many refuse the file; nothing warns of an overflow."""
    whole = read(sounds.write_float_wav(tmp_path / "whole.wav", sounds.music(3.5)))
    one = read(sounds.not_finite(tmp_path / "one.wav", value=value, seconds=3.5))
    assert np.mean(one.waveforms[16_000] != whole.waveforms[16_000]) < 0.1
    path = sounds.not_finite(tmp_path / "many.wav", value=value, every=2, seconds=3.5)
    assert isinstance(refusal(path), NotFinite)


def test_a_small_wav_that_claims_gigabytes(tmp_path: Path) -> None:
    for number, options in enumerate(
        (
            {},
            {"channels": 65_535},
            {"channels": 65_535, "bits": 64, "kind": 3},
            {"channels": 1, "bits": 8},
            {"channels": 2, "bits": 4, "kind": 17},
            {"channels": 2, "bits": 16, "kind": 0x161},
        )
    ):
        path = sounds.boastful_wav(tmp_path / f"{number}.wav", **options)
        began = time.monotonic()
        error = refusal(path)
        assert isinstance(error, TooShort | Corrupt | NoAudioStream)
        assert time.monotonic() - began < 2


def test_a_decoder_that_wants_more_memory_than_there_is(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.wav", sounds.music(5))
    program = (
        "import sys, resource\n"
        "from indexer.audio.reading import read_windows\n"
        "from indexer.errors import AnalysisError\n"
        "read_windows(sys.argv[1], count=1)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 26, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    read_windows(sys.argv[1], window_s=600)\n"
        "except AnalysisError as error:\n"
        "    print(error.reason)\n"
        "else:\n"
        "    print('read')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, check=False, text=True
    )
    assert done.stdout.strip() == "out of memory", done.stderr


@pytest.mark.parametrize("channels", [6, 8])
def test_many_channels(tmp_path: Path, channels: int) -> None:
    for suffix in (".wav", ".flac", ".opus", ".m4a"):
        waveform = sounds.music(4, sample_rate=48_000, channels=channels)
        path = sounds.write_audio(tmp_path / f"a{suffix}", waveform, sample_rate=48_000)
        assert read(path).facts.channels == channels


@pytest.mark.parametrize("name", sounds.odd_names())
def test_odd_names(tmp_path: Path, name: bytes) -> None:
    source = sounds.write_audio(tmp_path / "source.wav", sounds.music(4))
    path = sounds.copy_as(source, tmp_path, name)
    expected = read(source)
    assert read(path).waveforms[16_000].tobytes() == expected.waveforms[16_000].tobytes()
    assert read_facts(os.fsdecode(path)) == expected.facts
    sounds.empty_file(tmp_path / "empty.wav")
    empty = sounds.copy_as(tmp_path / "empty.wav", tmp_path, b"empty " + name)
    assert isinstance(refusal(empty), NotAudio)


def test_tags_that_are_not_utf8(tmp_path: Path) -> None:
    flac = sounds.write_audio(tmp_path / "a.flac", sounds.music(4))
    bad = sounds.vorbis_comment_not_utf8(tmp_path / "bad.flac", flac)
    assert read_facts(bad).audio_hash == read_facts(flac).audio_hash
    mp3 = sounds.write_audio(tmp_path / "a.mp3", sounds.music(4))
    tag = sounds.id3v2({"TIT2": b"\x03\xff\xfe\x80", "TPE1": b"\x01\xff", "TALB": b"\x09x"})
    tagged = tmp_path / "bad.mp3"
    tagged.write_bytes(tag + mp3.read_bytes())
    assert read_facts(tagged).audio_hash == read_facts(mp3).audio_hash


def test_playlists_do_not_make_us_read_other_files(tmp_path: Path) -> None:
    target = sounds.write_audio(tmp_path / "target.mp3", sounds.music(4))
    for path in sounds.playlists(tmp_path, target):
        assert isinstance(refusal(path), NotAudio)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path / "missing.mp3"), Unreadable)
    assert isinstance(refusal(tmp_path), Unreadable)
    os.mkfifo(tmp_path / "fifo.mp3")
    assert isinstance(refusal(tmp_path / "fifo.mp3"), Unreadable)
    (tmp_path / "loop.mp3").symlink_to(tmp_path / "loop.mp3")
    assert isinstance(refusal(tmp_path / "loop.mp3"), Unreadable)
    assert isinstance(refusal(b"/dev/zero"), Unreadable)
    assert isinstance(refusal(os.fsencode(tmp_path) + b"/nul\0.mp3"), Unreadable)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.wav", sounds.music(2))
    path.chmod(0)
    assert isinstance(refusal(path), Unreadable)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    paths = [
        sounds.text_file(tmp_path / "text.mp3"),
        sounds.silence(tmp_path / "silent.wav"),
        sounds.silent_video(tmp_path / "video.mp4"),
        sounds.boastful_wav(tmp_path / "small.wav"),
        tmp_path,
    ]
    before = len(os.listdir("/proc/self/fd"))
    for path in paths * 3:
        refusal(path)
    assert len(os.listdir("/proc/self/fd")) == before
