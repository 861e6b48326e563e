"""The vector index of a library: a base on disk, mapped and shared, and what changed since.

The base is never changed. What came since lies in memory, in lists around the base's centroids;
what went or was replaced is left out of the base's answers. While there is no base, as in a small
library, every search is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import numpy as np

from indexer.errors import IndexFileError, UnknownTrack
from indexer.vectors.base import (
    IndexFacts,
    Stamp,
    Subset,
    VectorIndex,
    checked_ids,
    checked_k,
    checked_new_ids,
    checked_vectors,
)
from indexer.vectors.base_building import write_vectors
from indexer.vectors.base_file import MOST_SAMPLED, open_vectors
from indexer.vectors.half_precision import to_unit_float32
from indexer.vectors.inverted_lists import InvertedLists
from indexer.vectors.nearest import Layers, nearest
from indexer.vectors.policy import IndexPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from indexer.vectors.base_file import MappedBase, RowSubset
    from indexer.vectors.inverted_lists import ListSubset

_BLOCK = 16_384

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(eq=False)
class _State:
    """One state of the vectors.

    Attributes
    ----------
    base : MappedBase or None
    alive : RowSubset or None
        The rows of the base that have neither gone nor been replaced; None: all.
    recent : InvertedLists
    changed : int
        How many vectors came, changed or went since the file was written.
    """

    base: MappedBase | None
    alive: RowSubset | None
    recent: InvertedLists
    changed: int = 0

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """All ids, ascending."""
        if self.base is None:
            return self.recent.ids
        ids = self.base.ids
        if self.alive is not None:
            ids = ids[self.alive.rows[self.base.rows_of(ids)]]
        return np.sort(np.concatenate([ids, self.recent.ids])) if len(self.recent) else ids

    def holds(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each id is here."""
        return self.recent.holds(ids) | self.in_base(ids)

    def in_base(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each id is answered from the base."""
        if self.base is None:
            return np.zeros(len(ids), dtype=bool)
        there = self.base.holds(ids)
        if self.alive is not None:
            there[there] = self.alive.rows[self.base.rows_of(ids[there])]
        return there

    def half(self, ids: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the vectors of ids that are here as they are kept, float16 (n, dim)."""
        there = self.in_base(ids)
        if self.base is None or not there.any():
            return self.recent.half(ids)
        if there.all():
            return self.base.half(self.base.rows_of(ids))
        half = np.empty((len(ids), self.recent.dim), dtype=np.float16)
        half[there] = self.base.half(self.base.rows_of(ids[there]))
        half[~there] = self.recent.half(ids[~there])
        return half


@dataclass(frozen=True, eq=False)
class _LayeredSubset(Subset):
    """The vectors that may be answered, as a filter leaves them.

    Attributes
    ----------
    state : object
        The state of the index that it was made for.
    layers : Layers or None
        Where lists are searched; else None.
    exact : InvertedLists
        Where all vectors are searched: a copy of these by themselves where they are few.
    selected : ListSubset or None
        Those of `exact` that may be answered; None: all.
    """

    state: object = field(repr=False)
    layers: Layers | None
    exact: InvertedLists
    selected: ListSubset | None


def _recovering(
    answer: Callable[Concatenate[LayeredIndex, Parameters], Result],
) -> Callable[Concatenate[LayeredIndex, Parameters], Result]:
    """Let a method that finds the base damaged ask again after the index was made anew."""

    @wraps(answer)
    def again(
        self: LayeredIndex, /, *args: Parameters.args, **options: Parameters.kwargs
    ) -> Result:
        try:
            return answer(self, *args, **options)
        except IndexFileError as error:
            if self._recover is None:
                raise
            self.take_over(self._recover(error))
            return answer(self, *args, **options)

    return again


class LayeredIndex(VectorIndex):
    """A `VectorIndex` of a base on disk and of what changed since.

    Without a base every search is exact, and its answers depend on the vectors only, not on how
    they came and went. `save` writes a file from which `open` maps a base, if there are more than
    `IndexPolicy.exact_up_to` vectors; nothing is trained before.

    Parameters
    ----------
    recover : function of IndexFileError to LayeredIndex, optional
        Makes the index in another way when its file turns out to be damaged; without, the error
        reaches the caller.
    """

    def __init__(
        self,
        dim: int,
        *,
        policy: IndexPolicy | None = None,
        recover: Callable[[IndexFileError], LayeredIndex] | None = None,
    ) -> None:
        self._policy = policy or IndexPolicy()
        self._recover = recover
        self._state = _State(None, None, InvertedLists.spread(dim))

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        dim: int,
        policy: IndexPolicy | None = None,
        recover: Callable[[IndexFileError], LayeredIndex] | None = None,
    ) -> tuple[LayeredIndex, Stamp]:
        """Open a file that `save` wrote.

        Returns
        -------
        index : LayeredIndex
        stamp : Stamp
            Which state of which catalog it holds; the caller compares.

        Raises
        ------
        IndexFileError
            It is missing, cut short or damaged where it was read, or holds something else.
        """
        opened = open_vectors(Path(path), dim=dim)
        index = cls(dim, policy=policy, recover=recover)
        if opened.base is None:
            index._state.recent.add_half(opened.ids, opened.half)
        else:
            index._state = _State(opened.base, None, InvertedLists.around(opened.base.centroids))
        return index, opened.stamp

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._state.recent.dim

    def __len__(self) -> int:
        state = self._state
        of_base = 0
        if state.base is not None:
            of_base = len(state.base) if state.alive is None else int(state.alive.per_list.sum())
        return of_base + len(state.recent)

    def ids(self) -> NDArray[np.int64]:
        """Return all ids, ascending; see `VectorIndex.ids`."""
        return self._state.ids.copy()

    def holds(self, ids: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each id is here; see `VectorIndex.holds`."""
        return self._state.holds(checked_ids(ids))

    def facts(self) -> IndexFacts:
        """Return the kind of index that this is now, and its measured recall."""
        base = self._state.base
        if base is None:
            return IndexFacts("exact", len(self), self._state.changed, 0, 0, 1.0, 0, 0)
        return IndexFacts(
            "lists",
            len(self),
            self._state.changed,
            len(base.centroids),
            base.calibration.lists_read[0],
            base.calibration.recall,
            base.calibration.vectors,
            base.trained_on,
        )

    @property
    def is_makeshift(self) -> bool:
        """Whether lists are yet to be made; see `VectorIndex.is_makeshift`."""
        return self._state.base is None and len(self) > self._policy.exact_up_to

    @property
    def is_due(self) -> bool:
        """Whether so much has changed since the file was written that it is to be written again."""
        return self.is_makeshift or self._state.changed > self.most_changes

    @property
    def most_changes(self) -> float:
        """How many changes since the file was written leave it in use."""
        return self._policy.write_at * len(self)

    def add(self, ids: ArrayLike, vectors: ArrayLike) -> None:
        """Add or replace vectors; see `VectorIndex.add`."""
        rows = checked_vectors(vectors, self.dim)
        new = checked_new_ids(ids, len(rows))
        if new.size:
            self._forget(new)
            self._state.recent.add(new, rows)
            self._changed(len(new))

    def remove(self, ids: ArrayLike) -> int:
        """Remove vectors; see `VectorIndex.remove`."""
        gone = np.unique(checked_ids(ids))
        gone = gone[self._state.holds(gone)]
        if gone.size:
            self._forget(gone)
            self._changed(len(gone))
        return len(gone)

    def take_over(self, other: LayeredIndex) -> None:
        """Hold what another index holds, which is not used afterwards."""
        self._state = other._state

    @_recovering
    def subset(self, ids: ArrayLike) -> _LayeredSubset:
        """Prepare ids for many searches; see `VectorIndex.subset`."""
        state = self._state
        wanted = np.unique(checked_ids(ids))
        kept = wanted[state.holds(wanted)]
        if state.base is None:
            return _LayeredSubset(kept, state, None, state.recent, state.recent.subset(kept))
        if len(kept) <= self._policy.read_all_up_to:
            few = InvertedLists.spread(self.dim)
            few.add_half(kept, state.half(kept))
            return _LayeredSubset(kept, state, None, few, None)
        rows = state.base.rows_among(kept)
        if state.alive is not None:
            rows &= state.alive.rows
        selected = state.recent.subset(kept) if len(state.recent) else None
        layers = Layers(
            state.base, state.base.subset(rows), state.recent, selected, is_filtered=True
        )
        return _LayeredSubset(kept, state, layers, state.recent, None)

    @_recovering
    def search(
        self, vectors: ArrayLike, k: int, among: ArrayLike | Subset | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k best for each query; see `VectorIndex.search`."""
        queries = checked_vectors(vectors, self.dim)
        k = checked_k(k)
        state = self._state
        subset = None if among is None else self._ready(among)
        allowed = len(self) if subset is None else len(subset)
        ids = np.empty((len(queries), min(k, allowed)), dtype=np.int64)
        scores = np.empty(ids.shape, dtype=np.float32)
        if not allowed:
            return ids, scores
        layers = None if subset is None else subset.layers
        if subset is None and state.base is not None:
            layers = Layers(state.base, state.alive, state.recent, None, is_filtered=False)
        per_list = None if layers is None else layers.per_list
        for row, query in enumerate(queries):
            if layers is None or per_list is None:
                exact, selected = (
                    (state.recent, None) if subset is None else (subset.exact, subset.selected)
                )
                answer = exact.best(query, k, subset=selected)
            else:
                answer = nearest(layers, query, k, per_list)
            ids[row], scores[row] = answer.ids, answer.scores
        return ids, scores

    @_recovering
    def reconstruct(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return vectors by id; see `VectorIndex.reconstruct`."""
        asked = checked_ids(ids)
        unknown = asked[~self._state.holds(asked)]
        if unknown.size:
            raise UnknownTrack(
                f"The track {unknown[0]} has no vector in the index: "
                "index its file, or name another track."
            )
        return to_unit_float32(self._state.half(asked))

    @_recovering
    def sample(self, count: int) -> NDArray[np.float32]:
        """Return vectors drawn at random, of a base from its file; see `VectorIndex.sample`."""
        base = self._state.base
        if base is None or count >= min(len(self), MOST_SAMPLED + 1):
            return super().sample(count)
        return to_unit_float32(base.sample(count))

    def save(self, path: str | Path, stamp: Stamp) -> None:
        """Write the index to a file; see `VectorIndex.save`."""
        write_vectors(
            Path(path),
            stamp,
            self._blocks(),
            dim=self.dim,
            policy=self._policy,
            before=self._state.base,
        )

    def require_intact(self) -> None:
        """Check all of the file that answers come from.

        Raises
        ------
        IndexFileError
            It is damaged.
        """
        if self._state.base is not None:
            self._state.base.require_all_intact()

    def _blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        ids = self._state.ids
        for start in range(0, len(ids), _BLOCK):
            some = ids[start : start + _BLOCK]
            yield some, self._state.half(some)

    def _forget(self, ids: NDArray[np.int64]) -> None:
        """Leave ids out of both layers."""
        state = self._state
        in_recent = ids[state.recent.holds(ids)]
        if len(in_recent):
            state.recent.remove(in_recent)
        in_base = ids[state.in_base(ids)]
        if len(in_base) and state.base is not None:
            rows = (
                np.ones(len(state.base), dtype=bool)
                if state.alive is None
                else state.alive.rows.copy()
            )
            rows[state.base.rows_of(in_base)] = False
            state.alive = state.base.subset(rows)

    def _changed(self, count: int) -> None:
        state = self._state
        # Another object: what was prepared for the state before knows that it was.
        self._state = _State(state.base, state.alive, state.recent, state.changed + count)

    def _ready(self, among: ArrayLike | Subset) -> _LayeredSubset:
        if isinstance(among, _LayeredSubset) and among.state is self._state:
            return among
        return self.subset(among.ids if isinstance(among, Subset) else among)
