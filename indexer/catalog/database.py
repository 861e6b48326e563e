"""What a catalog needs of the database that holds it, whichever that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Select

Rows: TypeAlias = "Select[*tuple[Any, ...]]"
"""A query, whatever its columns."""

BLOCK = 10_000
"""Rows read at once."""


@dataclass(frozen=True, eq=False)
class TitleMatches:
    """Ids, ascending, of the tracks whose names fit a text; status is not looked at.

    Attributes
    ----------
    starts : int64
        Title or artist begins with the text.
    words : int64
        Each word of it begins a word of title, artist or album.
    parts : int64
        Title, artist or album hold each word of it.
    """

    starts: NDArray[np.int64]
    words: NDArray[np.int64]
    parts: NDArray[np.int64]


class Database(Protocol):
    """An open database with the tables of `indexer.catalog.schema`.

    Attributes
    ----------
    address : str
        What opens it again.
    name : str
        The address as people are shown it: without a password.
    path : Path
        The catalog's file, or the one it would have: what is kept of a catalog lies beside it.
    seen_from : str
        The machine whose paths this process sees; empty where a catalog is used by one at a time.
    """

    address: str
    name: str
    path: Path
    seen_from: str

    @property
    def writable(self) -> bool:
        """Whether it was opened for writing."""

    def close(self) -> None:
        """Close all connections and let go of all locks."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees one state of the catalog."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction: all of it on disk afterwards, or none of it."""

    def writing_beside(self) -> AbstractContextManager[Connection]:
        """A short transaction between those of the writer, in tables that it leaves alone.

        A catalog that was opened for reading has it, too.
        """

    def alone(self) -> AbstractContextManager[None]:
        """A context in which no other process may write.

        Raises
        ------
        CatalogLocked
            Another one has it open for writing.
        """

    def translating(self) -> AbstractContextManager[None]:
        """A context whose errors of the database become those of `indexer.errors`."""

    def version(self) -> int:
        """A number that changes whenever anything is written; takes microseconds.

        Raises
        ------
        CatalogError
            It is another database than the one that was opened.
        """

    def blocks(self, connection: Connection, statement: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Rows that a statement without values finds, in blocks; values are as stored."""

    def rows_of(
        self, query: Rows, column: Any, values: Sequence[int]
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Rows in which a column has one of some values, in blocks; values are as stored."""

    def rows_by_path(
        self, query: Rows, path: Any, within: Sequence[tuple[bytes, bytes]]
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Rows in the order of their paths, in blocks; values are as stored.

        Parameters
        ----------
        query : Select
            Its first column is the path.
        path : column
        within : sequence of (bytes, bytes)
            From a path on, up to before another one; ascending, none overlaps another.
        """

    def search_titles(self, text: str) -> TitleMatches:
        """The tracks that fit a text, which is not blank."""

    def named_tracks(self, text: str, *, most: int) -> list[int]:
        """Ids of the present tracks that a text names, the first ones, ascending.

        They are those whose title, or whose "artist - title", it is; else those whose artist,
        title or, where both are unknown, key hold each of its words.
        """

    def make_titles_again(self, connection: Connection) -> None:
        """Fill what titles are looked for in from the tracks."""

    def title_faults(self) -> list[str]:
        """Ways in which the search for titles differs from the tracks; empty where in none."""

    def damage(self) -> list[str]:
        """All damage that can be found, a line each; empty where there is none."""
