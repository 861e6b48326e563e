"""What only a catalog on a server can meet: other machines, other writers, a server that goes."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from indexer.catalog import writer
from indexer.catalog.reader import Catalog
from indexer.catalog.status import TrackStatus
from indexer.errors import (
    CatalogForbidden,
    CatalogFull,
    CatalogLocked,
    CatalogMissing,
    CatalogUnreachable,
    InvalidOption,
    NotACatalog,
    SoundalikeError,
)
from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from recommender import Recommender
from tests import sounds
from tests.postgres import GUARDED, PASSWORD, PostgresServer, binaries_or_skip, running_server

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool
    from indexer.indexing.pipeline import Summary


def index(address: str, *paths: Path, pool: AnalysisPool) -> Summary:
    with closing(Library.open_for_writing(address, create=True)) as library:
        return index_paths(library, paths, pool=pool)


def test_a_library_on_a_server_answers_as_one_in_a_file(
    postgres_address: str, original_songs: Path, original_catalog: Path, pool: AnalysisPool
) -> None:
    assert index(postgres_address, original_songs, pool=pool).counts()["new"] == 12
    assert index(postgres_address, pool=pool).counts()["unchanged"] == 12
    with (
        Recommender.open(postgres_address) as on_server,
        Recommender.open(original_catalog) as in_file,
    ):
        for query in ("Song 3", "album 1/08.mp3", 12):
            answers = [one.similar_to_track(query, n=5) for one in (on_server, in_file)]
            found, expected = ([(n.id, n.score) for n in one.neighbours] for one in answers)
            assert found == expected
        assert on_server.browse("song 1").total == in_file.browse("song 1").total > 0
    with closing(Library.open(postgres_address)) as library:
        assert library.verify().sound


def test_what_is_written_is_seen_by_a_reader_that_is_open(
    postgres_address: str, songs: Path, pool: AnalysisPool
) -> None:
    index(postgres_address, songs / "album 0", pool=pool)
    with Recommender.open(postgres_address) as recommender:
        assert len(recommender) == 6
        index(postgres_address, songs / "album 1", pool=pool)
        assert len(recommender.similar_to_track("Song 1", n=20).neighbours) == 11


def test_several_processes_may_write_and_some_things_are_done_alone(
    postgres_address: str, songs: Path, pool: AnalysisPool
) -> None:
    index(postgres_address, songs, pool=pool)
    with closing(Catalog.open_for_writing(postgres_address)) as first:
        before = first.changes().vectors
        with closing(Catalog.open_for_writing(postgres_address)) as second:
            with pytest.raises(CatalogLocked, match=r"written by soundalike .*:\d+ on"):
                with first.alone():
                    raise AssertionError
            for catalog in (first, second):
                with catalog.writing() as connection:
                    writer.set_status(connection, [1], TrackStatus.MISSING)
        with first.alone():
            with pytest.raises(CatalogLocked, match="alone"):
                Catalog.open_for_writing(postgres_address)
            with first.writing() as connection:
                writer.set_status(connection, [1], TrackStatus.REMOVED)
        Catalog.open_for_writing(postgres_address).close()
        assert first.changes().vectors == before + 3


def test_a_machine_judges_only_what_it_sees(
    postgres_address: str, tmp_path: Path, pool: AnalysisPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines with a folder each, one of which holds a copy of what the other has."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        sounds.write_audio(tmp_path / name / "same.wav", sounds.music(4, seed=5))
        sounds.write_audio(tmp_path / name / "own.wav", sounds.music(5, seed=ord(name)))
    hidden = tmp_path / "hidden"

    def run(machine: str, *paths: Path) -> dict[str, int]:
        """As on a machine that does not see the folder of the other one."""
        other = tmp_path / ("b" if machine == "a" else "a")
        monkeypatch.setenv("SOUNDALIKE_MACHINE", machine)
        other.rename(hidden)
        try:
            return index(postgres_address, *paths, pool=pool).counts()
        finally:
            hidden.rename(other)

    single = sounds.write_audio(tmp_path / "single.wav", sounds.music(6, seed=9))
    assert run("a", tmp_path / "a", single)["new"] == 3
    single.rename(tmp_path / "elsewhere")
    counts = run("b", tmp_path / "b")
    assert (counts["new"], counts["moved"], counts["missing"]) == (2, 0, 0)
    assert run("b")["missing"] == 0
    with closing(Catalog.open_for_reading(postgres_address)) as catalog:
        assert catalog.counts()["present"] == 5
        assert catalog.roots() == [os.fsencode(tmp_path / "b")]
    (tmp_path / "a" / "own.wav").unlink()
    assert run("b")["missing"] == 0
    assert run("a")["missing"] == 1


def test_long_names_and_large_numbers_are_stored(
    postgres_address: str, tmp_path: Path, pool: AnalysisPool
) -> None:
    folder = tmp_path.joinpath(*(f"{number:03}" + "x" * 240 for number in range(13)))
    folder.mkdir(parents=True)
    sounds.write_audio(folder / "1.wav", sounds.music(4))
    os.utime(folder / "1.wav", ns=(0, 2**55))
    assert index(postgres_address, tmp_path, pool=pool).counts()["new"] == 1
    assert index(postgres_address, tmp_path, pool=pool).counts()["unchanged"] == 1
    with closing(Catalog.open_for_writing(postgres_address)) as catalog:
        with catalog.writing() as connection:
            path = os.fsencode(folder / "1.wav")
            with pytest.raises(InvalidOption, match="zero character"):
                writer.set_key(connection, path, "a\0b")
            writer.set_key(connection, path, "é" * 20_000)
        track = catalog.track_by_key("é" * 20_000)
        assert track is not None
        assert track.path == path


@pytest.fixture
def indexed(postgres_address: str, songs: Path, pool: AnalysisPool) -> str:
    index(postgres_address, songs / "album 0", pool=pool)
    return postgres_address


@pytest.mark.parametrize(
    ("old", "new", "error", "sentence"),
    [
        ("host=", "host=/nowhere", CatalogUnreachable, "cannot be reached"),
        ("@/", "@localhost:1/", CatalogUnreachable, "cannot be reached"),
        ("@/", "@no-such-host.invalid/", CatalogUnreachable, "cannot be reached"),
        ("/test", "/nodatabase", CatalogMissing, "createdb"),
        ("postgres@", f"{GUARDED}:wrong@", CatalogForbidden, "check user and password"),
        ("postgres@", f"{GUARDED}@", CatalogForbidden, "check user and password"),
        ("postgres@", f"{GUARDED}:{PASSWORD.replace(' ', '%20')}@", CatalogForbidden, "rights"),
    ],
)
def test_an_address_that_does_not_work_gets_one_sentence(
    indexed: str, old: str, new: str, error: type[SoundalikeError], sentence: str
) -> None:
    address = indexed.replace(old, new, 1)
    if "localhost" in new or "invalid" in new:
        address = address.partition("?")[0]
    for opener in (Catalog.open_for_reading, Catalog.open_for_writing):
        with pytest.raises(error, match=sentence) as refused:
            opener(address)
        assert "wrong" not in str(refused.value)
        assert PASSWORD.replace(" ", "%20") not in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_database_without_a_catalog_is_named(postgres_address: str) -> None:
    with pytest.raises(NotACatalog, match="soundalike index"):
        Catalog.open_for_reading(postgres_address)
    with pytest.raises(CatalogMissing, match="soundalike index"):
        Catalog.open_for_writing(postgres_address)
    with pytest.raises(InvalidOption, match="names no database"):
        Catalog.open_for_reading("postgresql://user@host")


def test_a_full_disk_ends_the_run_and_a_second_one_goes_on(
    indexed: str, postgres_server: PostgresServer, songs: Path, pool: AnalysisPool
) -> None:
    """The server's own report, raised where it would be: no disk is small enough to fill here."""
    database = indexed.partition("@/")[2].partition("?")[0]
    postgres_server.run(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';"
        " END $$",
        database,
    )
    postgres_server.run(
        "CREATE TRIGGER full_disk BEFORE INSERT ON embeddings EXECUTE FUNCTION full_disk()",
        database,
    )
    with pytest.raises(CatalogFull, match="free some space there"):
        index(indexed, songs, pool=pool)
    postgres_server.run("DROP TRIGGER full_disk ON embeddings", database)
    with closing(Catalog.open_for_reading(indexed)) as catalog:
        assert catalog.counts()["present"] == 6
    assert index(indexed, songs, pool=pool).counts()["new"] == 6


def test_one_file_that_the_server_does_not_take_costs_that_file(
    indexed: str, postgres_server: PostgresServer, songs: Path, pool: AnalysisPool
) -> None:
    database = indexed.partition("@/")[2].partition("?")[0]
    postgres_server.run("ALTER TABLE tracks ADD CHECK (title IS DISTINCT FROM 'Song 8')", database)
    summary = index(indexed, songs, pool=pool)
    assert (summary.counts()["new"], summary.failed) == (5, 1)
    with closing(Catalog.open_for_reading(indexed)) as catalog:
        (failure,) = catalog.failures()
        assert (failure.reason, failure.stage) == ("not storable", "store")
        assert failure.path.endswith(b"08.mp3")


@pytest.mark.slow
def test_a_server_that_goes_away_and_comes_back(
    tmp_path: Path, songs: Path, pool: AnalysisPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDALIKE_CACHE", str(tmp_path / "cache"))
    with running_server(binaries_or_skip()) as server:
        address = server.address(server.create_database())
        index(address, songs / "album 0", pool=pool)
        with Recommender.open(address) as recommender:
            before = recommender.similar_to_track("Song 1", n=3)
            with closing(Library.open_for_writing(address)) as library:
                server.stop(signal.SIGQUIT)
                with pytest.raises(
                    CatalogUnreachable, match=r"as stored is safe|cannot be reached"
                ):
                    index_paths(library, [songs], pool=pool)
                with pytest.raises(CatalogUnreachable):
                    recommender.similar_to_track("Song 1", n=3)
                server.start()
                assert recommender.similar_to_track("Song 1", n=3) == before
                assert index_paths(library, [songs], pool=pool).counts()["new"] == 6
                assert library.verify().sound
