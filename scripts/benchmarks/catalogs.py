"""Made-up catalogs: a library of `benchmarks.made_up` with names, tags and descriptors, no sound.

    python -m benchmarks.catalogs CATALOG MADE_UP MUSIC SEED

writes the catalog of a library that `MadeUp.save` has written to the folder MADE_UP, with files
below the folder MUSIC that `write_files` makes.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import update

from benchmarks.made_up import GENRES_OF_STYLE, STYLES, MadeUp, made_up
from indexer.analysis.track_analysis import DEFAULT_WINDOWS
from indexer.catalog.schema import Base, CatalogRow, EmbeddingRow, RecordingRow, TrackRow
from indexer.catalog.status import TrackStatus
from indexer.catalog.writer import add_root, record_model
from indexer.features.key import KEYS
from indexer.library import Library
from indexer.models.registry import model_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from indexer.catalog.file_queries import SeenFile
    from indexer.catalog.records import StoredModel

ROOT = b"/music"
SIZE, MTIME_NS = 0, 1_700_000_000_000_000_000
"""Of files as catalogs know them."""
LATEST = 1_800_000_000.0
"""Unix time of the last track added."""
SPAN_S = 3e8
"""Tracks were added evenly over so many seconds."""
MOSTLY = 0.95
"""Share of tracks whose year, tempo or key is known."""
_BLOCK = 20_000
_WORDS = 4_000


def make_catalog(
    path: Path | str, count: int, *, seed: int, files: Sequence[SeenFile] | None = None
) -> MadeUp:
    """Make up a library and write its catalog: see `write_catalog`."""
    library = made_up(count, dim=model_info().dim, seed=seed)
    write_catalog(path, library, seed=seed, files=files)
    return library


def write_catalog(
    path: Path | str,
    library: MadeUp,
    *,
    seed: int,
    root: bytes = ROOT,
    files: Sequence[SeenFile] | None = None,
) -> None:
    """Write a catalog and its index: one present track for each row, with ids from 1 on.

    Parameters
    ----------
    path : Path or str
        A file, or the address of an empty database.
    root : bytes
        The folder of the files, which need not be there.
    files : sequence of SeenFile, optional
        As many as there are tracks, in place of files with made-up names.
    """
    with closing(Library.open_for_writing(path, create=True)) as opened:
        with opened.catalog.writing() as connection:
            model = record_model(connection, model_info(), windows=DEFAULT_WINDOWS)
            for folder in sorted({file.root for file in files} if files else {root}):
                add_root(connection, folder)
            numbers = {"change": 1, "facets_change": 1}
            known = {name: 1 for name in numbers if hasattr(CatalogRow, name)}
        names = Names(
            library.artist.max(initial=0) + 1, library.album.max(initial=0) + 1, seed=seed
        )
        for start in range(0, len(library), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(library)))
            block = _rows(library, rows, model, names, root, seed)
            if files is not None:
                for row, track in zip(rows.tolist(), block[TrackRow], strict=True):
                    file = files[row]
                    track |= {"path": file.path, "size": file.size, "mtime_ns": file.mtime_ns}
                    track["key"] = file.path.removeprefix(file.root + b"/").decode()
            with opened.catalog.writing() as connection:
                if start == 0:
                    connection.execute(update(CatalogRow).values(**known))
                for table, values in block.items():
                    _insert(connection, table, values)


class Names:
    """Names of artists, albums, titles and genres, made of made-up words of which some are common.

    Genres of several words are spelled in several ways.
    """

    def __init__(self, artists: int, albums: int, *, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        sounds = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "ei", "ou")]
        drawn = rng.choice(sounds, (_WORDS, 4))
        lengths = rng.integers(1, 5, _WORDS)
        self.words = ["".join(word[:n]) for word, n in zip(drawn, lengths, strict=True)]
        likely = 1 / np.arange(10, _WORDS + 10)
        self._likely = np.cumsum(likely / likely.sum())
        named = self.phrases(rng, STYLES * GENRES_OF_STYLE)
        # A number makes each of them another one.
        self.genres = [f"{name} {number}" for number, name in enumerate(named)]
        self.artists = self.phrases(rng, artists)
        self.albums = self.phrases(rng, albums)

    def phrases(self, rng: Generator, count: int, most: int = 3) -> list[str]:
        """Phrases of one to `most` words each."""
        drawn = np.searchsorted(self._likely, rng.random((count, most))).tolist()
        lengths = rng.integers(1, most + 1, count).tolist()
        return [
            " ".join(self.words[word] for word in words[:length]).title()
            for words, length in zip(drawn, lengths, strict=True)
        ]

    def spelled(self, genre: int, way: int) -> str:
        """One of four spellings of a genre, the first one the most frequent of ten ways."""
        name = self.genres[genre]
        if way >= 3:
            return name
        return (name.lower(), name.upper(), name.replace(" ", "-"))[way]


def _rows(
    library: MadeUp,
    rows: NDArray[np.int64],
    model: StoredModel,
    names: Names,
    root: bytes,
    seed: int,
) -> dict[type[Base], list[dict[str, Any]]]:
    """What the tables hold of a block of tracks."""
    rng = np.random.default_rng([seed, 3, int(rows[0])])
    count = len(rows)
    style = library.style[rows]
    seconds = np.exp(rng.normal(5.4, 0.35, count)).clip(20, 3600)
    tempo = np.exp(rng.normal(np.log(80 + style % 8 * 10), 0.15)).clip(40, 220).round(2)
    tempo[rng.random(count) > MOSTLY] = np.nan
    keys = rng.integers(0, len(KEYS), count)
    keyless = rng.random(count) > MOSTLY
    loudness = rng.normal(-12.0, 3.5, count).round(2)
    brightness = np.exp(rng.normal(7.0 + style % 10 / 10, 0.3)).round(1)
    recordings = np.where(library.same_recording[rows], library.original[rows], rows) + 1
    own = recordings == rows + 1
    activations = tag_activations(library, rows, len(model.tag_names), seed).astype("<f2")
    years = _years(library.artist[rows], rng)
    yearless = rng.random(count) > MOSTLY
    added = added_at(library, seed)[rows]
    titles = names.phrases(rng, count, 4)
    second = rng.random(count) < 0.2
    spellings = rng.integers(0, 10, count).tolist()
    tracks, made, embeddings = [], [], []
    for at, row in enumerate(rows.tolist()):
        number, artist, album = row + 1, int(library.artist[row]), int(library.album[row])
        artist_name = names.artists[artist]
        genre = int(library.genre[row])
        genres = (names.spelled(genre, spellings[at]),)
        if second[at]:
            within = genre % GENRES_OF_STYLE
            genres += (names.genres[genre - within + (within + 1) % GENRES_OF_STYLE],)
        title = titles[at] if library.original[row] == row else f"Copy of {library.original[row]}"
        key = f"{artist_name} {artist}/{album}/{number % 20 + 1:02} {title} {number}.mp3"
        tracks.append(
            {
                "id": number,
                "key": key,
                "key_given": False,
                "path": root + b"/" + key.encode(),
                "size": SIZE,
                "mtime_ns": MTIME_NS,
                "recording_id": int(recordings[at]),
                "status": TrackStatus.PRESENT.value,
                "change": 1,
                "facets_change": 1,
                "title": title,
                "artist": artist_name,
                "artists": json.dumps([artist_name]),
                "album": names.albums[album],
                "album_artist": None,
                "album_artists": "[]",
                "genre": "; ".join(genres),
                "genres": json.dumps(genres),
                "year": None if yearless[at] else int(years[at]),
                "track_number": number % 20 + 1,
                "musicbrainz_artist_ids": "[]",
                "musicbrainz_album_artist_ids": "[]",
                "has_cover": False,
                "added_at": float(added[at]),
            }
        )
        if not own[at]:
            continue
        made.append(
            {
                "id": number,
                "audio_hash": (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little") * 4,
                "duration_s": float(seconds[at]),
                "container": "mp3",
                "codec": "mp3",
                "sample_rate": 44_100,
                "channels": 2,
                "bit_rate": 192_000,
                "channel": None,
                "tempo_bpm": None if np.isnan(tempo[at]) else float(tempo[at]),
                "tempo_confidence": 0.8,
                "musical_key": None if keyless[at] else KEYS[keys[at]],
                "key_confidence": 0.8,
                "loudness_lufs": float(loudness[at]),
                "brightness_hz": float(brightness[at]),
            }
        )
        embeddings.append(
            {
                "recording_id": number,
                "model_id": model.id,
                "vector": library.vectors[row].astype("<f2").tobytes(),
                "activations": activations[at].tobytes(),
                "windows": DEFAULT_WINDOWS,
            }
        )
    return {RecordingRow: made, EmbeddingRow: embeddings, TrackRow: tracks}


def added_at(library: MadeUp, seed: int) -> NDArray[np.float64]:
    """Unix times (n,) at which tracks came, evenly drawn and whatever they sound like."""
    return LATEST - SPAN_S * np.random.default_rng([seed, 4]).random(len(library))


def tag_activations(
    library: MadeUp, rows: NDArray[np.int64], tags: int, seed: int
) -> NDArray[np.float64]:
    """Probabilities (rows, tags): of each tag the higher, the nearer to some one track.

    Their means are from some 0.001 to 0.3: half of those of the default model in real music are
    below 0.008.
    """
    rng = np.random.default_rng([seed, 5])
    sample = library.vectors[:: max(1, len(library) // 2_000)].astype(np.float32)
    middle = sample.mean(0)
    directions = (sample[rng.integers(0, len(sample), tags)] - middle).T
    deviations = ((sample - middle) @ directions).std(0)
    likely = np.exp(rng.uniform(np.log(0.001), np.log(0.1), tags))
    projected = (library.vectors[rows].astype(np.float32) - middle) @ directions
    return 1 / (1 + np.exp(-(1.5 * projected / deviations + np.log(likely / (1 - likely)))))


def _years(artist: NDArray[np.int32], rng: Generator) -> NDArray[np.int64]:
    """Years around one of each artist's own, more of them late."""
    middle = 2020 - (artist.astype(np.int64) * 7919 % 1000) ** 2 // 20_000
    return np.minimum(2025, middle + rng.integers(-5, 6, len(artist)))


def _insert(connection: Connection, table: type[Base], rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows straight through the driver: a million would take SQLAlchemy minutes."""
    columns = [column.name for column in table.__table__.columns if column.name != "digest"]
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(columns))
    query = f"INSERT INTO {table.__tablename__} ({', '.join(columns)}, digest) VALUES ({marks}, 0)"  # noqa: S608 - own names
    values = [[row.get(name) for name in columns] for row in rows]
    connection.connection.cursor().executemany(query, values)


def write_files(catalog: Path) -> None:
    """Make the files that a catalog knows: empty, all of one time."""
    with closing(sqlite3.connect(catalog)) as connection:
        folders = set()
        for (path,) in connection.execute("SELECT path FROM tracks ORDER BY id"):
            folder = Path(os.fsdecode(path)).parent
            if folder not in folders:
                folders.add(folder)
                folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            os.utime(path, ns=(MTIME_NS, MTIME_NS))


def _main(path: str, folder: str, music: str, seed: str) -> None:
    root = os.fsencode(music)
    write_catalog(Path(path), MadeUp.load(Path(folder)), seed=int(seed), root=root)


if __name__ == "__main__":
    _main(*sys.argv[1:])
