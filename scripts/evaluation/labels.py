"""What is known of tracks: from a catalog's tags, or from tables with columns like those."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.errors import QueryError
from indexer.filesystem import display_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from indexer.catalog.records import Track

KINDS = ("genre", "artist", "album", "group")
"""Labels in the order of the report; `group` is any other column of what belongs together."""
PATH, PLAYS = "path", "plays"


@dataclass(frozen=True)
class Labels:
    """Labels of some tracks; "" where there is none.

    Attributes
    ----------
    of : dict of str to list of str
        By kind; kinds without any label, or with one for all, left out.
    plays : list of float or None
        How often each was played; None where no table says so.
    """

    of: dict[str, list[str]]
    plays: list[float] | None

    def at(self, rows: Sequence[int]) -> Labels:
        """The labels of some of the tracks."""
        return Labels(
            _present({kind: [of[row] for row in rows] for kind, of in self.of.items()}),
            None if self.plays is None else [self.plays[row] for row in rows],
        )


def from_tags(tracks: Sequence[Track]) -> Labels:
    """Genre, artist and album as the files say, case folded."""
    artists = [_folded(track.artist or track.album_artist) for track in tracks]
    owners = [_folded(track.album_artist or track.artist) for track in tracks]
    albums = [_folded(track.album) for track in tracks]
    return Labels(
        _present(
            {
                "genre": [_folded(track.genre) for track in tracks],
                "artist": artists,
                # Many albums are called "Greatest Hits".
                "album": [a and f"{o}\n{a}" for o, a in zip(owners, albums, strict=True)],
            }
        ),
        None,
    )


def from_tables(
    paths: Sequence[bytes], tables: Sequence[Path], *, where: Sequence[tuple[str, str]] = ()
) -> tuple[list[int], Labels]:
    """Labels of the tracks whose path ends with one that a table names.

    Parameters
    ----------
    paths : sequence of bytes
        Of the catalog's tracks.
    tables : sequence of Path
        CSV with a column "path" and some of `KINDS` and "plays".
    where : pairs of column and value
        Rows to take.

    Returns
    -------
    rows : list of int
        Of the tracks that are named.
    labels : Labels
        Of these.

    Raises
    ------
    QueryError
        A table cannot be read or names no paths, or none of its paths is in the catalog.
    """
    rows = {
        row[PATH].strip("/"): row
        for table in tables
        for row in read_table(table)
        if all(row.get(column) == value for column, value in where)
    }
    names = ", ".join(table.name for table in tables)
    if not rows:
        asked = " and ".join(f"{column}={value}" for column, value in where)
        raise QueryError(f"no row of {names} has {asked or 'a path'}")
    found = {number: row for number, path in enumerate(paths) if (row := _row_of(path, rows))}
    if not found:
        raise QueryError(
            f"none of the {len(rows)} paths that {names} names is the end of the path of a track "
            "in the catalog"
        )
    some = list(found.values())
    kinds = {kind: [_folded(row.get(kind)) for row in some] for kind in KINDS}
    plays = [_number(row.get(PLAYS)) for row in some]
    known = any(PLAYS in row for row in some)
    return list(found), Labels(_present(kinds), plays if known else None)


def read_table(table: Path) -> list[dict[str, str]]:
    """Rows of a CSV with a column "path".

    Raises
    ------
    QueryError
    """
    try:
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.DictReader(file, restval="")
            if PATH not in (reader.fieldnames or ()):
                raise QueryError(f'{table} has no column "{PATH}": name it in the first line')
            return [row for row in reader if row[PATH]]
    except (OSError, csv.Error) as error:
        raise QueryError(f"{table} cannot be read as a table: {error}") from error


def _row_of(path: bytes, rows: dict[str, dict[str, str]]) -> dict[str, str] | None:
    parts = display_path(path).strip("/").split("/")
    for start in range(len(parts)):
        found = rows.get("/".join(parts[start:]))
        if found is not None:
            return found
    return None


def _present(kinds: dict[str, list[str]]) -> dict[str, list[str]]:
    return {kind: labels for kind, labels in kinds.items() if any(labels) and len(set(labels)) > 1}


def _folded(text: str | None) -> str:
    return (text or "").strip().casefold()


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
