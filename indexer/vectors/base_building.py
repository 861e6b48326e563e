"""Writing the file of a vector index: few vectors as they are, many as a base of trained lists.

Vectors come in any order and go through a temporary file beside the one to be written, so that a
library larger than memory can be indexed: what is held is some 60 bytes a vector.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from indexer.errors import IndexFileError
from indexer.mapped_arrays import ArrayBlocks, write_arrays
from indexer.vectors.base_file import KIND, MOST_SAMPLED
from indexer.vectors.calibration import Calibration, ListedVectors, calibrate
from indexer.vectors.coded_lists import CodedLists, assigned_lists, learned_limits
from indexer.vectors.half_precision import to_unit_float32

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.vectors.base import Stamp
    from indexer.vectors.base_file import MappedBase
    from indexer.vectors.policy import IndexPolicy

# The type stubs that newer versions of FAISS bring name only a part of it.
faiss: Any = import_module("faiss")

_TRAINING_POINTS = 32  # a centroid
_TRAINING_ITERATIONS = 8
_BLOCK = 16_384


@dataclass(frozen=True, eq=False)
class _Lists:
    """Trained lists: what an earlier base hands on to its successor."""

    centroids: NDArray[np.float32]
    limits: NDArray[np.float32]
    calibration: Calibration | None
    """None where it is to be measured."""
    trained_on: int
    """Number of vectors when the centroids were trained."""


def write_vectors(
    path: Path,
    stamp: Stamp,
    vectors: Iterable[tuple[NDArray[np.int64], NDArray[np.float16]]],
    *,
    dim: int,
    policy: IndexPolicy,
    before: MappedBase | None = None,
) -> int:
    """Write the file of an index in place of the one that is there, whole or not at all.

    Parameters
    ----------
    vectors : iterable of (ids, half)
        Int64 (m,) and float16 (m, dim), each id once.
    before : MappedBase, optional
        The base so far: while the library has not doubled, its centroids are used again, and while
        a quarter of it has not changed, its calibration.

    Returns
    -------
    int
        How many vectors it holds.

    Raises
    ------
    IndexFileError
        It cannot be written; the file that was there is left.
    """
    try:
        with _spooled(path, vectors, dim) as (ids, half):
            order = np.argsort(ids, kind="stable")
            facts: dict[str, Any] = {"stamp": asdict(stamp), "dim": dim}
            if len(ids) <= policy.exact_up_to:
                write_arrays(
                    path,
                    {"ids": ids[order], "half": half[order]},
                    kind=KIND,
                    facts={**facts, "calibration": None},
                )
            else:
                _write_base(path, ids[order], order, half, facts, policy=policy, before=before)
            return len(ids)
    except OSError as error:
        raise IndexFileError(
            f"{path} cannot be written ({error.strerror or error}): make room or set the "
            "permissions of its folder; nothing is lost, it is made from the catalog"
        ) from error


@contextmanager
def _spooled(
    path: Path, vectors: Iterable[tuple[NDArray[np.int64], NDArray[np.float16]]], dim: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
    """Ids (n,) and vectors (n, dim) in the order that they came, the latter in a temporary file."""
    ids = [np.empty(0, dtype=np.int64)]
    with tempfile.TemporaryFile(dir=path.parent) as file:
        for some, half in vectors:
            ids.append(some)
            file.write(np.ascontiguousarray(half, dtype="<f2").data)
        file.flush()
        joined = np.concatenate(ids)
        yield joined, _mapped(file, (len(joined), dim))


def _mapped(file: BinaryIO, shape: tuple[int, int]) -> NDArray[np.float16]:
    if not shape[0]:
        return np.empty(shape, dtype=np.float16)
    return np.memmap(file, dtype="<f2", mode="r", shape=shape)


def _write_base(
    path: Path,
    ids: NDArray[np.int64],
    spooled: NDArray[np.int64],
    half: NDArray[np.float16],
    facts: dict[str, Any],
    *,
    policy: IndexPolicy,
    before: MappedBase | None,
) -> None:
    """Write a base of vectors with ascending ids, which lie at `spooled` (n,) in `half`."""
    lists = _lists_for(half, policy, before)
    kept = before if before is not None and lists.centroids is before.centroids else None
    homes = np.empty(len(ids), dtype=np.int64)
    for start in range(0, len(ids), _BLOCK):
        part = slice(start, start + _BLOCK)
        homes[part] = _homes(ids[part], half[spooled[part]], lists.centroids, kept)
    # In a list by id, as they are.
    order = np.argsort(homes, kind="stable")
    row_of = np.empty(len(order), dtype=np.int32)
    row_of[order] = np.arange(len(order), dtype=np.int32)
    sizes = np.bincount(homes, minlength=len(lists.centroids))
    of_row = spooled[order]

    def read(rows: NDArray[np.int64] | slice) -> NDArray[np.float16]:
        return half[of_row[rows]]

    def blocks() -> Iterator[NDArray[np.float16]]:
        for start in range(0, len(ids), _BLOCK):
            yield read(slice(start, start + _BLOCK))

    ordered = ListedVectors(read, homes[order].astype(np.int32), sizes)
    coded = CodedLists(lists.centroids, lists.limits)
    for start, block in zip(range(0, len(ids), _BLOCK), blocks(), strict=True):
        rows = np.arange(start, start + len(block))
        coded.add(rows, to_unit_float32(block), homes[order[rows]])
    calibration = lists.calibration or calibrate(
        ordered, coded, recall=policy.recall, queries=policy.queries, seed=policy.seed
    )
    drawn = np.random.default_rng(policy.seed).permutation(len(ids))[:MOST_SAMPLED]
    write_arrays(
        path,
        {
            "centroids": lists.centroids,
            "limits": lists.limits,
            "sizes": sizes,
            "ids": ids,
            "row_of": row_of,
            "id_of": ids[order],
            "lists": ArrayBlocks(
                np.dtype(np.uint8), (len(ids) * coded.bytes_each,), coded.list_bytes()
            ),
            "sample": half[np.sort(spooled[drawn])],
            "half": ArrayBlocks(np.dtype("<f2"), (len(ids), half.shape[1]), blocks()),
        },
        kind=KIND,
        facts={
            **facts,
            "calibration": asdict(calibration),
            "trained_on": lists.trained_on,
        },
    )


def _homes(
    ids: NDArray[np.int64],
    half: NDArray[np.float16],
    centroids: NDArray[np.float32],
    kept: MappedBase | None,
) -> NDArray[np.int64]:
    """The list of each vector, (n,): the one that it lies in already, where the lists are kept."""
    homes = np.empty(len(ids), dtype=np.int64)
    new = np.ones(len(ids), dtype=bool)
    if kept is not None:
        held = np.flatnonzero(kept.holds(ids))
        rows = kept.rows_of(ids[held])
        same = (kept.half(rows) == half[held]).all(axis=1)
        homes[held[same]] = kept.lists_of(rows[same])
        new[held[same]] = False
    if new.any():
        homes[new] = assigned_lists(centroids, half[new].astype(np.float32))
    return homes


def _lists_for(half: NDArray[np.float16], policy: IndexPolicy, before: MappedBase | None) -> _Lists:
    """The lists of the base so far where they still fit so many vectors; else newly trained."""
    count, dim = half.shape
    if before is not None and (
        before.trained_on / policy.retrain_at <= count <= before.trained_on * policy.retrain_at
    ):
        measured = before.calibration
        kept = abs(count - measured.vectors) <= policy.measure_at * measured.vectors
        return _Lists(
            before.centroids, before.limits, measured if kept else None, before.trained_on
        )
    wanted = max(1, min(count, round(policy.lists_per_root * count**0.5)))
    sample = np.random.default_rng(policy.seed).permutation(count)[: wanted * _TRAINING_POINTS]
    means = faiss.Kmeans(
        dim,
        wanted,
        niter=_TRAINING_ITERATIONS,
        spherical=True,
        seed=policy.seed,
        min_points_per_centroid=1,
        max_points_per_centroid=_TRAINING_POINTS,
    )
    points = to_unit_float32(half[np.sort(sample)])
    means.train(points)
    return _Lists(means.centroids, learned_limits(means.centroids, points), None, count)
