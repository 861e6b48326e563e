"""Columns of all present tracks of one state of a catalog: a large part and a small one beside it.

Rows are those of the base, followed by those of the delta; what has changed or gone since the base
was made is masked in it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from indexer.facets.merging import renumber_keys
from indexer.facets.part import RANKS, STRONGEST, pack_bits, rank_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from indexer.facets.part import Part

Value = TypeVar("Value", bound=np.generic)

ACTIVATIONS: NDArray[np.float32] = np.append(
    np.float32(0.0), np.arange(RANKS - 1, dtype=np.uint16).view(np.float16).astype(np.float32)
)
"""The probability that each rank stands for; 0 where it is damaged."""


class Columns:
    """Columns of one state of a catalog; never changes.

    Attributes
    ----------
    base, delta : Part
    gone : int64, ascending
        Rows of the base that are no more, or are in the delta.
    tag_names : tuple of str
        Names of the rows of activations.
    change : int
        The catalog's number of the last change of facets that they have.
    """

    def __init__(
        self,
        base: Part,
        delta: Part,
        gone: NDArray[np.int64],
        *,
        tag_names: tuple[str, ...],
        change: int,
    ) -> None:
        self.base = base
        self.delta = delta
        self.gone = gone
        self.tag_names = tag_names
        self.change = change
        self._activation_at: dict[tuple[int, float], int] = {}

    def __len__(self) -> int:
        return self.size - len(self.gone)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Base and delta."""
        return self.base, self.delta

    @property
    def size(self) -> int:
        """How many rows there are, masked ones too."""
        return len(self.base) + len(self.delta)

    def each(self, values: Callable[[Part], NDArray[Value]]) -> NDArray[Value]:
        """Values (size,) that are computed for each part by itself."""
        if not len(self.delta):
            return values(self.base)
        return np.concatenate([values(part) for part in self.parts])

    def mask(self, wanted: Callable[[Part], NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """Which rows (size,) are there and wanted."""
        found = self.each(wanted)
        if len(self.gone):
            found = found.copy()
            found[self.gone] = False
        return found

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which rows (size,) are there."""
        return self.mask(lambda part: np.ones(len(part), np.bool_))

    def ids(self, mask: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Ids of the rows in a mask (size,), ascending; by default of all that are there."""
        if mask is None:
            mask = self.alive
        split = len(self.base)
        found = self.base.column("ids")[mask[:split]]
        if not len(self.delta):
            return found
        both: NDArray[np.int64] = np.concatenate([found, self.delta.column("ids")[mask[split:]]])
        both.sort()
        return both

    def with_ids(
        self, mask: NDArray[np.bool_], values: NDArray[Value]
    ) -> tuple[NDArray[np.int64], NDArray[Value]]:
        """Ids of the rows in a mask (size,), ascending, and their own of some values (size,)."""
        split = len(self.base)
        kept = values[mask]
        ids: NDArray[np.int64] = self.base.column("ids")[mask[:split]]
        if not len(self.delta):
            return ids, kept
        ids = np.concatenate([ids, self.delta.column("ids")[mask[split:]]])
        by_id = np.argsort(ids, kind="stable")
        return ids[by_id], kept[by_id]

    def at(
        self, rows: NDArray[np.int64], values: Callable[[Part, NDArray[np.int64]], NDArray[Value]]
    ) -> NDArray[Value]:
        """Values of some rows, by a function of a part and of rows in it."""
        split = len(self.base)
        if not len(self.delta):
            return values(self.base, rows)
        in_base = rows < split
        new = values(self.delta, rows[~in_base] - split)
        found: NDArray[Value] = np.empty(len(rows), new.dtype)
        found[in_base] = values(self.base, rows[in_base])
        found[~in_base] = new
        return found

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of tracks by their ids; -1 of those that are not there."""
        rows = search(self.base.column("ids"), ids)
        if len(self.gone):
            rows[np.isin(rows, self.gone)] = -1
        if len(self.delta):
            new = search(self.delta.column("ids"), ids)
            rows = np.where(new >= 0, new + len(self.base), rows)
        return rows

    def tag_counts(self, tag: int) -> NDArray[np.int64]:
        """How many tracks have each activation of a tag, by its rank, (RANKS,)."""
        counts = self.base.tag_counts(tag)
        if len(self.gone):
            gone = self.base.activations(tag)[self.gone]
            counts = counts - np.bincount(gone, minlength=RANKS)
        return counts + self.delta.tag_counts(tag) if len(self.delta) else counts

    def activation_at(self, tag: int, share: float) -> int:
        """The least rank of a tag's activations above or at a share of all tracks; kept.

        As `np.quantile` with the method "higher" has it.
        """
        if (tag, share) not in self._activation_at:
            self._activation_at[tag, share] = rank_at(self.tag_counts(tag), share)
        return self._activation_at[tag, share]

    def strongest(self, tag: int) -> int:
        """The least rank of a tag's activations among the strongest tenth of the tracks.

        Where there is a file, of those in it: hardly anything is different since.
        """
        if "levels" in self.base.arrays:
            return int(self.base.column("levels")[tag])
        return self.activation_at(tag, 1 - STRONGEST)

    def count_strongest(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of the rows in a mask (size,) are among the strongest of each tag, (tags,)."""
        split = len(self.base)
        counts = np.zeros(len(self.tag_names), np.int64)
        for part, there in ((self.base, mask[:split]), (self.delta, mask[split:])):
            wanted = pack_bits(there)
            for tag in range(len(counts)):
                if part is self.base and "strongest" in part.arrays:
                    reached = part.strongest(tag)
                else:
                    reached = pack_bits(part.activations(tag) >= self.strongest(tag))
                counts[tag] += _count_bits(reached & wanted)
        return counts

    @cached_property
    def mean_activations(self) -> NDArray[np.float32]:
        """The mean activation of each tag, (tags,)."""
        values = ACTIVATIONS.astype(np.float64)
        tags = range(len(self.tag_names))
        # No product of matrices: threads of its own would wait for each other.
        total = np.array([(self.tag_counts(tag) * values).sum() for tag in tags])
        return (total / max(1, len(self))).astype(np.float32)

    @cached_property
    def order(self) -> NDArray[np.integer]:
        """Rows by artist, album, number and title; masked ones among them."""
        base = self.base.column("order")
        if not len(self.delta):
            return base
        artists, albums = (self._numbers_in_base(name) for name in ("artists", "album"))
        # In the delta's own order: of two names that lie between the same names of the base, the
        # keys say nothing.
        keys = renumber_keys(self.delta, slice(None), artists, albums)
        places = np.searchsorted(self.base.column("sort_key"), keys)
        return np.insert(base, places, len(self.base) + self.delta.column("order"))

    def _numbers_in_base(self, name: str) -> NDArray[np.int64]:
        """For each text of the delta, and for none, its number in the base, for sort keys."""
        texts = self.base.texts(name)
        found = [texts.insertion(text) for text in self.delta.texts(name)]
        return np.array([*(2 * place + is_there for place, is_there in found), -1], np.int64)


def search(ascending: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where values are among others; -1 where they are not."""
    rows = np.searchsorted(ascending, wanted)
    if not len(ascending):
        return np.full(len(wanted), -1, np.int64)
    last = np.minimum(rows, len(ascending) - 1)
    found: NDArray[np.int64] = np.where(ascending[last] == wanted, last, -1)
    return found


def _count_bits(bits: NDArray[np.uint64]) -> int:
    """How many bits are set: pairs of them added, then fours, eights, and all eight bytes."""
    pairs = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555_5555_5555_5555))
    low = np.uint64(0x3333_3333_3333_3333)
    fours = (pairs & low) + ((pairs >> np.uint64(2)) & low)
    eights = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F_0F0F_0F0F_0F0F)
    return int(((eights * np.uint64(0x0101_0101_0101_0101)) >> np.uint64(56)).sum())
