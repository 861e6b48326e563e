from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.analysis.pools import AnalysisPool, analyse_file
from indexer.analysis.sandbox import Limits
from indexer.catalog.storing import Stored
from indexer.errors import InvalidOption, LibraryUnreachable, ModelMismatch
from indexer.indexing.executor import Batching, Progress
from indexer.indexing.pipeline import Options, Summary, index_paths
from indexer.library import Library
from indexer.models import checkpoint
from indexer.models.registry import DEFAULT_MODEL, SHIPPED, load_model
from recommender import Ranking, Recommender
from tests import sounds
from tests.catalogs import present_names
from tests.workers import ReplayPool, save_analyses

if TYPE_CHECKING:
    from pathlib import Path


def run(catalog: Path, *paths: Path, pool: AnalysisPool | None, **options: object) -> Summary:
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        return index_paths(
            library,
            paths,
            options=Options(**options),
            pool=pool,
        )


def vectors(catalog: Path) -> dict[str, np.ndarray]:
    """Each present track's vector by its key, from the index; it agrees with the catalog."""
    with closing(Library.open(catalog)) as library:
        assert library.verify().damage == ()
        assert library.index is not None
        names = present_names(library.catalog)
        ids = [row[0] for row in names]
        assert library.index.ids().tolist() == ids
        rows = library.index.reconstruct(np.array(ids, dtype=np.int64))
        return {row[1]: vector for row, vector in zip(names, rows, strict=True)}


def new_sound(path: Path, *, seed: int, title: str | None = None) -> Path:
    tags = {"title": title} if title else {}
    return sounds.write_audio(path, sounds.music(4, seed=seed), tags=tags)


def test_ids_follow_the_order_of_the_scan(original_catalog: Path) -> None:
    with closing(Library.open(original_catalog)) as library:
        keys = [row[1] for row in present_names(library.catalog)]
    assert keys == sorted(keys)
    assert len(keys) == 12


def test_a_second_run_has_nothing_to_do(
    catalog_path: Path, original_songs: Path, pool: AnalysisPool
) -> None:
    before = catalog_path.read_bytes()
    summary = run(catalog_path, original_songs, pool=pool)
    assert summary.unchanged == 12
    assert sum(summary.stored.values()) == summary.failed == summary.missing == 0
    assert catalog_path.read_bytes() == before


def test_a_run_without_paths_goes_through_the_folders_indexed_before(
    catalog_path: Path, pool: AnalysisPool
) -> None:
    assert run(catalog_path, pool=pool).unchanged == 12


def test_the_same_library_gives_the_same_vectors_bit_for_bit(
    tmp_path: Path, original_catalog: Path, original_songs: Path, pool: AnalysisPool
) -> None:
    run(tmp_path / "again.db", original_songs, pool=pool)
    first, second = vectors(original_catalog), vectors(tmp_path / "again.db")
    assert first.keys() == second.keys()
    assert all((first[key] == second[key]).all() for key in first)


def test_moved_copied_retagged_changed_and_vanished_files(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    run(catalog, songs, pool=pool)
    ids = _ids(catalog)
    first, *_ = sorted((songs / "album 0").iterdir())
    new_path = songs / "moved" / "new name.wav"
    new_path.parent.mkdir()
    first.rename(new_path)
    shutil.copy(songs / "album 0" / "01.flac", songs / "album 1" / "copy.flac")
    _retag(songs / "album 0" / "02.mp3")
    new_sound(songs / "album 1" / "06.wav", seed=99)
    (songs / "album 1" / "07.flac").unlink()

    summary = run(catalog, songs, pool=pool)
    assert dict(summary.stored) == {
        Stored.MOVED: 1,
        Stored.NEW: 1,
        Stored.RETAGGED: 1,
        Stored.CHANGED: 1,
    }
    assert (summary.missing, summary.failed, summary.unchanged) == (1, 0, 8)
    after = _ids(catalog)
    assert after["moved/new name.wav"] == ids["album 0/00.wav"]
    assert after["album 1/06.wav"] == ids["album 1/06.wav"]
    assert "album 1/07.flac" not in after
    found = vectors(catalog)
    assert (found["album 0/01.flac"] == found["album 1/copy.flac"]).all()
    with closing(Library.open(catalog)) as library:
        retagged = library.catalog.track_by_key("album 0/02.mp3")
    assert retagged is not None
    assert retagged.title == "another title"


def test_known_recordings_are_not_embedded_again(tmp_path: Path, original_songs: Path) -> None:
    """By workers that know the hashes in the catalog."""
    catalog = tmp_path / "catalog.db"
    songs = shutil.copytree(original_songs / "album 0", tmp_path / "songs")
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        index_paths(library, [songs], options=Options(workers=1))
        shutil.copytree(songs, tmp_path / "copies")
        summary = index_paths(library, [tmp_path / "copies"], options=Options(workers=1))
        assert summary.stored[Stored.NEW] == 6
        assert library.catalog.counts()["recordings"] == 6
    assert len(vectors(catalog)) == 12


def test_vanished_files_come_back_with_their_ids(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    run(catalog, songs, pool=pool)
    ids = _ids(catalog)
    (songs / "album 1").rename(tmp_path / "away")
    assert run(catalog, songs, pool=pool).missing == 6
    assert len(vectors(catalog)) == 6
    (tmp_path / "away").rename(songs / "album 1")
    summary = run(catalog, songs, pool=pool)
    assert summary.stored[Stored.RETURNED] == 6
    assert _ids(catalog) == ids
    assert len(vectors(catalog)) == 12


def test_a_share_that_is_offline_loses_nothing(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    run(catalog, songs, pool=pool)
    songs.rename(tmp_path / "unplugged")
    summary = run(catalog, songs, pool=pool)
    assert summary.left_alone == {os.fsencode(songs): 12}
    assert summary.missing == 0
    assert len(vectors(catalog)) == 12


def test_a_renamed_folder_keeps_its_tracks_and_the_old_one_is_forgotten(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    run(catalog, songs, pool=pool)
    ids = _ids(catalog)
    renamed = songs.rename(tmp_path / "renamed")
    assert run(catalog, renamed, pool=pool).stored[Stored.MOVED] == 12
    assert _ids(catalog) == ids
    assert run(catalog, pool=pool).left_alone == {}
    with closing(Library.open(catalog)) as library:
        assert library.catalog.roots() == [os.fsencode(renamed)]


def test_a_dead_folder_does_not_hold_up_the_others(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    (tmp_path / "empty").mkdir()
    run(catalog, songs, tmp_path / "empty", pool=pool)
    (tmp_path / "empty").rmdir()
    assert run(catalog, pool=pool).unchanged == 12


def test_a_file_added_by_name_is_missing_when_it_is_deleted(
    catalog_path: Path, tmp_path: Path, pool: AnalysisPool
) -> None:
    upload = new_sound(tmp_path / "upload.wav", seed=30)
    run(catalog_path, upload, pool=pool)
    upload.unlink()
    assert run(catalog_path, pool=pool).missing == 1
    assert len(vectors(catalog_path)) == 12


def test_a_failed_file_that_goes_and_comes_back_fails_again(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    run(catalog, songs, pool=pool)
    bad = sounds.text_file(songs / "album 0" / "00.wav")
    assert run(catalog, songs, pool=pool).failed == 1
    bad.rename(tmp_path / "away")
    run(catalog, songs, pool=pool)
    (tmp_path / "away").rename(bad)
    assert run(catalog, songs, pool=pool).failed == 1
    assert "album 0/00.wav" not in vectors(catalog)


def test_two_files_cannot_have_one_key(
    tmp_path: Path, original_songs: Path, pool: AnalysisPool
) -> None:
    files = sorted((original_songs / "album 0").iterdir())[:2]
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        with pytest.raises(InvalidOption, match="same key"):
            index_paths(library, files, keys=dict.fromkeys(files, "one"), pool=pool)
        index_paths(library, files, keys={files[0]: "one", files[1]: "two"}, pool=pool)
        assert sorted(library.catalog.ids_of_keys(["one", "two"])) == ["one", "two"]


def test_a_folder_nobody_knows_is_an_error_and_nothing_is_done(
    catalog_path: Path, tmp_path: Path, pool: AnalysisPool
) -> None:
    with pytest.raises(LibraryUnreachable, match="nowhere"):
        run(catalog_path, tmp_path / "nowhere", pool=pool)


def test_five_instalments_with_removals_answer_as_one_run(
    tmp_path: Path, songs: Path, original_catalog: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "instalments.db"
    away = shutil.copytree(songs, tmp_path / "away")
    everything = sorted(path.relative_to(songs) for path in songs.rglob("*.*"))
    for path in everything:
        (songs / path).unlink()
    for instalment in range(5):
        for path in everything[instalment::5]:
            shutil.copy2(away / path, songs / path)
        if instalment > 0:
            (songs / everything[instalment - 1]).unlink()
        run(catalog, songs, pool=pool)
    for path in everything:
        shutil.copy2(away / path, songs / path)
    run(catalog, songs, pool=pool)
    expected, got = vectors(original_catalog), vectors(catalog)
    assert got.keys() == expected.keys()
    with Recommender.open(original_catalog) as once, Recommender.open(catalog) as often:
        for key in expected:
            assert [(one.key, one.cosine) for one in once.similar_to_track(key, 11)] == [
                (one.key, one.cosine) for one in often.similar_to_track(key, 11)
            ]


def test_a_run_can_be_stopped_and_goes_on(
    tmp_path: Path, original_songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    seen: list[Progress] = []
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        first = index_paths(
            library,
            [original_songs],
            pool=pool,
            options=Options(stop_after_s=0.0),
            on_progress=seen.append,
        )
        stored = library.catalog.counts()["present"]
        assert first.waiting == 12 - stored
        assert first.waiting > 0
        second = index_paths(library, [original_songs], pool=pool, on_progress=seen.append)
    assert second.waiting == 0
    assert second.stored[Stored.NEW] == 12 - stored
    assert seen[-1] == Progress(total=12 - stored, done=12 - stored)
    assert len(vectors(catalog)) == 12


def test_a_failure_of_a_limit_says_how_to_try_again_with_more(tmp_path: Path) -> None:
    endless = tmp_path / "hang.wav"
    endless.write_bytes(b"sound")
    catalog = tmp_path / "own.db"
    with ReplayPool(save_analyses(tmp_path / "none", {}), limits=Limits(wall_s=0.3)) as hanging:
        run(catalog, endless, pool=hanging)
    with closing(Library.open(catalog)) as library:
        (failure,) = library.catalog.failures()
    assert failure.reason == "timed out"
    assert "`soundalike index --retry-failed --timeout SECONDS`" in failure.message


def test_tags_are_read_again_when_a_tagger_kept_size_and_time(
    songs: Path, catalog_path: Path, pool: AnalysisPool
) -> None:
    run(catalog_path, songs, pool=pool)
    before = vectors(catalog_path)
    song = songs / "album 0" / "02.mp3"
    status = song.stat()
    content = song.read_bytes()
    title = content.index(b"Song 2")
    song.write_bytes(content[:title] + b"Tune 2" + content[title + 6 :])
    os.utime(song, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run(catalog_path, songs, pool=pool).unchanged == 12
    summary = run(catalog_path, songs, pool=pool, reread_tags=True, workers=1)
    assert (dict(summary.stored), summary.unchanged) == ({Stored.RETAGGED: 1}, 11)
    with closing(Library.open(catalog_path)) as library:
        track = library.catalog.track_by_path(os.fsencode(song))
    assert track is not None
    assert track.title == "Tune 2"
    assert all((vectors(catalog_path)[key] == before[key]).all() for key in before)


def test_what_was_indexed_through_a_link_is_known_by_whichever_path_names_it(
    tmp_path: Path, pool: AnalysisPool
) -> None:
    root, disk = tmp_path / "music", tmp_path / "disk"
    root.mkdir()
    disk.mkdir()
    (root / "linked").symlink_to(disk)
    (tmp_path / "library").symlink_to(root)
    # A walk comes to the link in the folder before the folder it leads to.
    (root / "real").mkdir()
    (root / "album").symlink_to(root / "real")
    catalog = tmp_path / "catalog.db"
    new_sound(disk / "1.wav", seed=1)
    new_sound(root / "real" / "2.wav", seed=2)
    assert run(catalog, root, pool=pool).stored == {Stored.NEW: 2}
    with closing(Library.open(catalog)) as library:
        before = present_names(library.catalog)
    assert run(catalog, root / "linked", tmp_path / "library", pool=pool).unchanged == 2
    for folder in (root, tmp_path / "library"):
        named = folder / "linked" / "1.wav", folder / "album" / "2.wav"
        assert run(catalog, *named, pool=pool).unchanged == 2
    with closing(Library.open(catalog)) as library:
        assert present_names(library.catalog) == before
    new_sound(disk / "3.wav", seed=3)
    assert run(catalog, root / "linked" / "3.wav", pool=pool).stored == {Stored.NEW: 1}
    assert run(catalog, root, pool=pool).unchanged == 3


@pytest.mark.slow
def test_a_file_that_hangs_holds_up_no_other(tmp_path: Path, pool: AnalysisPool) -> None:
    (tmp_path / "music").mkdir()
    first = sounds.write_audio(tmp_path / "music" / "0.wav", sounds.music(1.2, seed=1))
    files = [first, *(tmp_path / "music" / f"{number}.wav" for number in range(1, 100))]
    for file in files[1:]:
        shutil.copy(first, file)
    (tmp_path / "music" / "hang.wav").write_bytes(b"sound")
    analysis = pool.run(analyse_file, os.fsencode(first))
    analyses = save_analyses(tmp_path / "analyses", {os.fsencode(one): analysis for one in files})
    seen: list[Progress] = []
    catalog = tmp_path / "catalog.db"
    with (
        closing(Library.open_for_writing(catalog, create=True)) as library,
        ReplayPool(analyses, workers=2, limits=Limits(wall_s=4)) as hanging,
    ):
        summary = index_paths(
            library,
            [tmp_path / "music"],
            pool=hanging,
            options=Options(batching=Batching(8, 0.2)),
            on_progress=seen.append,
        )
    assert (summary.stored[Stored.NEW], summary.failed) == (100, 1)
    assert Progress(total=101, done=100) in seen
    with closing(Library.open(catalog)) as library:
        (failure,) = library.catalog.failures()
    assert (failure.path, failure.reason) == (
        os.fsencode(tmp_path / "music" / "hang.wav"),
        "timed out",
    )


def altered(name: str, path: Path) -> None:
    """Write a model a little different from the shipped one, under another name."""
    info, tensors = checkpoint.read(load_model().info.path)
    changed = {name: tensor.copy() for name, tensor in tensors.items()}
    changed["axes"] += np.linspace(-0.02, 0.02, info.dim, dtype=np.float16)
    checkpoint.write(path, changed, replace(info.card, name=name))


@pytest.fixture
def other_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model beside the shipped one."""
    models = tmp_path / "models"
    models.mkdir()
    altered("other", models / "other.safetensors")
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(models))
    return "other"


@pytest.mark.slow
def test_another_model_takes_over_when_it_has_embedded_everything(
    tmp_path: Path,
    songs: Path,
    catalog_path: Path,
    other_model: str,
    pool: AnalysisPool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copytree(songs / "album 0", tmp_path / "library")
    catalog = tmp_path / "switch.db"
    run(catalog, tmp_path / "library", pool=pool)
    for song in sorted((songs / "album 1").iterdir()):
        run(catalog, song, pool=pool)
    before = vectors(catalog)
    every = Ranking(collapse=False)
    with Recommender.open(catalog) as recommender:
        half = run(catalog, pool=None, model=other_model, stop_after_s=0.0, workers=1)
        assert 0 < half.waiting < 13
        assert len(recommender.similar_to_track(1, 11, ranking=every)) == 11
        assert all((vectors(catalog)[key] == before[key]).all() for key in before)
        new_sound(tmp_path / "library" / "new.wav", seed=77)
        run(catalog, pool=None, model=other_model, workers=1)
        assert len(recommender) == 13
        assert len(recommender.similar_to_track(1, 12, ranking=every)) == 12
    after = vectors(catalog)
    assert after.keys() == before.keys() | {"new.wav"}
    assert not any((after[key] == before[key]).all() for key in before)
    with closing(Library.open(catalog)) as library:
        model = library.catalog.active_model()
        assert model is not None
        assert model.name == "other"
        assert library.verify().sound
    assert run(catalog, pool=None).unchanged == 7
    assert "made again" not in caplog.text


def test_a_model_of_the_same_name_that_is_another_is_refused(
    tmp_path: Path, catalog_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = shutil.copytree(SHIPPED, tmp_path / "weights")
    altered(DEFAULT_MODEL, shipped / f"{DEFAULT_MODEL}.safetensors")
    monkeypatch.setattr("indexer.models.registry.SHIPPED", shipped)
    with (
        closing(Library.open_for_writing(catalog_path)) as library,
        pytest.raises(ModelMismatch, match=f"index --model {DEFAULT_MODEL}"),
    ):
        index_paths(library)
    with (
        Recommender.open(catalog_path) as recommender,
        pytest.raises(ModelMismatch, match="not the one that made"),
    ):
        recommender.analyse(tmp_path / "anything.wav")


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_nothing_that_was_reported(
    tmp_path: Path, original_songs: Path, original_catalog: Path, pool: AnalysisPool
) -> None:
    """Runs killed at random moments after a random number of batches, then one that ends."""
    catalog = tmp_path / "catalog.db"
    files = [os.fsencode(path) for path in original_songs.rglob("*.*")]
    analyses = save_analyses(
        tmp_path / "analyses", {path: pool.run(analyse_file, path) for path in files}
    )
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from indexer.indexing.executor import Batching\n"
        "from indexer.indexing.pipeline import Options, index_paths\n"
        "from indexer.library import Library\n"
        "from tests.workers import ReplayPool\n"
        "library = Library.open_for_writing(sys.argv[1], create=True)\n"
        "print('begun', flush=True)\n"
        "with ReplayPool(Path(sys.argv[3])) as pool:\n"
        "    index_paths(library, [sys.argv[2]], pool=pool,\n"
        "        options=Options(workers=1, retry_failed=True, batching=Batching(2, 0.0)),\n"
        "        on_progress=lambda p: print('done', p.done, flush=True))\n"
        "library.close()\n"
    )
    command = [sys.executable, "-c", code, str(catalog), str(original_songs), str(analyses)]
    rng = np.random.default_rng(7)
    stored_before = 0
    for _ in range(8):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            lines = [process.stdout.readline() for _ in range(int(rng.integers(0, 8)))]
            time.sleep(float(rng.uniform(0, 0.1)))
            process.send_signal(signal.SIGKILL)
            printed = [line.split() for line in [*lines, *process.stdout]]
        reported = max((int(words[1]) for words in printed if len(words) == 2), default=0)
        with closing(Library.open(catalog)) as library:
            stored = library.catalog.counts()["present"]
            assert stored >= stored_before + reported
            assert library.catalog.damage() == []
        stored_before = stored
        if stored == 12 and rng.random() < 0.7:
            catalog.with_suffix(".vectors").unlink(missing_ok=True)
            shutil.rmtree(tmp_path / "old", ignore_errors=True)
            (tmp_path / "old").mkdir()
            for file in tmp_path.glob("catalog.db*"):
                file.rename(tmp_path / "old" / file.name)
            stored_before = 0
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    expected, got = vectors(original_catalog), vectors(catalog)
    assert got.keys() == expected.keys()
    assert all((got[key] == expected[key]).all() for key in expected)
    with closing(Library.open(catalog)) as library:
        assert library.verify().sound
        assert library.catalog.failures() == []


def _ids(catalog: Path) -> dict[str, int]:
    with closing(Library.open(catalog)) as library:
        return {row[1]: row[0] for row in present_names(library.catalog)}


def _retag(path: Path) -> None:
    """Put another ID3v1 tag behind an MP3's frames, as a tagger would."""
    content = path.read_bytes()
    sound = content[10 + _id3v2_size(content) :] if content.startswith(b"ID3") else content
    path.write_bytes(sounds.id3v2({"TIT2": b"\x03another title"}) + sound)


def _id3v2_size(content: bytes) -> int:
    return sum(byte << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=True))
