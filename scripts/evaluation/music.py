"""The music that models are compared on, and fitted to: tables in a folder, beside the files.

Development sets: `mood4q.csv` (genre, quadrant of valence and arousal), `ten_genres.csv`, the split
`eval` of `clips.csv` (Emotify's songs) and of `debian_tracks.csv` (soundtracks). What a model is
fitted to is the split `train` of the last two; no artist is in both splits.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

from evaluation.choice import Task
from indexer.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Row = Mapping[str, str]

SUFFIXES = frozenset({".mp3", ".ogg", ".opus", ".flac", ".wav", ".m4a", ".aac", ".wma", ".oga"})

SOUNDTRACKS = "debian_tracks.csv"
TASKS = (
    ("songs: genre", "mood4q.csv", "genre", 5),
    ("songs: mood", "mood4q.csv", "quadrant", 5),
    ("ten genres", "ten_genres.csv", "genre", 4),
    ("Emotify: genre", "clips.csv", "genre", 5),
    ("soundtracks: group", SOUNDTRACKS, "group", 5),
)
"""Name, table, column of the label and k of P@k of each question."""


def read_development(music: Path, corpus: Path | None) -> tuple[list[Path], list[Task]]:
    """Files of the development sets that are there, and the questions asked of them.

    Parameters
    ----------
    music : Path
        Folder with the tables and the files that they name.
    corpus : Path or None
        Folder with the files of `debian_tracks.csv`; None leaves them out.

    Raises
    ------
    QueryError
        None of the tables is there, or one lacks a column.
    """
    paths: list[Path] = []
    tasks = []
    rows_of: dict[str, list[tuple[int, Row]]] = {}
    for name, table, column, k in TASKS:
        if table not in rows_of:
            rows_of[table] = []
            for path, row in _rows(music, corpus, table):
                if row.get("split", "eval") == "eval" and _is_measured(table, row):
                    rows_of[table].append((len(paths), row))
                    paths.append(path)
        try:
            labelled = [(number, row) for number, row in rows_of[table] if row[column]]
            artists = tuple(row["artist"].casefold() for _, row in labelled)
        except KeyError as error:
            raise QueryError(f"{table} in {music} has no column {error}") from error
        if labelled:
            numbers = np.array([number for number, _ in labelled], dtype=np.int64)
            labels = tuple(row[column] for _, row in labelled)
            tasks.append(Task(name, numbers, labels, artists, k))
    if not tasks:
        tables = ", ".join(dict.fromkeys(table for _, table, *_ in TASKS))
        raise QueryError(f"{music} has none of the tables {tables}: name the folder that has them")
    return paths, tasks


def read_training(music: Path, corpus: Path | None) -> list[Path]:
    """Files of the splits `train`, those whose licence allows no derivatives left out.

    Raises
    ------
    QueryError
        There are none.
    """
    paths = [
        path
        for table in ("clips.csv", SOUNDTRACKS)
        for path, row in _rows(music, corpus, table)
        if row["split"] == "train" and "nd" not in row.get("licence", "").casefold().split("-")
    ]
    if not paths:
        raise QueryError(f"{music} has no table with a split `train`")
    return paths


def _is_measured(table: str, row: Row) -> bool:
    """Whether the labels of a row are solid: of clips, those of Emotify."""
    return table != "clips.csv" or row["group"] == "emotify"


def _rows(music: Path, corpus: Path | None, table: str) -> Iterator[tuple[Path, Row]]:
    folder = corpus if table == SOUNDTRACKS else music
    if folder is None or not (music / table).exists():
        return
    with (music / table).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (folder / row["path"]).exists():
                yield folder / row["path"], row
