"""What every endpoint of one server shares."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.server.opensubsonic.tree_building import build_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from recommender.engine import Recommender
    from recommender.server.context import Context
    from recommender.server.opensubsonic.kept_playlists import KeptPlaylists
    from recommender.server.opensubsonic.library_tree import LibraryTree
    from recommender.server.opensubsonic.marks import Marks

SLOW_S = 0.5
"""A tree that costs more of a processor is kept for a while although the catalog has changed ..."""
SHARE = 0.05
"""... so that no more than this part of the time is spent on it while tracks come in."""


class KeptTree:
    """The tree of a catalog, made again when the catalog has changed. Threads may share one."""

    def __init__(
        self,
        recommender: Recommender,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._recommender = recommender
        self._clock, self._cpu_clock = clock, cpu_clock
        self._lock = threading.Lock()
        self._tree: LibraryTree | None = None
        self._change = -1
        self._keep_until = 0.0
        self._changed_at_ms = 1

    def changed_at_ms(self) -> int:
        """Unix time in milliseconds at which the tree was made, and 1 at least."""
        self.tree()
        return self._changed_at_ms

    def tree(self) -> LibraryTree:
        """Artists, albums and songs as the catalog is now, or was a moment ago."""
        tree, change = self._tree, self._recommender.changes().facets
        if tree is not None and (change == self._change or self._clock() < self._keep_until):
            return tree
        with self._lock:
            change = self._recommender.changes().facets
            if self._tree is not None and change == self._change:
                return self._tree
            began, spent_before = self._clock(), self._cpu_clock()
            self._tree = build_tree(self._recommender.album_rows())
            self._change = change
            self._changed_at_ms = int(1000 * time.time())
            spent = self._cpu_clock() - spent_before
            self._keep_until = began + spent / SHARE if spent > SLOW_S else 0.0
            return self._tree


@dataclass(frozen=True, eq=False)
class RestServer:
    """What every endpoint of one server shares.

    Attributes
    ----------
    context : Context
    kept_tree : KeptTree
    marks : function to Marks
        Stars and ratings as they are now.
    playlists : KeptPlaylists
    """

    context: Context
    kept_tree: KeptTree
    marks: Callable[[], Marks]
    playlists: KeptPlaylists

    @property
    def recommender(self) -> Recommender:
        """What answers questions."""
        return self.context.recommender

    @property
    def tree(self) -> LibraryTree:
        """Artists, albums and songs as the catalog is now, or was a moment ago."""
        return self.kept_tree.tree()
