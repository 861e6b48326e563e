"""How many of pgvector's lists are to be read for a stated recall, measured on the vectors.

Lists belong to the server, which tells only the vectors that it found in the nearest of them. So
what is measured goes by rank: a filter that leaves few vectors near the query has its k-th answer
at a high rank among all of them, and as many lists are to be read as vectors of that rank need.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.vectors.base import sample_ids
from indexer.vectors.half_precision import to_unit_float32
from indexer.vectors.pgvector_table import ListFacts, VectorTable, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from psycopg import Connection, sql

    from indexer.vectors.policy import IndexPolicy

_FIRST_RANK = 10
_RANK_STEP = 4
_HIGHEST_RANK = 10 * 4**6
_FEWEST_QUERIES = 16
_ENOUGH_ANSWERS = 40_960
"""Of so many, a recall is certain enough: a 16th missed lists that some filters need."""
_PROBES_STEP = 1.25
_MOST_READ = 0.5
"""Where more of the lists than this would be read, comparing every vector takes no longer."""


def measured(
    connection: Connection,
    table: VectorTable,
    facts: ListFacts,
    ids: NDArray[np.int64],
    policy: IndexPolicy,
) -> ListFacts:
    """The facts of lists, with the probes that leave a quarter of the misses allowed.

    Parameters
    ----------
    ids : int64 (n,)
        All ids of the table; some of their vectors are the queries, themselves not counted.

    Returns
    -------
    ListFacts
        Without ranks where most of the lists would have to be read for the first.
    """
    aim = 1.0 - (1.0 - policy.recall) / 4.0
    _, half = table.vectors(connection, sample_ids(ids, policy.queries))
    queries = [literal(one) for one in to_unit_float32(half)]
    # Fewer queries are asked for more vectors.
    exact = [
        table.products(connection, query, 1 + _highest_rank(number), probes=None)
        for number, query in enumerate(queries)
    ]
    most = max(1, int(_MOST_READ * facts.lists))
    ranks: list[int] = []
    needed: list[int] = []
    recall = 0.0
    rank, probes = min(_FIRST_RANK, max(1, len(ids) - 1)), 1
    while rank < min(len(ids), _HIGHEST_RANK + 1):
        found = _recall(connection, table, queries, exact, rank=rank, probes=probes, aim=aim)
        if found >= aim:
            recall = recall or found
            ranks.append(rank)
            needed.append(probes)
            rank *= _RANK_STEP
        elif probes >= most:
            break
        else:
            probes = min(most, max(probes + 1, int(probes * _PROBES_STEP)))
    return replace(
        facts, ranks=tuple(ranks), probes=tuple(needed), recall=recall, measured_at=len(ids)
    )


def _highest_rank(number: int) -> int:
    """The highest rank that the query with this number is asked for."""
    rank = _FIRST_RANK
    while rank < _HIGHEST_RANK and number < _query_count(rank * _RANK_STEP):
        rank *= _RANK_STEP
    return rank


def _query_count(rank: int) -> int:
    """How many queries are asked for vectors up to a rank: fewer for more of them."""
    return max(_FEWEST_QUERIES, _ENOUGH_ANSWERS // rank)


def _recall(
    connection: Connection,
    table: VectorTable,
    queries: Sequence[sql.Composable],
    exact: Sequence[NDArray[np.float32]],
    *,
    rank: int,
    probes: int,
    aim: float,
) -> float:
    """Part of the vectors between the rank before and this one that so many lists hold, mean.

    It is not measured to the end where it is certain to be below `aim`: what is returned is then
    below it too.
    """
    before = 0 if rank == _FIRST_RANK else rank // _RANK_STEP
    asked = queries if rank <= _FIRST_RANK else queries[: _query_count(rank)]
    most_missed = (1.0 - aim) * len(asked)
    missed = 0.0
    for query, products in zip(asked, exact, strict=False):
        # The first is the query itself.
        best = products[1 : rank + 1]
        found = table.products(connection, query, rank + 1, probes=probes)[1:]
        # By inner product, so that of equal vectors any will do.
        held = int((found >= best[-1]).sum())
        if before:
            held -= min(before, int((found >= best[before - 1]).sum()))
        missed += 1.0 - held / (len(best) - before)
        if missed > most_missed:
            break
    return 1.0 - missed / len(asked)
