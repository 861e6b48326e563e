"""The caller's names of items and users, and the rows they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import BadFactors, InvalidOption, UnknownTrack, UnknownUser
from recommender.cold_start.growing_rows import GrowingRows
from recommender.cold_start.validation import list_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Key = int | str

INT32 = np.iinfo(np.int32)


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
        self.kind: type = int
        self._rows: dict[Key, int] = {}
        self._names = GrowingRows(np.empty(0, np.int32))
        self._count = 0
        self._removed: set[int] = set()
        """Rows without a name."""
        if keys is None:
            self._count = count
            return
        given = check_keys(keys, argument=argument)
        if len(given) != count:
            raise BadFactors(f"{argument} names {len(given)} {what}s of {count}: name each once")
        self.add(given, argument=argument)

    def __len__(self) -> int:
        return self._count

    def add(self, keys: Iterable[Any], *, argument: str) -> None:
        """Name further rows; all of them or, where a key is refused, none.

        Raises
        ------
        BadFactors
        """
        new = self.check_new(keys, argument=argument)
        if not new:
            return
        if self.own:
            self.kind = type(new[0])
            self._append_names(new)
            self._rows.update(zip(new, range(len(self), len(self) + len(new)), strict=True))
        self._count += len(new)

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Forget the names of some rows, which stay; another row may get such a name."""
        self._removed.update(rows.tolist())
        if self.own:
            for key in self.names(rows).tolist():
                del self._rows[key]

    def named(self) -> NDArray[np.int64]:
        """Rows that have a name, in order."""
        return np.setdiff1d(np.arange(len(self)), np.array(sorted(self._removed), np.int64))

    def __getstate__(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "count": self._count,
            "names": self._names.rows if self.own else None,
            "removed": np.array(sorted(self._removed), np.int64),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        names, count = state["names"], state["count"]
        self.what, self.own, self._count = state["what"], names is not None, count
        self._removed = set(state["removed"].tolist())
        self._rows, self.kind = {}, int
        self._names = GrowingRows(np.empty(0, np.int32) if names is None else names.copy())
        if names is not None and count:
            self.kind = str if names.dtype == object else int
            rows = self.named()
            self._rows = dict(zip(names[rows].tolist(), rows.tolist(), strict=True))

    def _append_names(self, new: list[Key]) -> None:
        if self.kind is str or any(abs(key) >> 63 for key in new if isinstance(key, int)):
            names = np.empty(len(new), object)
            names[:] = new
        else:
            names = np.array(new, np.int64)
            if ((names >= INT32.min) & (names <= INT32.max)).all():
                names = names.astype(np.int32)
        if names.dtype != self._names.rows.dtype and names.dtype != np.int32:
            self._names = GrowingRows(self._names.rows.astype(names.dtype))
        self._names.append(names.astype(self._names.rows.dtype, copy=False))

    def check_new(self, keys: Iterable[Any], *, argument: str) -> list[Key]:
        """The keys as plain int or str, refused as `add` would.

        Raises
        ------
        BadFactors
        """
        new = [_plain(key) for key in keys]
        kind = self.kind
        if not len(self):
            kind = next((type(key) for key in new if type(key) in (int, str)), type(None))
        wrong = [row for row, key in enumerate(new) if type(key) is not kind or kind is type(None)]
        if wrong:
            expected = kind.__name__ if kind in (int, str) else "int or str"
            raise BadFactors(
                f"{argument} must be {expected}: {new[wrong[0]]!r} is not, in row "
                f"{list_some(wrong)}"
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
            if self._exists(key) or first.setdefault(key, row) != row
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
            raise self.unknown(
                f"{argument} names no {self.what} that exists: {list_some(map(repr, unknown))}"
            )
        return found

    @property
    def unknown(self) -> type[UnknownTrack | UnknownUser]:
        """The error for ids that are not known."""
        return UnknownUser if self.what == "user" else UnknownTrack

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
        if self.own:
            return np.array([self._rows.get(key, -1) for key in keys], dtype=np.int64)
        return np.array([key if self._exists(key) else -1 for key in keys], dtype=np.int64)

    def _exists(self, key: Key) -> bool:
        if self.own:
            return key in self._rows
        return 0 <= int(key) < self._count and key not in self._removed

    def names(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Keys of rows, as int32, as int64 where there are larger ones, or as objects.

        The row -1 has the key -1 or None.
        """
        if not self.own:
            return rows.astype(np.int32)
        known = rows >= 0
        names = self._names.rows
        found = np.full(rows.shape, None if self.kind is str else -1, names.dtype)
        found[known] = names[rows[known]]
        return found


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
