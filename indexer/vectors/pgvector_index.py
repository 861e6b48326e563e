"""A vector index on a PostgreSQL server with pgvector, shared by whoever asks there.

The server proposes, by half-precision inner products; what it proposes is scored here, exactly, and
asked for again, more widely, until the k-th answer is certain. Filters are planned here too: the
vectors that a narrow one leaves are fetched once and searched in memory, under a wide one the lists
are read that vectors of the k-th answer's rank need, and where that is most of them, the server
compares every vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from indexer.errors import UnknownTrack
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
from indexer.vectors.half_precision import error_bound, inner_products, to_unit_float32
from indexer.vectors.inverted_lists import InvertedLists
from indexer.vectors.pgvector_probes import measured
from indexer.vectors.pgvector_table import EVERYTHING, ListFacts, VectorTable, literal, only
from indexer.vectors.policy import DEFAULT_POLICY, IndexPolicy
from indexer.vectors.search_result import NOTHING, SearchResult, best_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray
    from psycopg import Connection, sql

    from indexer.vectors.pgvector_table import Proposals
    from indexer.vectors.postgres_connection import PostgresConnection

_NO_IDS = np.empty(0, dtype=np.int64)
_SPARE = 22
"""So many more than k are proposed: sums in half precision swap neighbours near rank k."""
_WIDER = 4
_MARGIN = 1.5
"""How much further than its expected rank an answer is first looked for under a filter."""


@dataclass(frozen=True, eq=False)
class _ServerSubset(Subset):
    """The vectors that may be answered, as a filter leaves them.

    Attributes
    ----------
    state : object
        The state of the index that it was made for.
    few : InvertedLists or None
        A copy of the vectors where they are few.
    condition : sql.Composable or None
        Else that a row of the table is one of them.
    """

    state: object = field(repr=False)
    few: InvertedLists | None
    condition: sql.Composable | None


@dataclass(frozen=True, eq=False)
class _Query:
    """One query and what may answer it.

    Attributes
    ----------
    vector : float32 (dim,)
    k : int
        How many answers; as many may be answered.
    among : sql.Composable
    share : float
        Part of the table that may be answered.
    """

    vector: NDArray[np.float32]
    k: int
    among: sql.Composable
    share: float


class VectorChanges(Protocol):
    """Some of a catalog's changes: ids (n,) with their vectors (n, dim), and ids that went."""

    @property
    def ids(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def vectors(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def gone(self) -> NDArray[np.int64]: ...  # noqa: D102


class _CaughtUp(NamedTuple):
    """The change that a table is up to, and the ids that came and went until then."""

    change: int
    came: NDArray[np.int64]
    gone: NDArray[np.int64]
    anew: bool


class _Moved(Exception):
    """Others have removed vectors from the table since its ids were read."""


class PgvectorIndex(VectorIndex):
    """A `VectorIndex` in a table of a PostgreSQL server; made by `open`.

    It answers the vectors that it knows of: what others put into the table, or take away, it learns
    from `catch_up`, which goes by the catalog.
    """

    def __init__(
        self, server: PostgresConnection, table: VectorTable, *, policy: IndexPolicy
    ) -> None:
        self._server = server
        self._table = table
        self._policy = policy
        self._ids: NDArray[np.int64] = _NO_IDS
        self._lists: ListFacts | None = None
        self._seen = 0
        self._changed = 0

    @classmethod
    def open(
        cls,
        server: PostgresConnection,
        *,
        catalog: str,
        model: str,
        dim: int,
        policy: IndexPolicy = DEFAULT_POLICY,
    ) -> tuple[PgvectorIndex, Stamp]:
        """Open the index of a catalog and model, which is made if it is not there.

        Returns
        -------
        index : PgvectorIndex
        stamp : Stamp
            Which state of the catalog it holds.

        Raises
        ------
        IndexServerError
            The server cannot be reached, has no pgvector, or the role lacks rights.
        """
        index = cls(server, VectorTable(catalog, model, dim), policy=policy)
        server.write(index._table.create)
        return index, server.read(index._read)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._table.dim

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def table_name(self) -> str:
        """Name of the table, in the schema `pgvector_table.SCHEMA`."""
        return self._table.name

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def ids(self) -> NDArray[np.int64]:
        """Return all ids, ascending; see `VectorIndex.ids`."""
        return self._ids.copy()

    def holds(self, ids: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each id is here; see `VectorIndex.holds`."""
        return _held(self._ids, checked_ids(ids))

    def facts(self) -> IndexFacts:
        """Return the kind of index that this is now, and its measured recall."""
        lists = self._lists
        if lists is None or not lists.measured_at:
            return IndexFacts("exact", len(self), self._changed, 0, 0, 1.0, 0, 0)
        return IndexFacts(
            "lists",
            len(self),
            self._changed,
            lists.lists,
            lists.probes[0] if lists.probes else lists.lists,
            lists.recall,
            lists.measured_at,
            lists.trained_on,
        )

    @property
    def is_makeshift(self) -> bool:
        """Whether lists are yet to be made; see `VectorIndex.is_makeshift`."""
        return len(self) > self._policy.exact_up_to and self.facts().kind == "exact"

    @property
    def is_due(self) -> bool:
        """Whether lists are to be made, measured again or dropped; see `VectorIndex.is_due`."""
        lists, count = self._lists, len(self)
        if count <= self._policy.exact_up_to:
            return lists is not None
        return lists is None or not (self._fits(lists) and self._is_measured(lists))

    @property
    def seen(self) -> int:
        """The change of the catalog that it is up to."""
        return self._seen

    def add(self, ids: ArrayLike, vectors: ArrayLike) -> None:
        """Add or replace vectors; see `VectorIndex.add`."""
        rows = checked_vectors(vectors, self.dim)
        new = checked_new_ids(ids, len(rows))
        if not new.size:
            return

        def put(connection: Connection) -> None:
            self._table.lock(connection)
            self._table.put(connection, new, rows)

        self._server.write(put)
        self._note(new, _NO_IDS)

    def remove(self, ids: ArrayLike) -> int:
        """Remove vectors; see `VectorIndex.remove`."""
        gone = np.unique(checked_ids(ids))
        gone = gone[_held(self._ids, gone)]
        if gone.size:

            def delete(connection: Connection) -> None:
                self._table.lock(connection)
                self._table.delete(connection, gone)

            self._server.write(delete)
            self._note(_NO_IDS, gone)
        return len(gone)

    def subset(self, ids: ArrayLike) -> _ServerSubset:
        """Prepare ids for many searches; see `VectorIndex.subset`."""
        wanted = np.unique(checked_ids(ids))
        kept = wanted[_held(self._ids, wanted)]
        if len(kept) > self._policy.read_all_up_to:
            return _ServerSubset(kept, self._ids, None, only(kept))
        few = InvertedLists.spread(self.dim)
        if len(kept):
            few.add_half(*self._server.read(lambda one: self._table.vectors(one, kept)))
        return _ServerSubset(few.ids, self._ids, few, None)

    def search(
        self, vectors: ArrayLike, k: int, among: ArrayLike | Subset | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k best for each query; see `VectorIndex.search`."""
        queries = checked_vectors(vectors, self.dim)
        k = checked_k(k)
        subset = None if among is None else self._ready(among)
        if subset is not None and subset.few is not None:
            few = subset.few
            return _stacked([few.best(one, k) for one in queries], min(k, len(few)))
        try:
            return self._server.read(lambda one: self._searched(one, queries, k, subset))
        except _Moved:
            self._server.read(self._read)
            return self.search(queries, k, subset)

    def reconstruct(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return vectors by id; see `VectorIndex.reconstruct`."""
        asked = checked_ids(ids)
        wanted = np.unique(asked)
        wanted = wanted[_held(self._ids, wanted)]
        found, half = self._server.read(lambda one: self._table.vectors(one, wanted))
        unknown = asked[~_held(found, asked)]
        if unknown.size:
            raise UnknownTrack(
                f"The track {unknown[0]} has no vector in the index: "
                "index its file, or name another track."
            )
        return to_unit_float32(half[np.searchsorted(found, asked)])

    def catch_up(
        self, change: Callable[[], int], changes_since: Callable[[int], Iterable[VectorChanges]]
    ) -> int:
        """Bring the table up to a catalog, if nobody else has, and learn what it holds now.

        All in one transaction, by one process at a time.

        Parameters
        ----------
        change : function to int
            The number of the catalog's last change.
        changes_since : function of int to iterable of VectorChanges
            What came, changed and went after a change, each id once.

        Returns
        -------
        int
            How many vectors came, changed or went.

        Raises
        ------
        IndexServerError
            Nothing was changed.
        """
        if change() == self._seen:
            return 0
        caught_up = self._server.write(lambda one: self._caught_up(one, change, changes_since))
        if caught_up.anew:
            self._ids = _NO_IDS
        self._note(caught_up.came, caught_up.gone)
        self._seen = caught_up.change
        return len(caught_up.came) + len(caught_up.gone)

    def make_lists(self) -> None:
        """Group the vectors into lists where policy wants them, and measure what must be read.

        Others go on asking meanwhile: with the lists before, and while the new ones are measured,
        by comparing every vector.

        Raises
        ------
        IndexServerError
        """
        if not self._server.read(self._table.begin_lists):
            return  # Somebody is at it.
        try:
            self._server.read(self._read)
            self._changed = 0
            if self.is_due:
                self._make_lists()
        finally:
            self._server.read(self._table.end_lists)

    def look_again(self) -> None:
        """Learn whether others have made lists."""
        self._lists = self._server.read(self._table.list_facts)

    def clear(self) -> None:
        """Remove all vectors, and what is left of other models of the catalog."""
        self._server.write(self._table.clear)
        self._server.read(self._read)

    def save(self, path: str | Path, stamp: Stamp) -> None:  # noqa: ARG002 - nothing goes to a file
        """Say at the server which state it holds; the vectors are there already.

        Raises
        ------
        IndexServerError
        """
        self._server.write(lambda one: self._table.set_stamp(one, stamp))

    def _searched(
        self,
        connection: Connection,
        queries: NDArray[np.float32],
        k: int,
        subset: _ServerSubset | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        allowed = len(self) if subset is None else len(subset)
        k = min(k, allowed)
        if not k or not len(queries):
            return _stacked([NOTHING] * len(queries), k)
        self._lists = self._table.list_facts(connection)
        condition = EVERYTHING if subset is None or subset.condition is None else subset.condition
        share = allowed / len(self)
        return _stacked(
            [self._best(connection, _Query(query, k, condition, share)) for query in queries],
            k,
        )

    def _best(self, connection: Connection, query: _Query) -> SearchResult:
        """The k best of a query."""
        answer = self._best_in_lists(connection, query)
        limit = query.k + _SPARE
        while answer is None:
            proposed = self._table.nearest(connection, literal(query.vector), limit, query.among)
            is_all = len(proposed.ids) < limit
            answer = self._certain(query, proposed, is_all=is_all)
            if answer is None and is_all:
                raise _Moved
            limit *= _WIDER
        return answer

    def _best_in_lists(self, connection: Connection, query: _Query) -> SearchResult | None:
        """The k best in as many lists as vectors of their rank need; None: in too many."""
        if self._lists is None or len(self) <= self._policy.exact_up_to:
            return None
        limit = query.k + _SPARE
        is_filtered = query.share < 1.0
        rank = query.k / query.share * (_MARGIN if is_filtered else 1.0)
        while (probes := self._lists.probes_for(rank)) is not None:
            proposed = self._table.nearest_in_lists(
                connection,
                literal(query.vector),
                limit,
                query.among,
                probes=probes,
                depth=int(max(_WIDER * rank, 2 * limit / query.share)) if is_filtered else limit,
            )
            reached = proposed.ranks[query.k - 1] if len(proposed.ids) >= query.k else None
            if reached is None or reached > rank:
                rank = max(2 * rank, 1.2 * (reached or _WIDER * rank))
                continue
            answer = self._certain(query, proposed, is_all=False)
            if answer is not None:
                return answer
            limit *= _WIDER
            rank = max(rank, limit / _WIDER / query.share)
        return None

    def _certain(self, query: _Query, proposed: Proposals, *, is_all: bool) -> SearchResult | None:
        """The k best of what the server proposes; None where it may have more that belong there.

        Parameters
        ----------
        is_all : bool
            Whether it has no more.
        """
        known = _held(self._ids, proposed.ids)
        scores = inner_products(to_unit_float32(proposed.half[known]), query.vector)
        answer = best_of(proposed.ids[known], scores, query.k)
        if len(answer.ids) < query.k:
            return None
        # Copies of one recording are equal, and there may be thousands of silence.
        least = float(answer.scores[-1]) - _proposal_error(self.dim)
        return answer if is_all or float(proposed.products.min()) < least else None

    def _read(self, connection: Connection) -> Stamp:
        """Learn what the table holds."""
        self._ids = self._table.ids(connection)
        self._lists = self._table.list_facts(connection)
        stamp = self._table.stamp(connection)
        self._seen = stamp.change
        return stamp

    def _caught_up(
        self,
        connection: Connection,
        change_of: Callable[[], int],
        changes_since: Callable[[int], Iterable[VectorChanges]],
    ) -> _CaughtUp:
        """Store what the table has not; returns what was not known here."""
        table = self._table
        table.lock(connection)
        # The number is read first: what is written meanwhile is seen twice rather than never.
        stamp, change = table.stamp(connection), change_of()
        put_back = max(stamp.change, self._seen) > change
        if put_back:  # the catalog, to an earlier state
            table.clear(connection)
        stored, seen = (0, 0) if put_back else (stamp.change, self._seen)
        came, gone = [_NO_IDS], [_NO_IDS]
        for changes in changes_since(min(stored, seen)):
            if stored < change:
                table.delete(connection, changes.gone)
                table.put(connection, changes.ids, changes.vectors)
            came.append(changes.ids)
            gone.append(changes.gone)
        if stored < change:
            table.set_stamp(connection, replace(stamp, change=change))
        return _CaughtUp(change, np.concatenate(came), np.concatenate(gone), anew=put_back)

    def _make_lists(self) -> None:
        count, lists, policy = len(self), self._lists, self._policy
        if count <= policy.exact_up_to:
            self._server.write(self._table.drop_lists)
            self._lists = None
            return
        if lists is None or not self._fits(lists):
            wanted = max(1, round(policy.server_lists_per_root * count**0.5))
            self._server.write(lambda one: self._table.make_lists(one, wanted))
            lists = ListFacts(wanted, count)
        if not self._is_measured(lists):
            unmeasured = lists
            lists = self._server.read(
                lambda one: measured(one, self._table, unmeasured, self._ids, policy)
            )
        known = lists
        self._server.write(lambda one: self._table.set_list_facts(one, known))
        self._lists = lists

    def _fits(self, lists: ListFacts) -> bool:
        """Whether lists were made of about as many vectors as there are."""
        factor = self._policy.retrain_at
        return lists.trained_on / factor <= len(self) <= lists.trained_on * factor

    def _is_measured(self, lists: ListFacts) -> bool:
        """Whether lists were measured with about as many vectors as there are."""
        most = self._policy.measure_at * lists.measured_at
        return abs(len(self) - lists.measured_at) <= most

    def _note(self, came: NDArray[np.int64], gone: NDArray[np.int64]) -> None:
        """Know of vectors that came or changed, and of some that went."""
        # Another array: what was prepared for the ids before knows that it was.
        self._ids = np.union1d(np.setdiff1d(self._ids, gone), came)
        self._changed += len(came) + len(gone)

    def _ready(self, among: ArrayLike | Subset) -> _ServerSubset:
        if isinstance(among, _ServerSubset) and among.state is self._ids:
            return among
        return self.subset(among.ids if isinstance(among, Subset) else among)


def _proposal_error(dim: int) -> float:
    """How far a product with the query rounded to float16 can lie from the score."""
    # Half a step of each of the query's numbers: relative, or absolute for the smallest.
    return error_bound(dim) + 1.01 * 2.0**-11 + 2.0**-25 * math.sqrt(dim)


def _held(known: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each id is among some known ones, ascending."""
    if not len(known):
        return np.zeros(len(ids), dtype=bool)
    rows = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    held: NDArray[np.bool_] = known[rows] == ids
    return held


def _stacked(answers: list[SearchResult], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Answers of the same length k as ids and scores, both (q, k)."""
    ids = np.empty((len(answers), k), dtype=np.int64)
    scores = np.empty(ids.shape, dtype=np.float32)
    for row, answer in enumerate(answers):
        ids[row], scores[row] = answer.ids, answer.scores
    return ids, scores
