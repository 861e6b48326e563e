"""Labelled songs from folders, tables, or the tags of files.

Folders are GTZAN's layout, one a genre (Tzanetakis & Cook 2002). Tables are CSV files with a header
line: one column for the path and one for the genre, or `tracks.csv` of FMA (Defferrard et al.,
ISMIR 2017) as it is published, with three header lines and numbers for paths.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from indexer.audio.formats import AUDIO_SUFFIXES
from indexer.audio.tags import Tags
from indexer.errors import AnalysisError, BadLabels
from recommender.retrieval.names import genre_key, split_genres

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

PATH_COLUMNS = ("path", "file", "filename", "track", "key")
GENRE_COLUMNS = ("genre", "genres", "style", "label", "class", "track.genre_top")
ARTIST_COLUMNS = ("artist", "performer", "artist.name")
"""Names of a table's columns in lower case; the first that is there counts."""


@dataclass(frozen=True)
class Song:
    """A file with its genres, the first one first; `artist` "" is an artist of its own."""

    path: Path
    genres: tuple[str, ...]
    artist: str


def read_labels(path: Path, *, where: Sequence[str] = ()) -> list[Song]:
    """Songs of a labelled folder, or of a table with paths relative to its own folder.

    Parameters
    ----------
    where : sequence of str
        Rows of the table to take, each as COLUMN=VALUE.

    Raises
    ------
    BadLabels
    """
    if not path.is_dir():
        return from_table(path, path.parent, where=where)
    if where:
        raise BadLabels(f"{path} is a folder and has no columns to choose rows by")
    return from_folders(path)


def from_folders(folder: Path) -> list[Song]:
    """Songs of a folder that has a subfolder for each genre; songs beside those are left out."""
    paths = [path for path in _files(folder) if path.parent != folder]
    return [
        Song(path, (path.relative_to(folder).parts[0],), tags.artist or "")
        for path, tags in zip(paths, _read_tags(paths), strict=True)
    ]


def from_tags(folder: Path) -> list[Song]:
    """Songs by the genre tags of the files in a folder; files without one are left out."""
    paths = _files(folder)
    return _merge_song_genres(
        [
            Song(path, genres, tags.artist or "")
            for path, tags in zip(paths, _read_tags(paths), strict=True)
            if (genres := split_genres(tags.genre))
        ]
    )


def from_table(table: Path, folder: Path, *, where: Sequence[str] = ()) -> list[Song]:
    """Songs of the rows of a CSV that name a genre.

    Parameters
    ----------
    folder : Path
        Folder that the paths are relative to; FMA's are 000/000002.mp3 for track 2.
    where : sequence of str
        Rows to take, each as COLUMN=VALUE; FMA's columns are joined by a point: set.subset=small.

    Raises
    ------
    BadLabels
        The table cannot be read, or a column is missing.
    """
    rows = _rows(table)
    header, second = next(rows, []), next(rows, [])
    if "genre_top" in second:
        # Two lines of names, then one that says track_id.
        header = ["path", *map(".".join, zip(header[1:], second[1:], strict=False))]
        numbered = ((row[0].zfill(6), row[1:]) for row in rows if row and row[0].isdigit())
        rows = ([f"{number[:3]}/{number}.mp3", *rest] for number, rest in numbered)
    else:
        rows = chain([second], rows)
    path = _column(table, header, PATH_COLUMNS)
    genre = _column(table, header, GENRE_COLUMNS)
    artist = _column(table, header, ARTIST_COLUMNS, required=False)
    pairs = [condition.partition("=") for condition in where]
    wanted = [(_column(table, header, (name.lower(),)), value) for name, _, value in pairs]
    songs = [
        Song(folder / row[path], genres, row[artist].strip() if artist >= 0 else "")
        for row in rows
        if len(row) == len(header)
        and row[path]
        and all(row[column] == value for column, value in wanted)
        and (genres := split_genres(row[genre]))
    ]
    return _merge_song_genres(songs)


def genres_of(tags: Iterable[str | None]) -> list[tuple[str, ...]]:
    """Genres that each of some tags names; equal tags share a tuple."""
    known: dict[str | None, tuple[str, ...]] = {}
    return [
        known[tag] if tag in known else known.setdefault(tag, split_genres(tag)) for tag in tags
    ]


def merge_spellings(labels: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Genres of tracks with each genre in its commonest spelling; of equals the first.

    Genres that always come together, as in "Hip-Hop/Rap", are one genre under both names.
    """
    spellings: dict[str, Counter[str]] = {}
    lists: dict[str, list[int]] = {}
    # There are far fewer lists of genres than tracks.
    counts = Counter(tuple(genres) for genres in labels)
    for number, (genres, count) in enumerate(counts.items()):
        for genre in genres:
            key = genre_key(genre)
            spellings.setdefault(key, Counter())[genre] += count
            lists.setdefault(key, []).append(number)
    together: dict[tuple[int, ...], list[str]] = {}
    for key, where in lists.items():
        together.setdefault(tuple(where), []).append(key)
    names = {
        key: "/".join(spellings[one].most_common(1)[0][0] for one in keys)
        for keys in together.values()
        for key in keys
    }
    merged = {
        genres: tuple(dict.fromkeys(names[genre_key(genre)] for genre in genres))
        for genres in counts
    }
    return [merged[tuple(genres)] for genres in labels]


def _merge_song_genres(songs: Sequence[Song]) -> list[Song]:
    labels = merge_spellings([song.genres for song in songs])
    return [replace(song, genres=genres) for song, genres in zip(songs, labels, strict=True)]


def _read_tags(paths: Sequence[Path]) -> list[Tags]:
    """Tags of files, read in a worker; empty ones where a file costs the worker its life."""
    from indexer.analysis.pools import read_file_tags, tags_pool

    with tags_pool() as pool:
        outcomes = pool.map(read_file_tags, [os.fsencode(path) for path in paths])
        return [Tags() if isinstance(tags, AnalysisError) else tags for tags in outcomes]


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if os.fsencode(path.suffix[1:].lower()) in AUDIO_SUFFIXES and path.is_file()
    )


def _rows(table: Path) -> Iterator[list[str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            yield from csv.reader(file, delimiter=delimiter)
    except OSError as error:
        raise BadLabels(f"{table} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadLabels(f"{table} is not UTF-8 text: save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise BadLabels(f"{table} is not a CSV file ({error}): save it as CSV in UTF-8") from error


def _column(
    table: Path, header: Sequence[str], names: Sequence[str], *, required: bool = True
) -> int:
    lower = [name.strip().lower() for name in header]
    for name in names:
        if name in lower:
            return lower.index(name)
    if not required:
        return -1
    columns = ", ".join(header[:8]) or "nothing"
    raise BadLabels(f"{table} has no column {' or '.join(names)}: its first line has {columns}")
