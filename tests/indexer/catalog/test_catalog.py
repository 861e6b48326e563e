from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import select, text

from indexer.analysis.track_analysis import KnownRecording, TrackAnalysis
from indexer.audio.container import AudioFacts
from indexer.audio.tags import Tags
from indexer.catalog import writer
from indexer.catalog.file_queries import SeenFile, embedded_hashes
from indexer.catalog.reader import Catalog
from indexer.catalog.schema import REVISIONS, RecordingRow, TrackRow
from indexer.catalog.status import TrackStatus
from indexer.catalog.storing import Stored
from indexer.errors import (
    CatalogError,
    CatalogFull,
    CatalogLocked,
    CatalogMissing,
    CatalogTooNew,
    InvalidOption,
    NotACatalog,
    TooShort,
)
from indexer.facets.facets import Facets
from indexer.features.descriptors import Descriptors
from indexer.features.melspectrogram import FrontEnd
from indexer.models.checkpoint import ModelInfo, NetworkConfig
from recommender import Where
from recommender.retrieval.filters import where_mask
from tests.catalogs import present_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from indexer.catalog.records import StoredModel

FileMaker = Callable[..., SeenFile]
DIM = 4
NO_TAGS = Tags(None, None, None, None, None, None, None)
UNKNOWN_DESCRIPTORS = Descriptors(None, 0.0, None, 0.0, None, None)


def tiny_model(path: Path) -> ModelInfo:
    return ModelInfo(
        name="tiny",
        network=NetworkConfig("tiny", {}),
        front_end=FrontEnd(),
        pooling="mean",
        dim=DIM,
        tag_names=("loud", "soft"),
        licence="MIT",
        source="a test",
        fingerprint="f" * 64,
        path=path,
    )


@pytest.fixture
def catalog(address: str) -> Iterator[Catalog]:
    with closing(Catalog.open_for_writing(address, create=True)) as opened:
        yield opened


@pytest.fixture
def model(catalog: Catalog) -> StoredModel:
    with catalog.writing() as connection:
        return writer.record_model(connection, tiny_model(catalog.path), windows=12)


@pytest.fixture
def file(tmp_path: Path) -> FileMaker:
    """Makes files that exist, below a folder /music, as a scan would have seen them."""

    def make(name: str | bytes, *, root: str = "music", size: int = 1) -> SeenFile:
        folder = os.fsencode(tmp_path / root)
        path = os.path.join(folder, os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").close()
        return SeenFile(path, folder, size, 1)

    return make


def analysis(seed: int, *, tags: Tags = NO_TAGS) -> TrackAnalysis:
    """A worker's analysis of recording number `seed`."""
    vector = np.random.default_rng(seed).normal(size=DIM)
    facts = AudioFacts("mp3", "mp3", 44100, 2, 10.0 + seed, 128000, bytes([seed]) * 32)
    unit = (vector / np.linalg.norm(vector)).astype(np.float16)
    activations = np.array([0.9, 0.1], np.float16)
    return TrackAnalysis(facts, tags, unit, activations, 12, UNKNOWN_DESCRIPTORS)


def known(seed: int) -> KnownRecording:
    return KnownRecording(analysis(seed).facts, NO_TAGS)


def store(
    catalog: Catalog,
    model: StoredModel,
    seen: SeenFile,
    found: TrackAnalysis | KnownRecording,
    key: str | None = None,
) -> Stored | None:
    with catalog.writing() as connection:
        keys = {} if key is None else {seen.path: key}
        (outcome,) = writer.store(connection, model, [(seen, found)], keys=keys)
        return outcome


def changed_ids(
    catalog: Catalog, model: StoredModel, *, since: int = 0
) -> tuple[set[int], set[int]]:
    alive: set[int] = set()
    gone: set[int] = set()
    for changes in catalog.changes_since(since, model):
        alive |= set(changes.ids.tolist())
        gone |= set(changes.gone.tolist())
    return alive, gone


def test_what_is_stored_is_read_back(catalog: Catalog, model: StoredModel, file: FileMaker) -> None:
    tags = replace(NO_TAGS, title="Song", artist="Band", year=1999)
    assert store(catalog, model, file("a/1.mp3"), analysis(1, tags=tags)) is Stored.NEW
    track = catalog.track_by_key("a/1.mp3")
    assert track is not None
    assert (track.title, track.artist, track.year) == ("Song", "Band", 1999)
    (changes,) = catalog.changes_since(0, model)
    assert changes.ids.tolist() == [track.id]
    np.testing.assert_allclose(np.linalg.norm(changes.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(changes.vectors[0], analysis(1).embedding, atol=1e-3)
    activations = catalog.activations(track.id, model.id)
    assert activations is not None
    np.testing.assert_allclose(activations, [0.9, 0.1], atol=1e-3)


def test_a_known_recording_needs_no_second_embedding(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    assert store(catalog, model, file("1.mp3"), known(1)) is None
    store(catalog, model, file("1.mp3"), analysis(1))
    assert store(catalog, model, file("copy.mp3"), known(1)) is Stored.NEW
    assert catalog.counts()["recordings"] == 1
    assert embedded_hashes(catalog, model.id).tolist() == [0x0101010101010101]


def test_a_moved_file_keeps_its_id(
    catalog: Catalog, model: StoredModel, file: FileMaker, tmp_path: Path
) -> None:
    store(catalog, model, file("old/1.mp3"), analysis(1))
    with catalog.writing() as connection:
        writer.set_status(connection, [1], TrackStatus.MISSING)
    assert changed_ids(catalog, model) == (set(), {1})
    (tmp_path / "music" / "old" / "1.mp3").unlink()
    assert store(catalog, model, file("new/1.mp3"), known(1)) is Stored.MOVED
    track = catalog.track_by_key("new/1.mp3")
    assert track is not None
    assert (track.id, track.status) == (1, "present")
    assert changed_ids(catalog, model) == ({1}, set())


def test_retagging_changes_tags_but_not_what_is_changed_ids(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    store(catalog, model, file("1.mp3"), analysis(1))
    change = catalog.change()
    retagged = replace(known(1), tags=replace(NO_TAGS, title="Named"))
    assert store(catalog, model, file("1.mp3", size=2), retagged) is Stored.RETAGGED
    assert store(catalog, model, file("1.mp3", size=2), retagged) is Stored.TOUCHED
    assert catalog.change() == change
    assert present_names(catalog) == [(1, "1.mp3", "", "Named")]


def test_each_write_moves_the_counters_of_what_it_changes(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    seen = [file(f"{number}.mp3") for number in range(3)]
    for number in (1, 2):
        store(catalog, model, seen[number], analysis(number))
    named = replace(known(1), tags=replace(NO_TAGS, title="Named"))
    gone = known(2)

    def move() -> None:
        os.unlink(seen[2].path)
        store(catalog, model, file("moved.mp3"), gone)

    def write(change: Callable[..., object], *values: object) -> Callable[[], None]:
        def run() -> None:
            with catalog.writing() as connection:
                change(connection, *values)

        return run

    bad = TooShort("0.1 s", stage="decode")
    nothing: set[int] = set()
    for run, vectors, facets in (
        (lambda: store(catalog, model, seen[1], known(1)), nothing, nothing),
        (lambda: store(catalog, model, seen[1], named), nothing, {1}),
        (lambda: store(catalog, model, seen[1], named), nothing, nothing),
        (write(writer.store_tags, {seen[1].path: NO_TAGS}), nothing, {1}),
        (write(writer.store_tags, {seen[1].path: NO_TAGS}), nothing, nothing),
        (write(writer.set_key, seen[2].path, "mine"), nothing, {2}),
        (write(writer.set_key, seen[2].path, "mine"), nothing, nothing),
        (write(writer.set_key, b"/nowhere", "other"), nothing, nothing),
        (lambda: store(catalog, model, seen[0], analysis(1)), {3}, {3}),
        (lambda: store(catalog, model, seen[1], analysis(3)), {1}, {1}),
        (write(writer.store_failures, [(seen[1], bad)]), {1}, {1}),
        (write(writer.store_failures, [(file("unknown.mp3"), bad)]), nothing, nothing),
        (lambda: store(catalog, model, seen[1], analysis(3)), {1}, {1}),
        (move, {2}, {2}),
        (write(writer.set_status, [1, 3], TrackStatus.MISSING), {1, 3}, {1, 3}),
        (write(writer.set_status, [], TrackStatus.MISSING), nothing, nothing),
        (write(writer.activate_model, model), nothing, {1, 2, 3}),
    ):
        before = catalog.changes()
        run()
        after = catalog.changes()
        with catalog.reading() as connection:
            moved = [
                set(connection.execute(select(TrackRow.id).where(column > number)).scalars())
                for column, number in (
                    (TrackRow.change, before.vectors),
                    (TrackRow.facets_change, before.facets),
                )
            ]
        assert moved == [vectors, facets]
        assert not vectors or after.vectors > before.vectors
        assert (after.facets > before.facets) == bool(facets)
        assert catalog.change() == after.vectors
    assert catalog.damage() == []


def test_a_changed_file_gets_its_new_vector_and_the_old_one_goes(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    store(catalog, model, file("1.mp3"), analysis(1))
    change = catalog.change()
    assert store(catalog, model, file("1.mp3"), analysis(2)) is Stored.CHANGED
    (changes,) = catalog.changes_since(change, model)
    assert changes.ids.tolist() == [1]
    np.testing.assert_allclose(changes.vectors[0], analysis(2).embedding, atol=1e-3)
    assert catalog.counts()["recordings"] == 1


def test_a_file_that_turns_bad_is_no_longer_answered_and_comes_back(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    store(catalog, model, file("1.mp3"), analysis(1))
    for _ in range(2):
        with catalog.writing() as connection:
            writer.store_failures(connection, [(file("1.mp3"), TooShort("0.1 s", stage="decode"))])
    (failure,) = catalog.failures()
    assert (failure.reason, failure.stage, failure.tries) == ("too short", "decode", 2)
    assert changed_ids(catalog, model) == (set(), {1})
    assert store(catalog, model, file("1.mp3"), analysis(1)) is Stored.RETURNED
    assert catalog.failures() == []
    assert changed_ids(catalog, model) == ({1}, set())


def test_ids_are_never_used_again(catalog: Catalog, model: StoredModel, file: FileMaker) -> None:
    store(catalog, model, file("1.mp3"), analysis(1))
    with catalog.writing() as connection:
        writer.set_status(connection, [1], TrackStatus.REMOVED)
    store(catalog, model, file("2.mp3"), analysis(1))
    assert [row[0] for row in present_names(catalog)] == [2]


def test_keys_are_the_callers_or_the_path_below_the_root(
    catalog: Catalog, model: StoredModel, file: FileMaker, tmp_path: Path
) -> None:
    store(catalog, model, file("1.mp3"), analysis(1), key="upload-7")
    store(catalog, model, file("2.mp3"), analysis(2))
    store(catalog, model, file("1.mp3", root="disk"), analysis(3))
    store(catalog, model, file("1.mp3", root="usb"), analysis(4))
    store(catalog, model, file(b"\xff.mp3", root="usb"), analysis(5))
    keys = [row[1] for row in present_names(catalog)]
    usb = str(tmp_path / "usb" / "1.mp3")
    assert keys == ["upload-7", "2.mp3", "1.mp3", usb, "\\xff.mp3"]
    with pytest.raises(InvalidOption, match="upload-7"):
        store(catalog, model, file("2.mp3"), analysis(2), key="upload-7")


def contents(catalog: Catalog) -> list[tuple[object, ...]]:
    """Tracks with their recordings by hash, and how many recordings there are."""
    query = select(TrackRow, RecordingRow.audio_hash).join(RecordingRow).order_by(TrackRow.id)
    varying = ("recording_id", "added_at", "digest", "change", "facets_change")
    with catalog.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return [
        *(tuple(value for name, value in row.items() if name not in varying) for row in rows),
        (catalog.counts()["recordings"],),
    ]


def test_a_batch_does_what_its_files_do_one_after_another(tmp_path: Path, file: FileMaker) -> None:
    """With copies, retags, moves, returns, other sound, own keys and a path twice, at random."""
    rng = np.random.default_rng(11)
    names = ["1.mp3", "2.mp3", "a/1.mp3", "a/2.mp3", "b/1.mp3"]
    everything = [(name, root) for root in ("music", "disk") for name in names]
    info = tiny_model(tmp_path)
    with (
        closing(Catalog.open_for_writing(tmp_path / "one.db", create=True)) as singly,
        closing(Catalog.open_for_writing(tmp_path / "many.db", create=True)) as at_once,
    ):
        seen_kinds: set[Stored | None] = set()
        for catalog in (singly, at_once):
            with catalog.writing() as connection:
                model = writer.record_model(connection, info, windows=12)
        for step in range(40):
            batch = []
            for row in rng.integers(0, len(everything), 6):
                name, root = everything[row]
                tags = replace(NO_TAGS, title=str(rng.integers(0, 2)))
                analysed = analysis(int(rng.integers(0, 6)), tags=tags)
                batch.append((file(name, root=root, size=step), analysed))
            keys = {batch[0][0].path: f"own {step}"} if step % 5 == 0 else {}
            for row in rng.integers(0, len(everything), 4):
                name, root = everything[row]
                path = os.fsencode(tmp_path / root / name)
                if path not in {seen.path for seen, _ in batch} and os.path.exists(path):
                    os.unlink(path)
            with singly.writing() as connection:
                expected = [
                    kind
                    for one in batch
                    for kind in writer.store(connection, model, [one], keys=keys)
                ]
            with at_once.writing() as connection:
                assert writer.store(connection, model, batch, keys=keys) == expected
            ids = rng.integers(1, 6, 2).tolist()
            status = list(TrackStatus)[step % 4]
            for catalog in (singly, at_once):
                with catalog.writing() as connection:
                    writer.set_status(connection, ids, status)
            assert contents(at_once) == contents(singly)
            seen_kinds |= set(expected)
        assert seen_kinds == set(Stored)
        assert at_once.damage() == []
        assert at_once.changes().vectors < singly.changes().vectors


def test_files_of_one_batch_share_a_recording_and_get_keys_of_their_own(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    batch = [
        (file("1.mp3"), analysis(1)),
        (file("2.mp3"), known(1)),
        (file("1.mp3", root="disk"), analysis(1)),
        (file("3.mp3"), known(3)),
    ]
    with catalog.writing() as connection:
        kinds = writer.store(connection, model, batch, new_ids={batch[0][0].path: 7})
    assert kinds == [Stored.NEW, Stored.NEW, Stored.NEW, None]
    other = os.fsdecode(batch[2][0].path)
    assert [row[:2] for row in present_names(catalog)] == [(7, "1.mp3"), (8, "2.mp3"), (9, other)]
    assert catalog.counts()["recordings"] == 1
    assert catalog.changes().vectors == 1


def test_an_embedding_that_was_missing_is_a_change_of_every_track_of_the_recording(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    """As after a switch to another model that was given up half-way."""
    with catalog.writing() as connection:
        other = writer.record_model(
            connection, replace(tiny_model(catalog.path.parent), fingerprint="e" * 64), windows=12
        )
    store(catalog, other, file("1.mp3"), analysis(1))
    store(catalog, other, file("2.mp3"), known(1))
    assert changed_ids(catalog, model) == (set(), {1, 2})
    before = catalog.changes()
    assert store(catalog, model, file("1.mp3"), analysis(1)) is Stored.TOUCHED
    assert changed_ids(catalog, model, since=before.vectors) == ({1, 2}, set())
    assert catalog.changes().facets > before.facets


def test_a_transaction_that_fails_leaves_nothing_behind(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    with pytest.raises(ZeroDivisionError), catalog.writing() as connection:
        writer.store(connection, model, [(file("1.mp3"), analysis(1))])
        raise ZeroDivisionError
    assert catalog.counts()["present"] == 0
    assert catalog.change() == 0


def test_a_reader_sees_what_a_writer_commits_and_is_not_blocked(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    with closing(Catalog.open_for_reading(catalog.address)) as reader:
        version = reader.version()
        assert reader.version() == version
        with catalog.writing() as connection:
            writer.store(connection, model, [(file("1.mp3"), analysis(1))])
            assert present_names(reader) == []
        assert reader.version() != version
        assert len(present_names(reader)) == 1
        with pytest.raises(CatalogError, match="reading only"), reader.writing():
            pass


@pytest.mark.usefixtures("only_sqlite")
def test_a_second_writer_learns_who_the_first_is(catalog: Catalog) -> None:
    with pytest.raises(CatalogLocked, match=rf"process {os.getpid()} "):
        Catalog.open_for_writing(catalog.path)


def test_the_lock_of_a_dead_writer_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    code = (
        "import os, sys\nfrom indexer.catalog.reader import Catalog\n"
        "Catalog.open_for_writing(sys.argv[1], create=True)\nos.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    Catalog.open_for_writing(path).close()


def test_only_catalogs_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with pytest.raises(CatalogMissing, match="soundalike index"):
        Catalog.open_for_reading(path)
    path.write_text("a shopping list " * 20)
    for opener in (Catalog.open_for_reading, Catalog.open_for_writing):
        with pytest.raises(NotACatalog, match="not a database"):
            opener(path)
    assert path.read_text().startswith("a shopping list")
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mine (x)")
    with pytest.raises(NotACatalog, match="another program"):
        Catalog.open_for_writing(path)


def test_a_process_may_open_a_catalog_twice(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    Catalog.open_for_writing(path, create=True).close()
    code = (
        "import sys\nfrom indexer.catalog import writer\n"
        "from indexer.catalog.reader import Catalog\n"
        "catalog = Catalog.open_for_writing(sys.argv[1])\n"
        "with catalog.writing() as connection: writer.add_root(connection, b'/music')\n"
        "catalog.close()"
    )
    with closing(Catalog.open_for_reading(path)) as first:
        with closing(Catalog.open_for_reading(path)) as second:
            # Without the locks of a reader the writer would delete the log that it reads.
            subprocess.run([sys.executable, "-c", code, str(path)], check=True)
            assert first.roots() == second.roots() == [b"/music"]


@pytest.mark.usefixtures("only_sqlite")
def test_a_damaged_database_is_refused(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    for seed in range(60):
        store(catalog, model, file(f"{seed}.mp3"), analysis(seed))
    catalog.close()
    content = bytearray(catalog.path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    catalog.path.write_bytes(content)
    with pytest.raises(NotACatalog, match="damaged"):
        Catalog.open_for_reading(catalog.path)


def test_a_newer_catalog_is_refused_unchanged(catalog: Catalog) -> None:
    with catalog.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    catalog.close()
    for opener in (Catalog.open_for_reading, Catalog.open_for_writing):
        with pytest.raises(CatalogTooNew, match="9999"):
            opener(catalog.address)


def _is_table(_object: object, name: str, *_: object) -> bool:
    """Whether it is no part of the search for titles, of which SQLAlchemy has no models."""
    return not name.startswith(("title_", "track_names"))


def test_the_migrations_make_the_schema_that_the_models_describe(catalog: Catalog) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from indexer.catalog.schema import Base

    with catalog.reading() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _is_table})
        found = compare_metadata(context, Base.metadata)
        if connection.dialect.name == "postgresql":
            # There the constraints on keys and paths are of a kind that Alembic does not compare.
            found = [step for step in found if step[0] != "add_constraint"]
        assert found == []
    assert ScriptDirectory("indexer/catalog/migrations").get_current_head() == REVISIONS[-1]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogMissing, match="nowhere"):
        Catalog.open_for_writing(tmp_path / "nowhere" / "catalog.db", create=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CatalogFull, match="cannot be written"):
        Catalog.open_for_writing(tmp_path / "catalog.db", create=True)


def test_a_removed_track_stays_removed_when_its_file_is_renamed(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    seen = file("1.mp3")
    store(catalog, model, seen, analysis(1))
    with catalog.writing() as connection:
        writer.set_status(connection, [1], TrackStatus.REMOVED)
    os.unlink(seen.path)
    store(catalog, model, file("renamed.mp3"), known(1))
    assert changed_ids(catalog, model) == (set(), {1})
    assert catalog.counts()["removed"] == 1


def test_a_key_follows_the_path_only_when_the_file_moves(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    seen = file("album/1.mp3")
    store(catalog, model, seen, analysis(1))
    store(catalog, model, seen._replace(root=os.path.dirname(seen.path)), analysis(2))
    assert [row[1] for row in present_names(catalog)] == ["album/1.mp3"]


def test_descriptors_are_stored_once_for_a_recording_and_go_with_it(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    measured = Descriptors(92.5, 0.9, "A minor", 0.7, -14.25, 1830.0)
    store(catalog, model, file("1.mp3"), replace(analysis(1), descriptors=measured))
    store(catalog, model, file("copy.mp3"), known(1))
    for track in catalog.tracks([1, 2]).values():
        assert (track.tempo_bpm, track.tempo_confidence) == (92.5, 0.9)
        assert (track.musical_key, track.key_confidence) == ("A minor", 0.7)
        assert (track.loudness_lufs, track.brightness_hz) == (-14.25, 1830.0)
    store(catalog, model, file("1.mp3"), analysis(2))
    store(catalog, model, file("copy.mp3"), analysis(2))
    with catalog.reading() as connection:
        assert connection.execute(select(RecordingRow.tempo_bpm)).scalars().all() == [None]


def test_several_artists_and_genres_are_kept_and_each_is_found(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    both = Tags(
        artist="Ann; Bob",
        artists=("Ann", "Bob"),
        album_artist="Various",
        genre="Jazz; Soul",
        genres=("Jazz", "Soul"),
    )
    store(catalog, model, file("1.mp3"), analysis(1, tags=both))
    store(catalog, model, file("2.mp3"), analysis(2, tags=Tags(artist="Cid", genre="Soul")))
    first, second = catalog.tracks([1, 2]).values()
    assert (first.artist, first.artists) == ("Ann; Bob", ("Ann", "Bob"))
    assert (first.album_artists, first.genres) == (("Various",), ("Jazz", "Soul"))
    assert (second.artists, second.album_artists, second.genres) == (("Cid",), (), ("Soul",))
    columns = Facets(catalog).columns()
    for wanted, ids in (
        (Where(genre=("Jazz",)), [1]),
        (Where(genre=("Soul",)), [1, 2]),
        (Where(artist=("Bob",)), [1]),
        (Where(artist=("Various", "Cid")), [1, 2]),
        (Where(artist=("Ann; Bob",), genre=("Soul",)), [1]),
    ):
        assert columns.ids(where_mask(wanted, catalog, model, columns)).tolist() == ids
    assert store(catalog, model, file("1.mp3"), replace(known(1), tags=both)) is Stored.TOUCHED
    with catalog.writing() as connection:
        seen = file("1.mp3").path
        assert writer.store_tags(connection, {seen: both}) == 0
        assert writer.store_tags(connection, {seen: Tags(genre="Blues")}) == 1
    assert catalog.tracks([1])[1].genres == ("Blues",)


@pytest.mark.usefixtures("only_sqlite")
def test_a_catalog_that_was_replaced_while_open_is_neither_read_nor_written(
    catalog: Catalog, tmp_path: Path
) -> None:
    Catalog.open_for_writing(tmp_path / "other.db", create=True).close()
    (tmp_path / "other.db").replace(catalog.path)
    with pytest.raises(CatalogError, match="replaced"):
        catalog.version()
    with pytest.raises(CatalogError, match="replaced"), catalog.writing():
        pass


def test_tracks_are_read_again_only_when_what_is_shown_of_any_changes(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    seen = file("1.mp3")
    store(catalog, model, seen, analysis(1))
    before = catalog.tracks([1])[1]
    store(catalog, model, seen._replace(mtime_ns=seen.mtime_ns + 1), known(1))
    with catalog.writing() as connection:
        writer.add_root(connection, b"/elsewhere")
    assert catalog.tracks([1])[1] is before
    with catalog.writing() as connection:
        assert writer.store_tags(connection, {seen.path: Tags(title="Another")}) == 1
    assert catalog.tracks([1])[1].title == "Another"


def test_threads_that_ask_at_once_never_wait_for_each_other_for_ever(
    catalog: Catalog, model: StoredModel, file: FileMaker
) -> None:
    """In a process of its own: what hung held Python's own lock, and no time limit ended it."""
    with catalog.writing() as connection:
        batch = [(file(f"{seed}.mp3"), analysis(seed)) for seed in range(40)]
        writer.store(connection, model, batch)
    code = (
        "import sys\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from indexer.catalog import reader\n"
        "reader.KEPT_TRACKS = 0\n"
        "sys.setswitchinterval(1e-5)\n"
        "catalog = reader.Catalog.open_for_reading(sys.argv[1])\n"
        "def ask(number): return catalog.version(), len(catalog.tracks(range(1, 41)))\n"
        "with ThreadPoolExecutor(16) as threads:\n"
        "    assert {count for _, count in threads.map(ask, range(400))} == {40}\n"
    )
    command = [sys.executable, "-c", code, catalog.address]
    assert subprocess.run(command, timeout=60).returncode == 0
