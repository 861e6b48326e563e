"""Bad input gets a row with a reason, never a crash, never a wrong vector."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog.writer import Stored
from indexer.indexing.pipeline import Options, index_paths
from indexer.library import Library
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool
    from indexer.catalog.reader import Failure

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


def test_every_bad_file_is_a_failure_with_a_reason(tmp_path: Path, pool: AnalysisPool) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    make_bad_files(folder)
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        summary = index_paths(library, [folder], pool=pool)
        assert summary.failed == len(REASONS)
        found = failures_by_name(library)
        assert found.keys() == REASONS.keys()
        for name, reason in REASONS.items():
            assert reason in (None, found[name].reason), (name, found[name])
            assert name in found[name].message
            assert "\n" not in found[name].message
        assert library.catalog.counts()["present"] == 0
        again = index_paths(library, [folder], pool=pool)
        assert (again.failed, again.failed_before) == (0, len(REASONS))
        retried = index_paths(library, [folder], pool=pool, options=Options(retry_failed=True))
        assert retried.failed == len(REASONS)
        assert failures_by_name(library)["zero.mp3"].tries == 2


def test_a_picture_named_itself_gets_a_row(tmp_path: Path, pool: AnalysisPool) -> None:
    cover = sounds.picture(tmp_path / "cover.jpg")
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        assert index_paths(library, [tmp_path], pool=pool).other_files >= 1
        index_paths(library, [cover], pool=pool)
        assert "cover.jpg" in failures_by_name(library)


def test_unusual_files_are_indexed(tmp_path: Path, pool: AnalysisPool) -> None:
    folder = tmp_path / "unusual"
    folder.mkdir()
    good = sounds.write_audio(folder / "good.flac", sounds.music(6))
    sounds.cut(folder / "middle cut.flac", good, keep=0.6)
    sounds.write_audio(folder / "eight.wav", sounds.music(4, channels=8, seed=1))
    sounds.write_audio(
        folder / "8 kHz.wav", sounds.music(4, sample_rate=8000, seed=2), sample_rate=8000
    )
    sounds.write_audio(
        folder / "192 kHz.flac", sounds.music(4, sample_rate=192_000, seed=3), sample_rate=192_000
    )
    sounds.vorbis_comment_not_utf8(folder / "tags.flac", good)
    for number, name in enumerate(sounds.odd_names()):
        source = sounds.write_audio(tmp_path / "odd.wav", sounds.music(4, seed=10 + number))
        sounds.copy_as(source, folder, name)
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        summary = index_paths(library, [folder], pool=pool)
        assert library.catalog.failures() == []
        assert summary.stored[Stored.NEW] == 6 + len(sounds.odd_names())
        # The tags differ, the sound does not.
        assert library.catalog.counts()["recordings"] == summary.stored[Stored.NEW] - 1
        assert library.index is not None
        assert np.isfinite(library.index.reconstruct(library.index.ids())).all()
        for name in sounds.odd_names():
            track = library.catalog.track_by_path(os.fsencode(folder) + b"/" + name)
            assert track is not None
            assert track.key.encode("utf-8", errors="strict")


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
