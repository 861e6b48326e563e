"""Two parts as one: what is gone left out, texts numbered anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.facets.part import (
    CODES,
    KEY_BYTES,
    NO_ARTIST,
    NUMBERS,
    SEVERAL,
    HeldArrays,
    Part,
    sort_keys,
    text_arrays,
)
from indexer.facets.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Merged:
    """The tracks of one part that are kept, and all of another one.

    Attributes
    ----------
    old, new : Part
        No id is in both, but for rows that are left out.
    kept : bool (len(old),)
        Rows of the old part that are kept.
    """

    old: Part
    kept: NDArray[np.bool_]
    new: Part

    def columns(self) -> HeldArrays:
        """All columns but the activations."""
        held = HeldArrays(ids=self._ids[self._by_id])
        for name in NUMBERS:
            held[name] = self._both(name)[self._by_id]
        of_texts = {name: self._texts(name) for name in (*CODES, "artists")}
        for name in CODES:
            _, *places = of_texts[name]
            held[name] = self._both(name, *places)[self._by_id]
        for name, of_column in zip(SEVERAL, ("genre", "artists"), strict=True):
            _, *places = of_texts[of_column]
            held |= self._several(name, *places)
        for name, (texts, *_) in of_texts.items():
            held.update(text_arrays(name, texts))
        held.update(text_arrays("spelling", self._spelling(*of_texts["artists"])))
        held |= self._order(of_texts["artists"], of_texts["album"])
        return held

    def part(self) -> Part:
        """All columns, in memory."""
        held = self.columns()
        held["activations"] = np.concatenate(list(self.activations()), axis=0)
        return Part(held)

    def activations(self) -> Iterator[NDArray[np.uint16]]:
        """Activations (1, n) of one tag after the other."""
        for tag in range(self.old.tag_count):
            both = np.concatenate([self.old.activations(tag)[self.kept], self.new.activations(tag)])
            yield both[self._by_id][np.newaxis]

    @cached_property
    def _ids(self) -> NDArray[np.int64]:
        return np.concatenate([self.old.column("ids")[self.kept], self.new.column("ids")])

    @cached_property
    def _by_id(self) -> NDArray[np.intp]:
        return np.argsort(self._ids, kind="stable")

    @cached_property
    def _row(self) -> NDArray[np.int32]:
        """Where a row of the kept ones, followed by the new ones, is now."""
        row = np.empty(len(self._by_id), np.int32)
        row[self._by_id] = np.arange(len(row))
        return row

    @cached_property
    def _new_row_of_old(self) -> NDArray[np.int32]:
        """Where each row of the old part is now; meaningless where it is left out."""
        among_kept = np.maximum(np.cumsum(self.kept) - 1, 0)
        return self._row[among_kept] if len(self._row) else np.zeros(len(self.old), np.int32)

    def _both(self, name: str, *places: NDArray[np.int32]) -> NDArray[Any]:
        old, new = self.old.column(name)[self.kept], self.new.column(name)
        if places:
            old, new = places[0][old], places[1][new]
        return np.concatenate([old, new])

    def _several(
        self, name: str, old_places: NDArray[np.int32], new_places: NDArray[np.int32]
    ) -> dict[str, NDArray[np.int32]]:
        old_rows, new_rows = (part.column(f"{name}_row") for part in (self.old, self.new))
        there = self.kept[old_rows]
        count = len(self._ids) - len(self.new)
        rows = np.concatenate(
            [self._new_row_of_old[old_rows[there]], self._row[count + new_rows.astype(np.int64)]]
        )
        numbers = np.concatenate(
            [old_places[self.old.column(name)[there]], new_places[self.new.column(name)]]
        )
        by_row = np.argsort(rows, kind="stable")
        return {f"{name}_row": rows[by_row], name: numbers[by_row]}

    def _texts(self, name: str) -> tuple[Texts, NDArray[np.int32], NDArray[np.int32]]:
        """The texts of both, and where those of each are among them; -1 stays -1."""
        old, new = list(self.old.texts(name)), list(self.new.texts(name))
        every = sorted({*old, *new})
        place = {text: number for number, text in enumerate(every)}
        of_old, of_new = (
            np.array([*map(place.__getitem__, texts), -1], np.int32) for texts in (old, new)
        )
        return Texts.of(every), of_old, of_new

    def _spelling(
        self, texts: Texts, old_places: NDArray[np.int32], new_places: NDArray[np.int32]
    ) -> Texts:
        spelling = [""] * len(texts)
        for part, places in ((self.new, new_places), (self.old, old_places)):
            for place, text in zip(places.tolist(), part.texts("spelling"), strict=False):
                spelling[place] = text
        return Texts.of(spelling)

    def _order(self, artists: tuple[Any, ...], albums: tuple[Any, ...]) -> dict[str, NDArray[Any]]:
        old_order = self.old.column("order")
        there = self.kept[old_order]
        count = len(self._ids) - len(self.new)
        rows = np.concatenate(
            [
                self._new_row_of_old[old_order[there]],
                self._row[count + self.new.column("order").astype(np.int64)],
            ]
        )
        keys = np.concatenate(
            [
                renumber_keys(part, kept, 2 * artists[at].astype(np.int64) + 1, 2 * albums[at] + 1)
                for part, kept, at in ((self.old, there, 1), (self.new, slice(None), 2))
            ]
        )
        by_key = np.argsort(keys, kind="stable")
        return {"order": rows[by_key], "sort_key": keys[by_key]}


def renumber_keys(
    part: Part,
    rows: NDArray[np.bool_] | slice,
    artists: NDArray[np.integer],
    albums: NDArray[np.integer],
) -> NDArray[np.bytes_]:
    """Sort keys of some tracks of a part, in its order, with other numbers of artists and albums.

    Parameters
    ----------
    rows : which, of those in the order of the part.
    artists, albums : int64 (texts + 1,)
        For each of the part's own texts, and last for none, as `sort_keys` takes them.
    """
    keys = np.ascontiguousarray(part.column("sort_key")[rows])
    content = keys.view(np.uint8).reshape(-1, KEY_BYTES)
    artist = np.ascontiguousarray(content[:, 0:4]).view(">u4").ravel().astype(np.int64)
    album = np.ascontiguousarray(content[:, 4:8]).view(">u4").ravel().astype(np.int64)
    # Keys have 2 number + 1 of an artist, and one more of an album, of which none is 0.
    return sort_keys(
        np.asarray(artists, np.int64)[np.where(artist == NO_ARTIST, -1, artist // 2)],
        np.asarray(albums, np.int64)[album // 2 - 1],
        np.ascontiguousarray(content[:, 8:10]).view(">u2").ravel(),
        np.ascontiguousarray(content[:, 10:26]).view("S16").ravel(),
        np.concatenate([np.zeros((len(keys), 2), np.uint8), content[:, 26:32]], axis=1)
        .view(">u8")
        .ravel()
        .astype(np.int64),
    )
