from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import select, update

from indexer.catalog import writer
from indexer.catalog.reader import Catalog
from indexer.catalog.schema import CatalogRow, TrackRow
from indexer.catalog.status import TrackStatus
from indexer.facets import facets as holder
from indexer.facets.facets import Facets
from indexer.facets.files import build_facets, facets_path, remove_drafts
from indexer.mapped_arrays import MappedArrays
from indexer.text_folding import fold
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from indexer.facets.columns import Columns

TAGS = ("piano", "calm", "loud")
ARTISTS = (None, "Björk", "bjork", "The Band", "Łona", "Zoë", "a-ha", "Ørsted", "Ünal")
GENRES = (None, "Rock", "rock", "Jazz; Blues", "Hip-Hop", "Techno", "Ambient")


def made_up(count: int, seed: int = 1) -> list[Planted]:
    rng = random.Random(seed)  # noqa: S311 - names of test tracks
    return [
        Planted(
            rng.choice([None, "Same", f"Song {rng.randrange(50)}"]),
            {tag: rng.random() for tag in TAGS},
            genre=rng.choice(GENRES),
            year=rng.choice([None, 1969, 1994, 2024]),
            tempo_bpm=rng.choice([None, 69.99, 120.0]),
            musical_key=rng.choice([None, "A minor", "C major"]),
            artist=rng.choice(ARTISTS),
            artists=rng.choice([(), ("Björk", "Zoë"), ("New", "The Band")]),
            album_artist=rng.choice([None, None, "Various", "The Band"]),
            album=rng.choice([None, "First", "Second", "Théorie"]),
        )
        for _ in range(count)
    ]


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog large enough, as tests go, for a file of facets."""
    path = plant(tmp_path, TAGS, made_up(60))
    monkeypatch.setattr(holder, "IN_MEMORY", 20)
    return path


@pytest.fixture
def writing(catalog: Path) -> Iterator[Catalog]:
    with closing(Catalog.open_for_writing(catalog)) as opened:
        yield opened


def content(columns: Columns) -> dict[int, dict[str, Any]]:
    """All that columns say of each track, by id, and its place in lists."""
    found: dict[int, dict[str, Any]] = {}
    alive = columns.alive
    place = {row: n for n, row in enumerate(row for row in columns.order.tolist() if alive[row])}
    for start, part in zip((0, len(columns.base)), columns.parts, strict=True):
        texts = {name: list(part.texts(name)) for name in ("genre", "album", "musical_key")}
        artists = list(part.texts("artists"))
        assert sorted(artists) == artists
        assert len(part.texts("spelling")) == len(artists)
        for row, track in enumerate(part.column("ids").tolist()):
            if not alive[start + row]:
                continue
            one: dict[str, Any] = {"place": place[start + row]}
            for name in ("year", "duration_s", "tempo_bpm", "added_at"):
                one[name] = str(part.column(name)[row])
            for name, of_name in texts.items():
                number = part.column(name)[row]
                one[name] = None if number < 0 else of_name[number]
            for name, of_name in (("genres", texts["genre"]), ("artists", artists)):
                rows = part.column(f"{name}_row")
                assert (np.diff(rows) >= 0).all()
                one[name] = {of_name[n] for n in part.column(name)[rows == row].tolist()}
            one["activations"] = [int(part.activations(tag)[row]) for tag in range(len(TAGS))]
            assert track not in found
            found[track] = one
    return found


def truth(catalog: Catalog) -> dict[int, dict[str, Any]]:
    """The same of the catalog's rows."""
    model = catalog.active_model()
    assert model is not None
    with catalog.reading() as connection:
        ids = connection.execute(select(TrackRow.id)).scalars().all()
    present = [one for one in catalog.tracks(ids).values() if one.status == TrackStatus.PRESENT]
    stored = catalog.activations_of([one.id for one in present], model).astype(np.float16)
    last = "\U0010ffff"
    present_order = sorted(
        present,
        key=lambda one: (
            fold(one.album_artist or one.artist or "") or last,
            fold(one.album or ""),
            one.track_number or 0,
            fold(one.title or os.path.basename(one.key)).encode()[:16],
            one.id,
        ),
    )
    return {
        one.id: {
            "place": present_order.index(one),
            **{
                name: str(float("nan") if (value := getattr(one, name)) is None else float(value))
                for name in ("year", "duration_s", "tempo_bpm", "added_at")
            },
            "genre": one.genre,
            "album": fold(one.album) if one.album else None,
            "musical_key": one.musical_key,
            "genres": set(one.genres) if len(one.genres) > 1 else set(),
            "artists": {
                fold(name)
                for name in (one.artist, one.album_artist, *one.artists, *one.album_artists)
                if name
            },
            "activations": (values.view(np.uint16) + 1).tolist(),
        }
        for one, values in zip(present, stored, strict=True)
    }


def retag(catalog: Catalog, track: int, **tags: Any) -> None:
    with catalog.writing() as connection:
        connection.execute(update(CatalogRow).values(facets_change=CatalogRow.facets_change + 1))
        change = connection.execute(select(CatalogRow.facets_change)).scalar_one()
        row = update(TrackRow).where(TrackRow.id == track)
        connection.execute(row.values(facets_change=change, **tags))


def remove(catalog: Catalog, *tracks: int) -> None:
    with catalog.writing() as connection:
        writer.set_status(connection, tracks, TrackStatus.REMOVED)


def restore(catalog: Catalog, *tracks: int) -> None:
    with catalog.writing() as connection:
        writer.set_status(connection, tracks, TrackStatus.PRESENT)


def test_columns_are_what_the_catalog_says(writing: Catalog) -> None:
    assert content(Facets(writing).columns()) == truth(writing)
    assert facets_path(writing.path).exists()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("in_memory", [5, 1000])
def test_catching_up_is_as_good_as_making_anew(
    writing: Catalog, monkeypatch: pytest.MonkeyPatch, seed: int, in_memory: int
) -> None:
    monkeypatch.setattr(holder, "IN_MEMORY", in_memory)
    rng = random.Random(seed)  # noqa: S311 - which tracks change
    readers = [Facets(writing), Facets(writing)]
    readers[0].columns()
    for _ in range(12):
        for _ in range(rng.randrange(1, 4)):
            track = rng.randrange(1, 61)
            match rng.choice(["tags", "tags", "remove", "restore"]):
                case "tags":
                    changed = made_up(1, rng.randrange(1000))[0]
                    retag(
                        writing,
                        track,
                        title=changed.title,
                        artist=changed.artist,
                        artists=(changed.artist,) if changed.artist else (),
                        album=changed.album,
                        genre=changed.genre,
                        genres=("Rock", "Fado") if rng.random() < 0.2 else (),
                        year=changed.year,
                        track_number=rng.choice([None, 1, 2]),
                    )
                case "remove":
                    remove(writing, track)
                case _:
                    restore(writing, track)
        for reader in readers[: 1 + rng.randrange(2)]:
            assert content(reader.columns()) == truth(writing)
        if rng.random() < 0.2:
            readers[1].save(closing=rng.random() < 0.5)
    fresh = Facets(writing)
    fresh.rebuild()
    for tag in range(len(TAGS)):
        counts = [one.columns().tag_counts(tag) for one in (*readers, fresh)]
        assert (counts[0] == counts[2]).all()
        assert (counts[1] == counts[2]).all()
    means = [one.columns().mean_activations for one in (readers[0], fresh)]
    np.testing.assert_allclose(means[0], means[1])


def test_ids_lead_to_rows_and_back(writing: Catalog) -> None:
    facets = Facets(writing)
    facets.columns()
    remove(writing, 7)
    retag(writing, 9, year=1800)
    columns = facets.columns()
    assert len(columns) == 59
    assert columns.ids().tolist() == [n for n in range(1, 61) if n != 7]
    rows = columns.rows_of(np.array([9, 7, 60, 1, 99]))
    assert (rows >= 0).tolist() == [True, False, True, True, False]
    known = rows[rows >= 0]
    assert columns.at(known, lambda part, at: part.column("ids")[at]).tolist() == [9, 60, 1]
    assert columns.at(known, lambda part, at: part.column("year")[at])[0] == 1800
    for share in (0.0, 0.5, 0.9, 1.0):
        ranks = columns.at(rows[rows >= 0], lambda part, at: part.activations(1)[at])
        every = columns.at(columns.rows_of(columns.ids()), lambda part, at: part.activations(1)[at])
        assert set(ranks) <= set(every)
        assert columns.activation_at(1, share) == np.quantile(every, share, method="higher")


@pytest.mark.parametrize("how", ["missing", "empty", "cut", "tail", "column", "foreign", "newer"])
def test_a_file_of_no_use_is_made_again_with_one_warning(
    writing: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    expected = truth(writing)
    path = facets_path(writing.path)
    build_facets(writing, path)
    whole = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "foreign":
        (tmp_path / "other").mkdir()
        other = plant(tmp_path / "other", TAGS, made_up(60, seed=2))
        with closing(Catalog.open_for_reading(other)) as opened:
            build_facets(opened, path)
    elif how == "newer":
        for year in (1, 2, 3):
            retag(writing, 1, year=year)
        build_facets(writing, path)
        with writing.writing() as connection:
            connection.execute(update(CatalogRow).values(facets_change=3))
            connection.execute(update(TrackRow).values(facets_change=3))
        expected = truth(writing)
    elif how == "column":
        at = MappedArrays.open(path, kind="facets 1").offset("activations")
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    else:
        path.write_bytes({"empty": b"", "cut": whole[:5000], "tail": whole[:-1]}[how])
    caplog.set_level(logging.WARNING)
    facets = Facets(writing)
    assert facets.ask(content) == expected
    assert facets.ask(content) == expected
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert facets.fault() is None


def test_a_place_that_cannot_be_written_costs_the_file_only(
    writing: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    # A folder in its place: root may write anywhere else.
    facets_path(writing.path).mkdir()
    facets = Facets(writing)
    assert content(facets.columns()) == truth(writing)
    retag(writing, 3, year=1800)
    assert content(facets.columns()) == truth(writing)
    facets.save(closing=True)
    assert len(caplog.records) == 1


def test_small_catalogs_have_no_file(tmp_path: Path) -> None:
    with closing(Catalog.open_for_writing(plant(tmp_path, TAGS, made_up(10)))) as opened:
        facets = Facets(opened)
        assert content(facets.columns()) == truth(opened)
        facets.save(closing=True)
        facets.rebuild()
        assert not facets.path.exists()
        assert facets.fault() is None


def test_a_reader_takes_over_the_file_that_a_writer_has_made(
    catalog: Path, writing: Catalog
) -> None:
    with closing(Catalog.open_for_reading(catalog)) as opened:
        reader = Facets(opened)
        assert len(reader.columns().delta) == 0
        for track in range(1, 6):
            retag(writing, track, year=1700 + track)
        Facets(writing).save(closing=True)
        reader.columns()
        retag(writing, 6, year=1706)
        columns = reader.columns()
        assert len(columns.delta) == 1
        assert content(columns) == truth(opened)


def test_an_empty_catalog_has_no_facets(tmp_path: Path) -> None:
    with closing(Catalog.open_for_writing(tmp_path / "catalog.db", create=True)) as opened:
        facets = Facets(opened)
        assert len(facets.columns()) == 0
        facets.save(closing=True)
        facets.rebuild()
        assert build_facets(opened, facets.path) is None


def test_the_strongest_of_a_file_are_counted_as_they_are_compared(writing: Catalog) -> None:
    facets = Facets(writing)
    facets.columns()
    remove(writing, 5)
    retag(writing, 9, year=1800)
    columns = facets.columns()
    assert len(columns.delta) == 1
    mask = columns.mask(lambda part: part.column("year") > 1960)
    for tag, count in enumerate(columns.count_strongest(mask).tolist()):
        rows = columns.rows_of(columns.ids(mask))
        ranks = columns.at(rows, lambda part, at, tag=tag: part.activations(tag)[at])  # type: ignore[misc]  # bound at once
        assert count == np.count_nonzero(ranks >= columns.strongest(tag))
    every = columns.count_strongest(columns.alive)
    assert (abs(every - 6) <= 2).all()


def test_drafts_of_processes_that_have_ended_are_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left = tmp_path / f"catalog.facets.{ended.pid}.draft.draft"
    being_written = tmp_path / f"catalog.facets.{os.getpid()}.draft"
    for draft in (left, being_written):
        draft.write_bytes(b"half")
    remove_drafts(tmp_path / "catalog.facets")
    assert list(tmp_path.iterdir()) == [being_written]
