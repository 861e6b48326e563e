"""Bad input gets a row with a reason, never a crash, never a wrong vector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog.storing import Stored
from indexer.indexing.pipeline import Options, index_paths
from indexer.library import Library
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool
    from indexer.catalog.records import Failure

REASONS = {
    "zero.mp3": "not audio",
    "random.mp3": "not audio",
    "random.flac": "not audio",
    "header cut.flac": None,
    "text.mp3": "not audio",
    "list.mp3": "not audio",
    "video.mp4": "no audio stream",
    "picture.mp3": "no audio stream",
    "short.wav": "too short",
    "silence.wav": "silent",
    "nan.wav": "not finite",
    "infinite.wav": "not finite",
    "boastful.wav": None,
}
"""What each bad file must fail with; None: any reason will do, as the damage has several names."""


def make_bad_files(folder: Path) -> None:
    good = sounds.write_audio(folder / "source.flac", sounds.music(5))
    sounds.empty_file(folder / "zero.mp3")
    sounds.random_bytes(folder / "random.mp3")
    sounds.random_bytes(folder / "random.flac")
    sounds.cut(folder / "header cut.flac", good, keep=30)
    sounds.text_file(folder / "text.mp3")
    playlists = folder.parent / "playlists"
    playlists.mkdir()
    sounds.playlists(playlists, good)
    (playlists / "list.mp3").rename(folder / "list.mp3")
    sounds.silent_video(folder / "video.mp4")
    sounds.picture(folder.parent / "picture.jpg").rename(folder / "picture.mp3")
    sounds.write_audio(folder / "short.wav", sounds.music(0.3))
    sounds.silence(folder / "silence.wav")
    sounds.not_finite(folder / "nan.wav", value=float("nan"), every=2)
    sounds.not_finite(folder / "infinite.wav", value=float("inf"), every=2)
    sounds.boastful_wav(folder / "boastful.wav")
    good.unlink()


def failures_by_name(library: Library) -> dict[str, Failure]:
    return {os.path.basename(one.path).decode(): one for one in library.catalog.failures()}


def make_odd_files(folder: Path) -> int:
    """Files that something is unusual about, which are indexed all the same; returns how many."""
    good = sounds.write_audio(folder / "good.flac", sounds.music(6))
    sounds.cut(folder / "middle cut.flac", good, keep=0.6)
    # The tags differ, the sound does not.
    sounds.vorbis_comment_not_utf8(folder / "tags.flac", good)
    sounds.write_audio(folder / "eight.wav", sounds.music(4, channels=8, seed=1))
    for number, (rate, suffix) in enumerate([(8_000, "wav"), (192_000, "flac"), (24_000, "mp3")]):
        waveform = sounds.music(4, sample_rate=rate, seed=2 + number)
        sounds.write_audio(folder / f"{rate}.{suffix}", waveform, sample_rate=rate)
    song, m4a, opus = (
        sounds.write_audio(folder / name, sounds.music(12, seed=5 + number))
        for number, name in enumerate(["song.mp3", "whole.m4a", "whole.opus"])
    )
    sounds.concatenate(folder / "jingle and song.mp3", folder / "24000.mp3", song)
    sounds.change_bytes(folder / "changed.m4a", m4a, np.linspace(0.31, 0.8, 64))
    sounds.add_empty_ogg_packet(folder / "empty packet.opus", opus)
    sounds.concatenate(folder / "chained.opus", opus, opus)
    tone = sounds.music(6, channels=1, seed=8)
    sounds.write_audio(folder / "opposed.flac", np.concatenate([-tone, tone]))
    tagged = sounds.write_audio(folder / "tagged.wv", sounds.music(4, seed=9))
    tagged.write_bytes(sounds.id3v2({"TIT2": b"\0A"}) + tagged.read_bytes() + sounds.apev2({}))
    source = sounds.write_audio(folder.parent / "odd.wav", sounds.music(4, seed=10))
    for name in sounds.odd_names():
        sounds.copy_as(source, folder, name)
    return 16 + len(sounds.odd_names())


@pytest.mark.slow
def test_every_bad_and_every_odd_file_beside_good_ones(tmp_path: Path, pool: AnalysisPool) -> None:
    folder, catalog = tmp_path / "music", tmp_path / "catalog.db"
    folder.mkdir()
    make_bad_files(folder)
    odd = make_odd_files(folder)
    (folder / "good").mkdir()
    for number in range(10):
        sounds.write_audio(folder / "good" / f"{number}.wav", sounds.music(3, seed=100 + number))
    index = [sys.executable, "-m", "recommender", "index", "--catalog", catalog, "--json", folder]
    done = subprocess.run(index, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    counts = json.loads(done.stdout)
    assert (counts["new"], counts["failed"]) == (10 + odd, len(REASONS))

    with closing(Library.open_for_writing(catalog)) as library:
        again = index_paths(library, pool=pool)
        assert (again.unchanged, again.failed_before) == (10 + odd, len(REASONS))
        assert (again.stored.total(), again.failed) == (0, 0)
        found = failures_by_name(library)
        assert found.keys() == REASONS.keys()
        for name, reason in REASONS.items():
            assert reason in (None, found[name].reason), (name, found[name])
            assert name in found[name].message
            assert "\n" not in found[name].message
        assert library.index is not None
        assert np.isfinite(library.index.reconstruct(library.index.ids())).all()
        assert library.verify().sound
        for name in sounds.odd_names():
            track = library.catalog.track_by_path(os.fsencode(folder) + b"/" + name)
            assert track is not None
            assert track.key.encode("utf-8", errors="strict")
        retried = index_paths(library, [folder], pool=pool, options=Options(retry_failed=True))
        assert retried.failed == len(REASONS)
        assert failures_by_name(library)["zero.mp3"].tries == 2


def test_a_picture_named_itself_gets_a_row(tmp_path: Path, pool: AnalysisPool) -> None:
    cover = sounds.picture(tmp_path / "cover.jpg")
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        assert index_paths(library, [tmp_path], pool=pool).other_files >= 1
        index_paths(library, [cover], pool=pool)
        assert "cover.jpg" in failures_by_name(library)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_gets_a_row(tmp_path: Path, pool: AnalysisPool) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    sounds.write_audio(folder / "closed.wav", sounds.music(4)).chmod(0)
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        index_paths(library, [folder], pool=pool)
        assert failures_by_name(library)["closed.wav"].reason == "unreadable"


def test_a_fifo_and_a_file_that_vanishes_get_rows(tmp_path: Path, pool: AnalysisPool) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    os.mkfifo(folder / "pipe.mp3")
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        index_paths(library, [folder], pool=pool)
        assert failures_by_name(library)["pipe.mp3"].reason == "unreadable"


def test_a_good_file_that_turns_bad_is_no_longer_answered(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        index_paths(library, [songs], pool=pool)
        sounds.text_file(songs / "album 0" / "00.wav")
        assert index_paths(library, [songs], pool=pool).failed == 1
        assert library.index is not None
        assert len(library.index) == 11
        sounds.write_audio(songs / "album 0" / "00.wav", sounds.music(4, seed=50))
        summary = index_paths(library, [songs], pool=pool)
        assert summary.stored[Stored.CHANGED] == 1
        assert len(library.index) == 12
        assert library.catalog.failures() == []
