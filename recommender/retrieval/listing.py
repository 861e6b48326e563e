"""Lists of a library's tracks, from a table that is made again as the catalog changes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import InvalidOption
from recommender.retrieval.lookup import LARGEST_ID
from recommender.retrieval.track_table import TrackTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel

PATIENCE = 20
"""A table is used for so many times as long as it took to make, however the catalog changes, so
that an index run costs its readers a twentieth of their time."""
QUICK_S = 0.05
"""A table that is made this quickly is never out of date."""
_BATCH = 10_000


class TableCache:
    """The table of a catalog, made when it is first asked for. Several threads may use one."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._table: TrackTable | None = None
        self._state: tuple[int, StoredModel] | None = None
        self._due = 0.0

    def table(self, ids: NDArray[np.int64], model: StoredModel) -> TrackTable:
        """The table of the tracks with embeddings, as the catalog is or was a little while ago.

        Parameters
        ----------
        ids : int64, ascending
            The tracks with embeddings.
        """
        with self._lock:
            state = (self._catalog.data_version(), model)
            began = time.monotonic()
            outdated = state != self._state and began >= self._due
            if self._table is None or outdated or (self._state and self._state[1] != model):
                self._table = _make_table(self._catalog, ids, model)
                self._state = state
                spent = time.monotonic() - began
                self._due = 0.0 if spent < QUICK_S else began + PATIENCE * spent
            return self._table


def _make_table(catalog: Catalog, ids: NDArray[np.int64], model: StoredModel) -> TrackTable:
    # SQLAlchemy comes with the first catalog, not with the import.
    from indexer.catalog.listing_queries import listed_tracks

    activations = np.empty((len(ids), len(model.tag_names)), dtype=np.float16)
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH].tolist()
        activations[start : start + len(batch)] = catalog.activations_of(batch, model)
    return TrackTable.of(listed_tracks(catalog), np.nan_to_num(activations), ids, model.tag_names)


def format_cursor(after: tuple[int, int] | None) -> str | None:
    """A place in a list as text, for whoever asks for the next page."""
    return None if after is None else f"{after[0]}.{after[1]}"


def parse_cursor(text: str | None) -> tuple[int, int] | None:
    """A place in a list, as `format_cursor` wrote it.

    Raises
    ------
    InvalidOption
    """
    if text is None:
        return None
    fit, _, track_id = text.partition(".")
    if not (fit.isascii() and fit.isdigit() and track_id.isascii() and track_id.isdigit()):
        raise InvalidOption(f"{text!r} is no place in a list: leave the cursor out")
    place = int(fit[:3]), int(track_id[:20])
    if place[1] > LARGEST_ID:
        raise InvalidOption(f"{text!r} is no place in a list: leave the cursor out")
    return place
