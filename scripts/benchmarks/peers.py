"""Other vector indexes on the same vectors, each in a process that answers lines of JSON.

    python -m benchmarks.peers hnswlib|usearch FILE VECTORS.npy

Like `benchmarks.asking`. `build` makes the index file, with vectors as float16 where the library
has them (usearch), and a list length that finds at least `RECALL` of the neighbours.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.asking import K, timed
from benchmarks.own_memory import memory_mb

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("usearch", "hnswlib")
RECALL = 0.99
LINKS, LISTED = 16, 100
"""Links of each vector, and the list length while the graph is built."""
_LISTS = (32, 64, 100, 150, 200, 300, 500, 800)
_JUDGED = 100
_BLOCK = 20_000


def installed(name: str) -> bool:
    """Whether a library is on this machine; none of them is a dependency."""
    return find_spec(name) is not None


class Usearch:
    """usearch: a graph of float16 vectors, its file mapped into memory."""

    def __init__(self, path: Path, dim: int) -> None:
        from usearch.index import Index

        self.path = path
        self.index = Index(
            ndim=dim, metric="ip", dtype="f16", connectivity=LINKS, expansion_add=LISTED
        )

    def begin(self, count: int) -> None:
        """Nothing: it makes room as it grows."""

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors."""
        self.index.add(ids, vectors)

    def save(self) -> None:
        """Write the file."""
        self.index.save(str(self.path))

    def open(self) -> None:
        """Open the file."""
        self.index.view(str(self.path))

    def search(self, query: NDArray[np.float32], listed: int) -> NDArray[np.int64]:
        """The `K` nearest of one vector."""
        self.index.expansion_search = listed
        return np.asarray(self.index.search(query, K).keys, np.int64)


class Hnswlib:
    """hnswlib: a graph of float32 vectors, its file read into memory."""

    def __init__(self, path: Path, dim: int) -> None:
        import hnswlib

        self.path = path
        self.index = hnswlib.Index(space="ip", dim=dim)

    def begin(self, count: int) -> None:
        """Make room for vectors."""
        self.index.init_index(count, M=LINKS, ef_construction=LISTED)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors."""
        self.index.add_items(vectors, ids)

    def save(self) -> None:
        """Write the file."""
        self.index.save_index(str(self.path))

    def open(self) -> None:
        """Read the file."""
        self.index.load_index(str(self.path))

    def search(self, query: NDArray[np.float32], listed: int) -> NDArray[np.int64]:
        """The `K` nearest of one vector."""
        self.index.set_ef(listed)
        return self.index.knn_query(query[None], K, num_threads=1)[0][0].astype(np.int64)


class Peer:
    """An index that is asked. Each method is a request, as of `benchmarks.asking.Reader`."""

    def __init__(self, name: str, path: Path, vectors: Path) -> None:
        self.name, self.path = name, path
        self.facts = path.with_suffix(".json")
        self.vectors = np.load(vectors, mmap_mode="r")
        self.index: Any = None
        self.listed = _LISTS[0]

    def load(self) -> dict[str, Any]:
        """Import the library."""
        began = time.perf_counter()
        __import__("usearch.index" if self.name == "usearch" else self.name)
        return {"ms": [1e3 * (time.perf_counter() - began)]}

    def build(self) -> dict[str, Any]:
        """Make the file, unless it is there; returns the seconds that took then."""
        if not self.facts.exists():
            index = self._new()
            began = time.perf_counter()
            index.begin(len(self.vectors))
            for start in range(0, len(self.vectors), _BLOCK):
                block = self.vectors[start : start + _BLOCK].astype(np.float32)
                index.add(np.arange(start, start + len(block)) + 1, block)
            built = time.perf_counter() - began
            index.save()
            self.index = index
            listed, recall = self._calibrate()
            facts = {"built_s": built, "listed": listed, "recall": recall}
            self.facts.write_text(json.dumps(facts), encoding="utf-8")
            self.index = None
        found: dict[str, Any] = json.loads(self.facts.read_text(encoding="utf-8"))
        return found

    def open(self) -> dict[str, Any]:
        """Open the file."""
        began = time.perf_counter()
        self.index = self._new()
        self.index.open()
        self.listed = json.loads(self.facts.read_text(encoding="utf-8"))["listed"]
        return {"ms": [1e3 * (time.perf_counter() - began)]}

    def similar(self, ids: list[int]) -> dict[str, Any]:
        """Search for each track's vector."""
        queries = [self.vectors[number - 1].astype(np.float32) for number in ids]
        return timed(lambda query: self.index.search(query, self.listed), queries)

    def nearest(self, ids: list[int]) -> dict[str, Any]:
        """The `K` nearest of each track's vector, as lists of ids."""
        queries = [self.vectors[number - 1].astype(np.float32) for number in ids]
        return {"ids": [self.index.search(one, self.listed).tolist() for one in queries]}

    def memory(self) -> dict[str, Any]:
        """Memory of this process in MB."""
        return memory_mb()

    def _new(self) -> Any:
        make = Usearch if self.name == "usearch" else Hnswlib
        return make(self.path, self.vectors.shape[1])

    def _calibrate(self) -> tuple[int, float]:
        """The shortest list that finds enough, by an exact scan, and what it finds."""
        rng = np.random.default_rng(0)
        rows = rng.integers(0, len(self.vectors), _JUDGED)
        queries = self.vectors[rows].astype(np.float32)
        best = np.full((_JUDGED, K), -2.0, np.float32)
        for start in range(0, len(self.vectors), _BLOCK):
            products = queries @ self.vectors[start : start + _BLOCK].astype(np.float32).T
            best = np.sort(np.hstack([best, products]), axis=1)[:, -K:]
        recall = 0.0
        for listed in _LISTS:
            hits = []
            for query, cosines in zip(queries, best, strict=True):
                found = self.index.search(query, listed) - 1
                products = self.vectors[np.sort(found)].astype(np.float32) @ query
                hits.append((products >= cosines[0] - 1e-5).mean())
            recall = float(np.mean(hits))
            if recall >= RECALL:
                break
        return listed, recall


def _main(name: str, path: str, vectors: str) -> None:
    peer = Peer(name, Path(path), Path(vectors))
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(peer, request.pop("do"))(**request)), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
