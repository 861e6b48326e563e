"""A process that answers one line of JSON with another: a reader or the writer of a catalog.

    python -m benchmarks.asking CATALOG

Each line on stdin names a function of `Reader` as `do`, beside its arguments; the line on stdout is
what it returns, with `ms` where questions were timed. The parent decides when each process is
asked, so that several catalogs, programs and versions of this one answer in turn. Only what has
been public for long is used: the packages can be those of another checkout.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.own_memory import memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.writing import Writer
    from recommender import Recommender

K = 10


class Reader:
    """A catalog that is asked. Each method is a request; `path` is the catalog's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: Recommender | None = None
        self._writer: Writer | None = None

    @property
    def opened(self) -> Recommender:
        """The recommender, once `open` was asked."""
        if self._opened is None:
            raise RuntimeError("the catalog is not open")
        return self._opened

    def load(self) -> dict[str, Any]:
        """Import all that a question needs."""
        began = time.perf_counter()
        import faiss  # noqa: F401
        import sqlalchemy.dialects.sqlite  # noqa: F401

        import recommender.engine
        import recommender.text.search
        from indexer.library import Library  # noqa: F401

        return {"ms": [1e3 * (time.perf_counter() - began)], "from": recommender.__file__}

    def open(self) -> dict[str, Any]:
        """Open the catalog."""
        from recommender import Recommender

        began = time.perf_counter()
        self._opened = Recommender.open(self.path)
        return {"ms": [1e3 * (time.perf_counter() - began)]}

    @property
    def held(self) -> Writer:
        """The writer, once `hold` was asked."""
        if self._writer is None:
            raise RuntimeError("the catalog is not held")
        return self._writer

    def close(self) -> dict[str, Any]:
        """Close the catalog."""
        self.opened.close()
        self._opened = None
        return {}

    def similar(self, ids: list[int], where: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask for what sounds like each track."""
        kept = _where(where)
        return timed(lambda one: self.opened.similar_to_track(one, K, where=kept), ids)

    def nearest(self, ids: list[int], where: dict[str, Any] | None = None) -> dict[str, Any]:
        """The `K` nearest of each track's vector, whatever they are, as lists of ids."""
        vectors = self.opened.vectors(ids)
        found = [
            self.opened.nearest(vector[None], K, where=_where(where))[0][0].tolist()
            for vector in vectors
        ]
        return {"ids": found}

    def kept(self, where: dict[str, Any], file: str) -> dict[str, Any]:
        """Write the ids of the tracks that a filter keeps to a file of numpy's."""
        import numpy as np

        np.save(file, self.opened.ids(_where(where)))
        return {}

    def find(self, texts: list[str]) -> dict[str, Any]:
        """Ask for what fits each text."""
        from recommender.text.search import find

        return timed(lambda text: find(self.opened, text, K), texts)

    def track(self, texts: list[str]) -> dict[str, Any]:
        """Ask which track each text means."""
        return timed(self._track, texts)

    def _track(self, text: str) -> None:
        from indexer.errors import AmbiguousTrack

        try:
            self.opened.track(text)
        except AmbiguousTrack:
            return

    def names(self, ids: list[int]) -> dict[str, Any]:
        """Words that name each track, its artist and title."""
        return {"texts": [f"{one.artist} - {one.title}" for one in self.opened.tracks(ids)]}

    def browse(self, texts: list[str]) -> dict[str, Any]:
        """Ask for the first page of each text."""
        return timed(self.opened.browse, texts)

    def facets(self, texts: list[str]) -> dict[str, Any]:
        """Ask for the counts beside each text."""
        return timed(self.opened.facets, texts)

    def see(self, vector: list[float], track: int, patience_s: float) -> dict[str, Any]:
        """Ask until a track is the nearest of its vector; the wall clock, and CPU, of that."""
        import numpy as np

        query = np.array([vector], np.float32)
        query /= np.linalg.norm(query)
        cpu, began = _cpu_s(), time.monotonic()
        seen = False
        while not seen and time.monotonic() < began + patience_s:
            seen = track in self.opened.nearest(query, K)[0][0].tolist()
            if not seen:
                time.sleep(0.02)
        wall = 1e3 * (time.monotonic() - began)
        return {"seen": seen, "ms": [wall], "cpu_ms": 1e3 * (_cpu_s() - cpu)}

    def memory(self) -> dict[str, Any]:
        """Memory of this process in MB: see `memory_mb`."""
        return memory_mb()

    def add(self, vector: list[float], name: str) -> dict[str, Any]:
        """Write one more track as the catalog's writer, which closes it again."""
        from benchmarks.writing import Writer

        with Writer(self.path) as writer:
            return writer.add([vector], [name])

    def hold(self) -> dict[str, Any]:
        """Open the catalog as its writer, and keep it open."""
        from benchmarks.writing import Writer

        self._writer = Writer(self.path)
        return {}

    def walk(self, folder: str) -> dict[str, Any]:
        """Walk a folder with the standard library, and stat each file."""
        began = time.perf_counter()
        for inside, _, names in os.walk(os.fsencode(folder)):
            for name in names:
                os.stat(os.path.join(inside, name))  # noqa: PTH116, PTH118 - names are bytes
        return {"ms": [1e3 * (time.perf_counter() - began)]}

    def rescan(self, folder: str, count: int) -> dict[str, Any]:
        """Index a folder of which no file has changed; see `benchmarks.writing.rescan`."""
        from benchmarks.writing import rescan

        return rescan(self.path, folder, count)

    def more(self, vectors: list[list[float]], names: list[str]) -> dict[str, Any]:
        """Write more tracks as the writer that `hold` made; see `Writer.add`."""
        return self.held.add(vectors, names)

    def release(self) -> dict[str, Any]:
        """Close the writer that `hold` made."""
        self.held.library.close()
        self._writer = None
        return {}

    def back(self, ids: list[int]) -> dict[str, Any]:
        """Let removed tracks come back as the writer that `hold` made; see `Writer.remove`."""
        return self.held.remove(ids, back=True)

    def change(self) -> dict[str, Any]:
        """The number of the last change that answers know."""
        return {"change": self.opened.stamp.change}

    def samples(self, seconds: float, ids: list[int]) -> dict[str, Any]:
        """Ask for the nearest of one track after another; `samples` are those of `_sample`."""
        began = time.monotonic()
        found = []
        while time.monotonic() < began + seconds:
            found.append(self._sample(ids[len(found) % len(ids)]))
        return {"samples": found}

    def fewer(self, ids: list[int]) -> dict[str, Any]:
        """Remove tracks as the writer that `hold` made; see `Writer.remove`."""
        return self.held.remove(ids)

    def without_pause(self, seconds: float, seeds: str, record: str) -> dict[str, Any]:
        """Ask for what sounds like one track after another, and once a second for the nearest.

        Writes to `record`: `at` (`time.monotonic` of each question) and `ms`, float64 (n,); of the
        nearest `sampled`, the seeds, and `changes`, the number of the change that the answer knows,
        int64 (m,), and `answers`, ids int64 (m, K), -1 for none.

        Returns
        -------
        dict
            `memory_mb` afterwards.
        """
        import numpy as np

        ids = np.load(seeds).tolist()
        began = time.monotonic()
        at, ms, samples = [], [], []
        for number in count():
            asked = time.monotonic()
            if asked >= began + seconds:
                break
            self.opened.similar_to_track(ids[number % len(ids)], K)
            at.append(asked)
            ms.append(1e3 * (time.monotonic() - asked))
            if asked - began > len(samples):
                samples.append(self._sample(ids[number % len(ids)]))
        sampled = np.array(samples, np.int64).reshape(len(samples), 2 + K)
        np.savez(
            record,
            at=at,
            ms=ms,
            sampled=sampled[:, 0],
            changes=sampled[:, 1],
            answers=sampled[:, 2:],
        )
        return memory_mb()

    def _sample(self, seed: int) -> list[int]:
        """A seed, the change that its answer knows, and the ids of its nearest, -1 for none."""
        query = self.opened.vectors([seed])
        while True:
            before = self.opened.stamp.change
            found = self.opened.nearest(query, K)[0][0].tolist()
            if self.opened.stamp.change == before:
                return [seed, before, *found, *[-1] * (K - len(found))]


def _where(given: dict[str, Any] | None) -> Any:
    from recommender import Where

    if given is None:
        return None
    return Where(**{key: tuple(v) if isinstance(v, list) else v for key, v in given.items()})


def _cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def timed(ask: Callable[[Any], object], questions: Iterable[Any]) -> dict[str, Any]:
    """Ask each question; `ms` says how long each took."""
    times = []
    for question in questions:
        began = time.perf_counter()
        ask(question)
        times.append(1e3 * (time.perf_counter() - began))
    return {"ms": times}


def _main(catalog: str) -> None:
    reader = Reader(Path(catalog))
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(reader, request.pop("do"))(**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
