"""The caller's names of items and users, and the rows they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import BadFactors, InvalidOption, QueryError, UnknownTrack, UnknownUser
from recommender.cold_start.validation import list_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Key = int | str


class Ids:
    """Names for rows 0, 1, 2 ...; without names of their own, rows are called by number.

    Parameters
    ----------
    what : str
        "item", "user" or "track", for messages.
    keys : sequence of int or str, optional
        Distinct, all of one type.
    count : int
        Rows that there are.

    Raises
    ------
    BadFactors
        Keys are not as many as rows, are there twice, or of another or of several types.
    """

    def __init__(
        self, what: str, keys: Sequence[Key] | NDArray[Any] | None, count: int, *, argument: str
    ) -> None:
        self.what = what
        self.own = keys is not None
        self._keys: list[Key] = []
        self._rows: dict[Key, int] = {}
        self.kind: type = int
        if keys is None:
            self.add(range(count), argument=argument)
            return
        given = check_keys(keys, argument=argument)
        if len(given) != count:
            raise BadFactors(f"{argument} names {len(given)} {what}s of {count}: name each once")
        self.add(given, argument=argument)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, keys: Iterable[Any], *, argument: str) -> None:
        """Name further rows; all of them or, where a key is refused, none.

        Raises
        ------
        BadFactors
        """
        new = self.check_new(keys, argument=argument)
        self.kind = type(new[0]) if new else self.kind
        self._rows.update(zip(new, range(len(self._keys), len(self._keys) + len(new)), strict=True))
        self._keys += new
        self._array: NDArray[Any] | None = None

    def check_new(self, keys: Iterable[Any], *, argument: str) -> list[Key]:
        """The keys as plain int or str, refused as `add` would.

        Raises
        ------
        BadFactors
        """
        new = [_plain(key) for key in keys]
        kind = self.kind if self._keys or not new else type(new[0])
        wrong = [row for row, key in enumerate(new) if type(key) is not kind]
        if wrong or kind not in (int, str):
            expected = kind.__name__ if kind in (int, str) else "int or str"
            raise BadFactors(
                f"{argument} must be {expected}: {new[wrong[0] if wrong else 0]!r} is not, in row "
                f"{list_some(wrong or [0])}"
            )
        if self.what == "item" and -1 in new:
            raise BadFactors(
                f"{argument} has -1 in row {new.index(-1)}: it means no item in answers"
            )
        if kind is int and self.what != "track":
            huge = [row for row, key in enumerate(new) if not -(2**63) <= int(key) < 2**63]
            if huge:
                raise BadFactors(
                    f"{argument} has a number of more than 64 bits in row {list_some(huge)}: "
                    "use text"
                )
        first: dict[Key, int] = {}
        twice = [
            row
            for row, key in enumerate(new)
            if key in self._rows or first.setdefault(key, row) != row
        ]
        if twice:
            raise BadFactors(
                f"{argument} has a key twice: {new[twice[0]]!r}, in row {list_some(twice)}; a key "
                f"names one {self.what}"
            )
        if not self.own and new != list(range(len(self), len(self) + len(new))):
            raise BadFactors(
                f"{argument} must continue with {len(self)}: this recommender numbers its "
                f"{self.what}s"
            )
        return new

    def rows(self, ids: Any, *, argument: str) -> NDArray[np.int64]:
        """The rows of ids.

        Raises
        ------
        UnknownTrack, UnknownUser
            Some are not known; the message lists up to five.
        InvalidOption
            Ids of another type.
        """
        keys = list_keys(ids)
        found = self.known_rows(keys, argument=argument)
        if (found < 0).any():
            unknown = [key for key, row in zip(keys, found, strict=True) if row < 0]
            error: type[QueryError] = UnknownTrack if self.what == "item" else UnknownUser
            raise error(
                f"{argument} names no {self.what} that exists: {list_some(map(repr, unknown))}"
            )
        return found

    def known_rows(self, ids: Any, *, argument: str) -> NDArray[np.int64]:
        """The rows of ids, -1 for unknown ones.

        Raises
        ------
        InvalidOption
        """
        keys = list_keys(ids)
        for key in keys:
            if type(key) is not self.kind:
                raise InvalidOption(
                    f"{argument} must be {self.kind.__name__}, as the keys of this recommender's "
                    f"{self.what}s: {key!r} is {type(key).__name__}"
                )
        return np.array([self._rows.get(key, -1) for key in keys], dtype=np.int64)

    def names(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Keys of rows, as int64 or objects; -1 or None for the row -1."""
        if not self.own:
            return rows
        if self._array is None:
            nothing: Key | None = -1 if self.kind is int else None
            dtype = np.int64 if self.kind is int else object
            # Last, so that row -1 finds it.
            self._array = np.array([*self._keys, nothing], dtype=dtype)
        return self._array[rows]


def is_single(value: Any) -> bool:
    """Whether a value is one id rather than several."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0
    return isinstance(value, (str, bytes)) or not isinstance(value, Iterable)


def list_keys(ids: Any) -> list[Any]:
    """One id or several as a list."""
    if isinstance(ids, np.ndarray):
        return list(ids.ravel().tolist())
    return [_plain(ids)] if is_single(ids) else [_plain(key) for key in ids]


def check_keys(keys: Any, *, argument: str) -> list[Any]:
    """The keys as a list of plain values, one for each row in order.

    Raises
    ------
    BadFactors
        They are no sequence.
    """
    if is_single(keys) or isinstance(keys, (set, frozenset)):
        raise BadFactors(
            f"{argument} must be a sequence of keys, one for each row in order, not a "
            f"{type(keys).__name__}"
        )
    return [_plain(key) for key in keys]


def _plain(key: Any) -> Any:
    """NumPy integers and strings as Python's."""
    if isinstance(key, np.generic):
        return key.item()
    return key
