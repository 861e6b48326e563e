"""The vector index on FAISS: exact while it is small, inverted lists when it is large.

Vectors are kept at half precision (`half_precision` says why nothing is lost by it).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from indexer.errors import IndexFileError, UnknownTrack
from indexer.vectors import index_file, nearest
from indexer.vectors.base import (
    Stamp,
    Subset,
    VectorIndex,
    checked_ids,
    checked_k,
    checked_new_ids,
    checked_vectors,
)
from indexer.vectors.calibration import Calibration, calibrate
from indexer.vectors.inverted_lists import InvertedLists, ListSubset, checked_faiss

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

# The type stubs that newer versions of FAISS bring name only a part of it.
faiss: Any = import_module("faiss")


@dataclass(frozen=True)
class IndexPolicy:
    """When an index is exact and when it has lists, and the recall it must reach.

    Attributes
    ----------
    exact_up_to : int
        More vectors than this are grouped into lists; half of it or fewer go back to exact search.
        25,000 of 200 dimensions take one core 2 ms. At 100,000 a search needs two idle cores for
        3 ms and takes 32 when others use them, where lists take one core 0.6 ms.
    recall : float
        Part of the 10 nearest that an approximate search must find.
    lists_per_root : float
        Lists for n vectors, divided by the square root of n.
    regroup_at : float
        Grouped anew when the number of vectors has grown by this factor (or shrunk by its square).
    measure_at : float
        Recall is measured again when this part of the vectors has come or gone.
    read_all_up_to : int
        A filter that leaves at most so many vectors gets all of them scored.
    queries : int
        Held-out queries of a calibration.
    seed : int
        Of the choice of training vectors and held-out queries.
    """

    exact_up_to: int = 25_000
    recall: float = 0.99
    lists_per_root: float = 4.0
    regroup_at: float = 2.0
    measure_at: float = 0.25
    read_all_up_to: int = 10_000
    queries: int = 256
    seed: int = 0


@dataclass(frozen=True)
class IndexFacts:
    """Kind, size and measured recall of an index.

    Attributes
    ----------
    kind : {"exact", "lists"}
    vectors : int
    lists, nprobe : int
        Groups of vectors, and how many of them a search reads; 0 when exact.
    recall : float
        Measured recall at 10; 1 when exact.
    measured_at, grouped_at : int
        Number of vectors when it was measured and when they were grouped; 0 when exact.
    """

    kind: Literal["exact", "lists"]
    vectors: int
    lists: int
    nprobe: int
    recall: float
    measured_at: int
    grouped_at: int


_CALIBRATED_K = 10


class FaissIndex(VectorIndex):
    """A `VectorIndex` on FAISS.

    Up to `IndexPolicy.exact_up_to` vectors every search is exact, and its answers depend on the
    vectors only, not on how they came and went. Above, vectors are grouped around trained
    centroids and a search reads the nearest groups; how many is measured on the library. The
    switch happens inside `add` and `remove` and takes minutes for a million vectors: add many
    vectors in one call rather than in many.
    """

    def __init__(self, dim: int, *, policy: IndexPolicy | None = None) -> None:
        self._policy = policy or IndexPolicy()
        self._lists = InvertedLists.spread(dim)
        self._calibration: Calibration | None = None
        self._grouped_at = 0
        self._changed = 0  # vectors that came or went since the calibration

    @classmethod
    def open(
        cls, path: str | Path, *, dim: int, policy: IndexPolicy | None = None
    ) -> tuple[FaissIndex, Stamp]:
        """Read an index from a file that `save` wrote.

        Returns
        -------
        index : FaissIndex
        stamp : Stamp
            Which state of which catalog it holds; the caller compares.

        Raises
        ------
        IndexFileError
            A file is missing, cut short or damaged, or holds something else.
        """
        sidecar, read = index_file.read(path, lambda file: checked_faiss(_read_faiss(file), dim))
        state = sidecar.facts
        index = cls(dim, policy=policy)
        try:
            calibration = state["calibration"]
            index._calibration = Calibration(**calibration) if calibration else None
            index._grouped_at = int(state["grouped_at"])
            index._changed = int(state["changed"])
        except (KeyError, TypeError, ValueError) as error:
            raise IndexFileError(
                f"The vector index stamp of {path} lacks {error}: rebuild it from the catalog"
            ) from error
        index._lists = InvertedLists(read, trained=calibration is not None)
        return index, sidecar.stamp

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._lists.dim

    def __len__(self) -> int:
        return len(self._lists)

    def ids(self) -> NDArray[np.int64]:
        """Return all ids, ascending; see `VectorIndex.ids`."""
        return self._lists.ids.copy()

    def facts(self) -> IndexFacts:
        """Return the kind of index that this is now, and its measured recall."""
        if self._calibration is None:
            return IndexFacts("exact", len(self), 0, 0, 1.0, 0, 0)
        return IndexFacts(
            "lists",
            len(self),
            len(self._lists.centroids),
            self._calibration.nprobe,
            self._calibration.recall,
            self._calibration.vectors,
            self._grouped_at,
        )

    def add(self, ids: ArrayLike, vectors: ArrayLike) -> None:
        """Add or replace vectors; see `VectorIndex.add`."""
        rows = checked_vectors(vectors, self.dim)
        new = checked_new_ids(ids, len(rows))
        if not new.size:
            return
        known = new[self._lists.holds(new)]
        if known.size:
            self._lists.remove(known)
        self._lists.add(new, rows)
        self._settle(changed=len(new))

    def remove(self, ids: ArrayLike) -> int:
        """Remove vectors; see `VectorIndex.remove`."""
        gone = np.unique(checked_ids(ids))
        gone = gone[self._lists.holds(gone)]
        if gone.size:
            self._lists.remove(gone)
            self._settle(changed=len(gone))
        return len(gone)

    def subset(self, ids: ArrayLike) -> ListSubset:
        """Prepare ids for many searches; see `VectorIndex.subset`."""
        few = 0 if self._calibration is None else self._policy.read_all_up_to
        return self._lists.subset(checked_ids(ids), copied_up_to=few)

    def search(
        self, vectors: ArrayLike, k: int, among: ArrayLike | Subset | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k best for each query; see `VectorIndex.search`."""
        queries = checked_vectors(vectors, self.dim)
        k = checked_k(k)
        subset = None if among is None else self._ready(among)
        allowed = len(self) if subset is None else int(subset.per_list.sum())
        ids = np.empty((len(queries), min(k, allowed)), dtype=np.int64)
        scores = np.empty(ids.shape, dtype=np.float32)
        if not allowed:
            return ids, scores
        for row, query in enumerate(queries):
            if self._calibration is None:
                answer = nearest.exact(self._lists, query, k, subset)
            else:
                effort = nearest.Effort(
                    nprobe=self._calibration.nprobe,
                    k=_CALIBRATED_K,
                    reach=self._calibration.reach,
                    read_all_up_to=self._policy.read_all_up_to,
                )
                answer = nearest.approximate(self._lists, query, k, subset, effort=effort)
            ids[row], scores[row] = answer.ids, answer.scores
        return ids, scores

    def reconstruct(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return vectors by id; see `VectorIndex.reconstruct`."""
        asked = checked_ids(ids)
        unknown = asked[~self._lists.holds(asked)]
        if unknown.size:
            raise UnknownTrack(
                f"The track {unknown[0]} has no vector in the index: "
                "index its file, or name another track."
            )
        return self._lists.reconstruct(asked)

    def save(self, path: str | Path, stamp: Stamp) -> None:
        """Write the FAISS file and its sidecar; see `index_file` and `VectorIndex.save`."""
        index_file.write(
            path,
            lambda writer: _write_faiss(self._lists.index, writer),
            stamp=stamp,
            dim=self.dim,
            vectors=len(self),
            facts={
                "calibration": asdict(self._calibration) if self._calibration else None,
                "grouped_at": self._grouped_at,
                "changed": self._changed,
            },
        )

    def _ready(self, among: ArrayLike | Subset) -> ListSubset:
        if isinstance(among, ListSubset) and among.among is self._lists.ids:
            return among
        return self.subset(among.ids if isinstance(among, Subset) else among)

    def _settle(self, *, changed: int) -> None:
        """Change to the kind of index that the policy wants for this many vectors."""
        policy = self._policy
        count = len(self)
        self._changed += changed
        if self._calibration is None:
            if count > policy.exact_up_to:
                self._group()
        elif count <= policy.exact_up_to // 2:
            self._ungroup()
        elif not (
            self._grouped_at / policy.regroup_at**2 <= count < self._grouped_at * policy.regroup_at
        ):
            self._group()
        elif self._changed >= policy.measure_at * count:
            self._calibrate()

    def _group(self) -> None:
        ids, half = self._lists.everything()
        self._lists = InvertedLists.spread(self.dim)  # frees the old vectors first
        lists = max(1, round(self._policy.lists_per_root * len(ids) ** 0.5))
        self._lists = InvertedLists.train(
            ids, half, lists=min(lists, len(ids)), seed=self._policy.seed
        )
        self._grouped_at = len(ids)
        self._calibrate()

    def _ungroup(self) -> None:
        ids, half = self._lists.everything()
        self._lists = InvertedLists.spread(self.dim)
        self._lists.add_half(ids, half)
        self._calibration = None
        self._grouped_at = 0

    def _calibrate(self) -> None:
        policy = self._policy
        self._calibration = calibrate(
            self._lists,
            recall=policy.recall,
            k=_CALIBRATED_K,
            queries=policy.queries,
            seed=policy.seed,
        )
        self._lists.index.nprobe = self._calibration.nprobe
        self._changed = 0


def _write_faiss(index: Any, writer: index_file.DigestWriter) -> None:
    failures: list[OSError] = []

    def write(piece: bytes) -> None:
        # An exception must not pass through FAISS: it would come out as a RuntimeError.
        if failures:
            return
        try:
            writer.write(piece)
        except OSError as error:
            failures.append(error)

    faiss.write_index(index, faiss.PyCallbackIOWriter(write))
    if failures:
        raise failures[0]


def _read_faiss(file: BinaryIO) -> Any:
    try:
        return faiss.read_index(faiss.PyCallbackIOReader(file.read))
    except RuntimeError as error:
        raise IndexFileError(
            "The vector index file is not one that this version of FAISS reads: "
            "rebuild it from the catalog"
        ) from error
