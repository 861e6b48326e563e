"""What a catalog holds: its tracks, their embeddings and tags, and lists of them; no ranking."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self, SupportsIndex

import numpy as np

from indexer.errors import QueryError, UnknownTrack
from recommender.retrieval.filters import where_mask
from recommender.retrieval.listing import (
    FACETS,
    OF_FACET,
    Listing,
    TextFits,
    count_values,
    format_cursor,
    page_of,
    parse_cursor,
)
from recommender.retrieval.lookup import (
    count_noun,
    find_track,
    require_present,
    result_count,
    whole_number,
)
from recommender.retrieval.snapshot import empty_catalog_message, take_snapshot
from recommender.retrieval.tag_order import strongest_tags
from recommender.retrieval.track_ids import as_ids, indexed_ids, refuse_unknown
from recommender.retrieval.where import EVERYTHING, Where

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from indexer.catalog.album_queries import AlbumRow
    from indexer.catalog.file_queries import TrackFile
    from indexer.catalog.opinions import Opinions
    from indexer.catalog.records import CatalogChanges, StoredModel, Track
    from indexer.facets.columns import Columns
    from indexer.library import Library
    from indexer.vectors.base import Stamp
    from recommender.retrieval.listing import FacetValue
    from recommender.retrieval.snapshot import Snapshot
    from recommender.retrieval.song_matching import SongDescription
    from recommender.retrieval.words.vocabulary import Vocabulary

_ALL = 2**31
_BLOCK = 5_000
"""Tracks read at once by `CatalogView.stream_tracks`."""


class CatalogView:
    """The tracks of a catalog, as it is at each call. Also a context manager that closes it.

    It sees what a writer adds while it is open. Several threads may use one.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._text_fits = TextFits(library.catalog)
        self._last: Snapshot | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalog."""
        self._library.close()

    def __len__(self) -> int:
        """How many tracks can be answers."""
        with self._library.lock:
            self._library.refresh()
            return len(self._library.index or ())

    def ids(self, where: Where | None = None) -> NDArray[np.int64]:
        """Ids of the tracks that can be answers, or of those a filter keeps, ascending.

        Raises
        ------
        InvalidOption
            The filter names a tag that the model does not have.
        """
        with self._library.lock:
            if len(self) == 0:
                return np.empty(0, np.int64)
            with self._snapshot() as snapshot:
                selection = snapshot.select(where)
                ids = snapshot.index.ids() if selection.subset is None else selection.subset.ids
                return np.setdiff1d(ids, selection.excluded, assume_unique=True)

    def vectors(self, ids: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """The unit embeddings (len(ids), dim) of tracks.

        Raises
        ------
        UnknownTrack
        """
        with self._snapshot() as snapshot:
            return snapshot.index.reconstruct(indexed_ids(snapshot.index, ids))

    def activations(self, ids: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """Probability of each of `model.tag_names` for tracks, (len(ids), tags).

        Raises
        ------
        UnknownTrack
        """
        with self._snapshot() as snapshot:
            wanted = indexed_ids(snapshot.index, ids)
            return snapshot.catalog.activations_of(wanted.tolist(), snapshot.model)

    def tracks(self, ids: Sequence[int] | NDArray[np.integer]) -> list[Track]:
        """The tracks with these ids, in their order.

        Raises
        ------
        UnknownTrack
        """
        wanted = as_ids(ids)
        found = self._library.catalog.tracks(wanted.tolist())
        refuse_unknown(wanted[[track_id not in found for track_id in wanted.tolist()]])
        return [found[track_id] for track_id in wanted.tolist()]

    def stream_tracks(self, ids: Sequence[int] | NDArray[np.integer]) -> Iterator[Track]:
        """The tracks with these ids, in their order, a block of them in memory at a time.

        Raises
        ------
        UnknownTrack
        """
        for start in range(0, len(ids), _BLOCK):
            yield from self.tracks(ids[start : start + _BLOCK])

    def track(self, query: SupportsIndex | str | bytes) -> Track:
        """The track that an id, key, path (bytes too) or part of "artist - title" means.

        Raises
        ------
        UnknownTrack, AmbiguousTrack
        """
        return find_track(self._library.catalog, query)

    def matching_tracks(self, song: SongDescription) -> list[Track]:
        """Tracks that are the song which another program describes, the best first.

        Only those that can be seeds: a track without an embedding, as one is until a newer model
        has come to it, is not known.
        """
        from recommender.retrieval.song_matching import matching_tracks

        found = matching_tracks(self._library.catalog, song)
        if not found:
            return []
        seeds = set(self.ids(Where(among=tuple(track.id for track in found))).tolist())
        return [track for track in found if track.id in seeds]

    def track_of_recording(self, audio_hash: bytes) -> Track | None:
        """The first track that holds a recording, `TrackAnalysis.facts.audio_hash`; None: none."""
        return self._library.catalog.track_by_hash(audio_hash)

    def track_file(self, track: SupportsIndex) -> TrackFile:
        """The file of a present track, by its id.

        Raises
        ------
        UnknownTrack
            There is none with this id, or its file is not there.
        """
        from indexer.catalog.file_queries import track_file

        number = whole_number(track, "a track's id")
        file = track_file(self._library.catalog, number)
        if file is None:
            found = require_present(find_track(self._library.catalog, number))
            raise UnknownTrack(f"track {found.id} came back just now: ask again")
        return file

    @property
    def opinions(self) -> Opinions:
        """What listeners said of tracks, albums and artists: stars and ratings."""
        return self._library.opinions

    @property
    def path(self) -> Path:
        """The catalog's file, or on a server the one beside which this machine keeps caches."""
        return self._library.catalog.path

    def folders(self) -> list[bytes]:
        """Folders that were indexed, as absolute paths."""
        return self._library.catalog.roots()

    def browse(
        self,
        text: str = "",
        n: int = 50,
        *,
        after: str | None = None,
        where: Where | None = None,
    ) -> Listing:
        """A page of the tracks whose title, artist and album hold all words of a text.

        Tracks whose title or artist begins so come first, then those in which each word begins a
        word; equal ones by artist, album and title. A word of one or two letters is looked for as
        the beginning of one only.

        Parameters
        ----------
        after : str, optional
            `Listing.after` of the page before.

        Raises
        ------
        InvalidOption
        """
        n = result_count(n)
        begin = parse_cursor(after)
        model = self.model

        def page(columns: Columns) -> tuple[NDArray[np.int64], tuple[int, int] | None, int, int]:
            mask, fit, kept = self._matching(columns, text, where or EVERYTHING, model)
            ids, end = page_of(columns, mask, fit, n, begin)
            return ids, end, int(np.count_nonzero(mask)), kept

        ids, end, total, kept = self._library.facets.ask(page)
        note = None if total else _empty_list_note(text, where, kept)
        found = self._library.catalog.tracks(ids.tolist())
        tracks = tuple(found[track_id] for track_id in ids.tolist() if track_id in found)
        return Listing(tracks, total, format_cursor(end), note)

    def matching_ids(self, text: str) -> NDArray[np.int64]:
        """Ids of all tracks that `browse` lists for a text, in its order.

        Raises
        ------
        InvalidOption
        """
        if len(self) == 0:
            return np.empty(0, np.int64)
        model = self.model

        def order(columns: Columns) -> NDArray[np.int64]:
            mask, fit, _ = self._matching(columns, text, EVERYTHING, model)
            return page_of(columns, mask, fit, columns.size, None)[0]

        return self._library.facets.ask(order)

    def _matching(
        self, columns: Columns, text: str, where: Where, model: StoredModel
    ) -> tuple[NDArray[np.bool_], NDArray[np.int8] | None, int]:
        """Rows that a filter keeps and a text fits, how well it fits, and how many were kept."""
        mask = where_mask(where, self._library.catalog, model, columns)
        kept = int(np.count_nonzero(mask))
        fit = self._text_fits.fit(text, columns)
        return mask if fit is None else mask & (fit >= 0), fit, kept

    def facets(
        self, text: str = "", *, where: Where | None = None, most: int = 30
    ) -> dict[str, tuple[FacetValue, ...]]:
        """How many tracks would remain if a filter also asked for a value, by facet.

        The facets are those of `recommender.retrieval.listing.FACETS`; what the filter already
        asks of a facet does not narrow that facet itself.

        Raises
        ------
        InvalidOption
        """
        where = where or EVERYTHING
        model = self.model

        def count(columns: Columns) -> dict[str, tuple[FacetValue, ...]]:
            fit = self._text_fits.fit(text, columns)
            masks: dict[Where, NDArray[np.bool_]] = {}
            counts = {}
            for facet in FACETS:
                other = replace(where, **OF_FACET[facet])
                if other not in masks:
                    mask = where_mask(other, self._library.catalog, model, columns)
                    masks[other] = mask if fit is None else mask & (fit >= 0)
                counts[facet] = count_values(facet, columns, masks[other], most)
            return counts

        return self._library.facets.ask(count)

    def artists(self, text: str) -> tuple[str, ...]:
        """Artists, as tags write them, of all tracks that `browse` lists for a text."""
        if len(self) == 0:
            return ()

        def names(columns: Columns) -> tuple[str, ...]:
            fit = self._text_fits.fit(text, columns)
            mask = np.ones(columns.size, np.bool_) if fit is None else fit >= 0
            return tuple(one.value for one in count_values("artist", columns, mask, _ALL))

        return self._library.facets.ask(names)

    def changes(self) -> CatalogChanges:
        """Numbers of the catalog's last changes; takes microseconds."""
        return self._library.catalog.changes()

    def album_rows(self) -> Iterator[AlbumRow]:
        """What says of each present track of which album it is and by whom, by ascending id."""
        from indexer.catalog.album_queries import album_rows

        return album_rows(self._library.catalog)

    def file_sizes(self, ids: Sequence[int]) -> dict[int, int]:
        """Bytes of the files of tracks by id; unknown ids are left out."""
        from indexer.catalog.album_queries import file_sizes

        return file_sizes(self._library.catalog, ids)

    def ids_of_paths(self, paths: Sequence[bytes]) -> dict[bytes, int]:
        """Ids of the present tracks with exactly these absolute paths; others are left out."""
        from indexer.catalog.file_queries import ids_of_paths

        return ids_of_paths(self._library.catalog, paths)

    def ids_of_keys(self, keys: Sequence[str]) -> dict[str, int]:
        """Ids of the tracks with exactly these keys; unknown keys are left out."""
        return self._library.catalog.ids_of_keys(keys)

    def tags(self, track: int | str) -> list[tuple[str, float]]:
        """The model's tags for a track with their probabilities, strongest first.

        Raises
        ------
        UnknownTrack, AmbiguousTrack
        """
        found = self.track(track)
        model = self._library.catalog.active_model()
        if model is None:
            return []
        activations = self._library.catalog.activations(found.id, model.id)
        if activations is None:
            return []
        return strongest_tags(model.tag_names, activations)

    @property
    def model(self) -> StoredModel:
        """The model that answers come from: its name, sizes and tag names."""
        with self._snapshot() as snapshot:
            return snapshot.model

    @property
    def stamp(self) -> Stamp:
        """Which catalog and model answers come from, and the last change that they know."""
        with self._library.lock:
            self._library.refresh()
            stamp = self._library.stamp
        if stamp is None:
            raise QueryError(empty_catalog_message(self._library.catalog))
        return stamp

    @property
    def version(self) -> int:
        """A number that changes whenever a track that can be an answer does, or its tags."""
        with self._library.lock:
            self._library.refresh()
            return self._library.version

    @property
    def median_random_cosine(self) -> float:
        """The median cosine of random pairs of tracks: the background of this library."""
        with self._snapshot() as snapshot:
            return snapshot.median_random_cosine

    @property
    def mean_activations(self) -> NDArray[np.float32]:
        """The mean probability of each of `model.tag_names` over the library, (tags,)."""
        with self._snapshot() as snapshot:
            return snapshot.mean_activations

    @property
    def vocabulary(self) -> Vocabulary:
        """Words that can be asked for: the model's tags, the library's genres, what is measured."""
        with self._snapshot() as snapshot:
            return snapshot.words.vocabulary

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        """The library's present state, which no other thread changes meanwhile."""
        with self._library.lock:
            self._last = take_snapshot(self._library, self._last)
            yield self._last


def _empty_list_note(text: str, where: Where | None, kept: int) -> str:
    """One sentence on why a list is empty."""
    if where not in (None, EVERYTHING) and not kept:
        return f"the filter ({where}) keeps no track"
    among = f" among the {count_noun(kept, 'track')} that the filter keeps" if where else ""
    return f"no title, artist or album{among} holds all words of {text!r}"
