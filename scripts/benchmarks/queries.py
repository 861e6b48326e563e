"""What asking costs: the index alone, a whole question to a catalog, and opening one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs

from benchmarks import lone
from benchmarks.catalogs import added_at, make_catalog
from benchmarks.searching import K, percentiles, recall_of, seconds, shuffled_vectors
from benchmarks.table import Cell, Table
from indexer.models.registry import model_info
from indexer.vectors.base import Stamp
from indexer.vectors.layered_index import LayeredIndex
from recommender import Ranking, Recommender, Where
from recommender.playlists import Station
from recommender.retrieval.ranking import maximal_marginal_relevance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.setting import Setting
    from indexer.vectors.base import Subset

_FILTERS = (("50 %", 0.5), ("10 %", 0.1), ("1 %", 0.01), ("0.1 %", 0.001))
_DIVERSE = Ranking(diversity=0.3)
_MMR_CANDIDATES = 1_000
_JUDGED = 200  # queries whose recall is measured
_BARE = 20  # queries that numpy answers


def measure(setting: Setting) -> tuple[Table, ...]:
    """Latencies of index and catalog at several sizes."""
    searched = _index_rows(setting)
    catalogs, asked = _catalog_rows(setting)
    sizes = setting.sizes
    return (
        Table(
            title=f"Index search: milliseconds for the {K} nearest of one query",
            columns=(
                "vectors",
                "kind",
                "filter keeps",
                "of",
                "p50",
                "p99",
                f"recall@{K}",
                "made ready in ms",
                "[a] numpy p50",
                "p50 / [a]",
                "built in s",
            ),
            rows=tuple(searched),
            notes=f"{sizes.queries} queries that are not in the index, one at a time; recall "
            "against exact search.\n"
            "Filters keep ids at random, or those nearest to one style's centre, as a genre "
            "does. They are made ready\n"
            "once (`VectorIndex.subset`) and then asked.\n"
            "[a] is one matrix product with all the float32 vectors and a partial sort, on "
            f"one thread, median of {_BARE} queries.",
        ),
        Table(
            title=f"Catalog: similar_to_track(id, {K}) in process, milliseconds; opening",
            columns=(
                "tracks",
                "p50",
                "p99",
                "p50 of index alone",
                "open s",
                "first question ms",
                "import s",
                "station step p50",
            ),
            rows=tuple(catalogs),
            notes=f"{sizes.queries} questions. Opening: Recommender.open in a fresh process, "
            f"medians, runs: {sizes.start_runs}, files in the page cache.\n"
            f"A station's first {sizes.queries} steps from one seed.",
        ),
        Table(
            title=f"Catalog: questions for {K} with options, milliseconds",
            columns=("tracks", "option", "first", "p50", "p99"),
            rows=tuple(asked),
            notes=f"{sizes.queries} questions with each option. The first one compiles the "
            "filter, the others find it ready.\n"
            f"MMR alone, {K} of {_MMR_CANDIDATES} candidates, diversity {_DIVERSE.diversity}: "
            f"{_mmr_ms(setting):.1f} ms.",
        ),
    )


def _index_rows(setting: Setting) -> list[tuple[Cell, ...]]:
    dim = model_info().dim
    rows: list[tuple[Cell, ...]] = []
    for count in setting.sizes.index_counts:
        # Queries are drawn with the vectors, so that they come from the same clusters.
        drawn = shuffled_vectors(count + setting.sizes.queries, setting.seed)
        vectors, queries = drawn[:count], drawn[count:]
        index = LayeredIndex(dim)
        began = time.perf_counter()
        index.add(np.arange(count), vectors)
        file = setting.folder / f"{count}.vectors"
        index.save(file, Stamp("", "", 0))
        index, _ = LayeredIndex.open(file, dim=dim)
        built = time.perf_counter() - began
        with threadpool_limits(1, "blas"):
            bare = median(seconds(partial(_nearest, vectors), queries[:_BARE]))
        rng = np.random.default_rng([setting.seed, count])
        by_style = np.argsort(-(vectors @ vectors[0]))
        for label, part, kind in (
            ("all", 1.0, "all"),
            *((label, part, kind) for kind in ("random", "style") for label, part in _FILTERS),
        ):
            size = max(K, round(part * count))
            ids = by_style[:size] if kind == "style" else rng.permutation(count)[:size]
            began = time.perf_counter()
            among = None if kind == "all" else index.subset(ids)
            ready = time.perf_counter() - began
            times = _search_seconds(index, queries, among)
            rows.append(
                (
                    count,
                    index.facts().kind,
                    label,
                    kind,
                    *percentiles(times),
                    recall_of(index, queries[:_JUDGED], among),
                    None if among is None else 1e3 * ready,
                    1e3 * bare,
                    median(times) / bare,
                    built if among is None else None,
                )
            )
    return rows


def _mmr_ms(setting: Setting) -> float:
    """Milliseconds that maximal marginal relevance takes by itself, the median."""
    vectors = shuffled_vectors(_MMR_CANDIDATES, setting.seed)

    def choose(query: NDArray[np.float32]) -> None:
        maximal_marginal_relevance(vectors @ query, vectors, K, diversity=_DIVERSE.diversity)

    return 1e3 * median(seconds(choose, vectors[: setting.sizes.queries]))


def _catalog_rows(
    setting: Setting,
) -> tuple[list[tuple[Cell, ...]], list[tuple[Cell, ...]]]:
    folder = setting.folder / "queries"
    folder.mkdir()
    dim = model_info().dim
    rows: list[tuple[Cell, ...]] = []
    with_options: list[tuple[Cell, ...]] = []
    for count in setting.sizes.catalog_counts:
        path = folder / f"{count}.db"
        library = make_catalog(path, count, seed=setting.seed)
        vectors = library.vectors.astype(np.float32)
        added = added_at(library, setting.seed)
        rng = np.random.default_rng([setting.seed, count])
        seeds = rng.integers(1, count + 1, setting.sizes.queries).tolist()
        with Recommender.open(path) as recommender:
            asked = seconds(lambda seed: recommender.similar_to_track(seed, K), seeds)
            with_options += [(count, *row) for row in _option_rows(recommender, seeds, added)]
            station = Station(recommender, seeds[0])
            steps = seconds(lambda _: next(station), seeds)  # noqa: B023 - called at once
        index, _ = LayeredIndex.open(path.with_suffix(".vectors"), dim=dim)
        alone = _search_seconds(index, vectors[np.array(seeds) - 1], None)
        command = [sys.executable, "-m", "benchmarks.opening", str(path)]
        opened = [
            json.loads(subprocess.check_output(command, env=lone.child_environment()))
            for _ in range(1 + setting.sizes.start_runs)
        ][1:]
        rows.append(
            (
                count,
                *percentiles(asked),
                1e3 * median(alone),
                median(run["open_s"] for run in opened),
                1e3 * median(run["first_query_s"] for run in opened),
                median(run["import_s"] for run in opened),
                1e3 * median(steps),
            )
        )
    return rows, with_options


def _option_rows(
    recommender: Recommender, seeds: list[int], added: NDArray[np.float64]
) -> list[tuple[Cell, ...]]:
    """What a question with each option takes, first and then."""
    rows: list[tuple[Cell, ...]] = []
    for label, options in (
        *(
            (
                f"a filter that keeps {label}",
                {"where": Where(added_since=float(np.quantile(added, 1 - part)))},
            )
            for label, part in _FILTERS
        ),
        ("a diverse answer", {"ranking": _DIVERSE}),
        ("one per artist", {"ranking": Ranking(per_artist=1)}),
        ("with reasons", {"why": True}),
    ):
        ask = partial(recommender.similar_to_track, n=K, **options)  # type: ignore[arg-type]  # each is its option
        began = time.perf_counter()
        ask(seeds[0])
        first = time.perf_counter() - began
        rows.append((label, 1e3 * first, *percentiles(seconds(ask, seeds))))
    return rows


def _search_seconds(
    index: LayeredIndex, queries: NDArray[np.float32], among: Subset | None
) -> list[float]:
    return seconds(lambda query: index.search(query[np.newaxis], K, among=among), queries)


def _nearest(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.int64]:
    products = vectors @ query
    best = np.argpartition(products, -K)[-K:]
    ordered: NDArray[np.int64] = best[np.argsort(-products[best])]
    return ordered
