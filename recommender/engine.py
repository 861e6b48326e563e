"""The recommender: every question goes through it.

from recommender import Ranking, Recommender, Where

with Recommender.open("catalog.db") as recommender:
    print(recommender.similar_to_track("Artist - Title", 10).to_frame())
    print(recommender.similar_to_tracks([17, "so what"], [4], where=Where(genre=("jazz",))))
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from indexer.errors import AnalysisError, QueryError, UnknownTrack
from indexer.filesystem import absolute_path
from indexer.vectors.base import checked_vectors
from recommender.retrieval.explanations import explain_words
from recommender.retrieval.filters import where_mask
from recommender.retrieval.leaning import lean
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
    resolve,
    result_count,
    whole_number,
)
from recommender.retrieval.on_demand import OnDemandPool, model_of_new_catalogs
from recommender.retrieval.ranking import PLAIN
from recommender.retrieval.retriever import nearest, nearest_steered, retrieve
from recommender.retrieval.seeds import (
    AnalysedFile,
    QueryProfile,
    as_vector,
    make_seed,
    seed_sources,
)
from recommender.retrieval.snapshot import empty_catalog_message, take_snapshot
from recommender.retrieval.tag_order import strongest_tags
from recommender.retrieval.track_ids import as_ids, indexed_ids, refuse_unknown
from recommender.retrieval.where import EVERYTHING, Where
from recommender.retrieval.words.steering import as_texts, read_steering, word_shifts
from recommender.retrieval.words.word_fit import word_scores

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import ArrayLike, NDArray

    from indexer.analysis.sandbox import Limits
    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.album_queries import AlbumRow
    from indexer.catalog.file_queries import TrackFile
    from indexer.catalog.opinions import Opinions
    from indexer.catalog.records import CatalogChanges, StoredModel, Track
    from indexer.facets.columns import Columns
    from indexer.library import Library
    from indexer.vectors.base import Stamp
    from recommender.retrieval.answers import Answer, Explain, MatchingWindows, WordShift
    from recommender.retrieval.listing import FacetValue
    from recommender.retrieval.lookup import TrackOrFile
    from recommender.retrieval.ranking import Ranking
    from recommender.retrieval.seeds import Seed, SeedLike, SeedSource, Strategy
    from recommender.retrieval.snapshot import Snapshot
    from recommender.retrieval.song_matching import SongDescription
    from recommender.retrieval.words.steering import Texts
    from recommender.retrieval.words.vocabulary import Vocabulary, Word

_BLOCK = 5_000
"""Tracks read at once by `Recommender.stream_tracks`."""


class Recommender:
    """Answers "what sounds like this?" from a catalog. Made by `open`; also a context manager.

    It sees what a writer adds while it is open. Several threads may use one.

    Every question takes a `where`, the tracks that may be answers, and those that make an `Answer`
    take a `ranking`, how it is made of the candidates, and words to steer by: `more=("calm",)`,
    `less=("vocals",)` (see `recommender.retrieval.words.steering`). A filter that keeps nothing
    gives an empty answer whose note says so. A catalog that holds no tracks yet raises
    `QueryError`, and so does a word that is not known.
    """

    def __init__(self, library: Library, *, limits: Limits | None = None) -> None:
        self._library = library
        self._on_demand = OnDemandPool(limits)
        self._text_fits = TextFits(library.catalog)
        self._last: Snapshot | None = None

    @classmethod
    def open(
        cls, catalog: str | os.PathLike[str] = "catalog.db", *, limits: Limits | None = None
    ) -> Recommender:
        """Open a catalog that `soundalike index` has made.

        Parameters
        ----------
        limits : Limits, optional
            Of what one file may cost the worker that analyses files while a question waits; by
            default those of indexing.

        Raises
        ------
        CatalogMissing, NotACatalog, CatalogTooNew
        """
        from indexer.library_on_server import open_library

        return cls(open_library(catalog), limits=limits)

    def __enter__(self) -> Recommender:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalog and end the worker that analyses files."""
        self._on_demand.close()
        self._library.close()

    def __len__(self) -> int:
        """How many tracks can be answers."""
        with self._library.lock:
            self._library.refresh()
            return len(self._library.index or ())

    def similar_to_tracks(
        self,
        liked: SeedLike | Iterable[SeedLike],
        disliked: SeedLike | Iterable[SeedLike] = (),
        n: int = 10,
        *,
        strategy: Strategy = "average",
        where: Where | None = None,
        ranking: Ranking | None = None,
        more: Texts = (),
        less: Texts = (),
        include_same: bool = False,
        why: Explain = False,
    ) -> Answer:
        """The n tracks that sound most like what is liked, and not like what is disliked.

        Parameters
        ----------
        liked, disliked : seeds, in any mixture
            Tracks (id, key, words: what `track` takes), files (a path, in the catalog or not) and
            vectors (dim,) of the catalog's model. The same sound counts once.
        strategy : {"average", "best_score"}
            `average` looks around the mean of the likes: q = unit(unit(mean L) - 0.5 unit(mean D)),
            relevance(x) = q . x. `best_score` takes each candidate by its nearest like:
            relevance(x) = max_l l . x - 0.5 max_d d . x. See `recommender.retrieval.seeds`.
        where : Where, optional
            Which tracks may be answers. The seeds need not be among them.
        ranking : Ranking, optional
            Diversity, caps per artist and album, near-duplicates folded or not, least score.
        more, less : str or iterable of str
            Words, as `soundalike find` knows them, that the answers are to fit more or less than
            the nearest do: "calmer", "more piano", "90s". Each answer says in `why.words` how far
            each word moved it.
        include_same : bool
            Whether the seeds themselves and other encodings of their recordings may be answers;
            `recommender.retrieval.near_duplicates` says how these are recognised.
        why : bool or "windows"
            Whether each neighbour says what it has in common with the seed; "windows": also which
            seconds of both sound most alike, for which a worker decodes both (some 0.2 s a track).

        Raises
        ------
        UnknownTrack, AmbiguousTrack, BadVector
            Of a seed.
        AnalysisError, ModelMissing, ModelMismatch
            A file has no usable sound, or cannot be analysed with the catalog's model.
        QueryError
            A word is not known; the message names some that are.
        InvalidOption
            Nothing is liked, something is liked and disliked, more and less of one word are
            wanted, or an option makes no sense.
        """
        n = result_count(n)
        return self._similar(
            seed_sources(self._library.catalog, liked, self.analyse),
            n,
            where,
            ranking,
            disliked=seed_sources(self._library.catalog, disliked, self.analyse),
            strategy=strategy,
            more=more,
            less=less,
            include_same=include_same,
            why=why,
        )

    def similar_to_track(
        self,
        track: SupportsIndex | str | bytes,
        n: int = 10,
        *,
        where: Where | None = None,
        ranking: Ranking | None = None,
        more: Texts = (),
        less: Texts = (),
        include_same: bool = False,
        why: Explain = False,
    ) -> Answer:
        """The n tracks that sound most like one of the catalog; see `similar_to_tracks`.

        Raises
        ------
        UnknownTrack, AmbiguousTrack, InvalidOption
        """
        n = result_count(n)
        source = require_present(self.track(track))
        return self._similar(
            [source], n, where, ranking, more=more, less=less, include_same=include_same, why=why
        )

    def radio(
        self,
        tracks: Sequence[int],
        n: int = 10,
        *,
        liked: Collection[int] = (),
        disliked: Collection[int] = (),
        ranking: Ranking | None = None,
    ) -> Answer:
        """The n tracks that sound most like some, as a listener's opinions steer them.

        No track that is disliked is among them; which likes and dislikes count further, and how
        much, says `recommender.retrieval.leaning`. Without opinions it is `similar_to_tracks`.

        Parameters
        ----------
        tracks, liked, disliked : ids of tracks
            Those that are liked or disliked may have left the library.

        Raises
        ------
        UnknownTrack, InvalidOption
        """
        with self._snapshot() as snapshot:
            leaning = lean(snapshot, as_ids(tracks).tolist(), liked, disliked)
            return self._similar(
                self.tracks(leaning.seeds),
                result_count(n),
                Where(exclude=tuple(disliked)) if disliked else None,
                ranking,
                disliked=self.tracks(leaning.away),
                toward=self.tracks(leaning.toward),
                more=(),
                less=(),
                include_same=False,
                why=False,
            )

    def similar_to_file(
        self,
        path: str | bytes | os.PathLike[str],
        n: int = 10,
        *,
        where: Where | None = None,
        ranking: Ranking | None = None,
        more: Texts = (),
        less: Texts = (),
        include_same: bool = False,
        why: Explain = False,
    ) -> Answer:
        """The n tracks that sound most like a file, which need not be in the catalog.

        The file is analysed in a worker process under limits, started with the first call.
        Otherwise as `similar_to_tracks`.

        Raises
        ------
        AnalysisError
            The file has no usable sound; the message says why.
        ModelMissing, ModelMismatch, InvalidOption
        """
        n = result_count(n)
        source = AnalysedFile(absolute_path(path), self.analyse(path))
        return self._similar(
            [source], n, where, ranking, more=more, less=less, include_same=include_same, why=why
        )

    def similar_to_vector(
        self,
        vector: ArrayLike,
        n: int = 10,
        *,
        where: Where | None = None,
        ranking: Ranking | None = None,
        more: Texts = (),
        less: Texts = (),
        why: Explain = False,
    ) -> Answer:
        """The n tracks nearest to a vector (dim,) of the catalog's model, of any length.

        Raises
        ------
        BadVector
            It has another shape, no length, or NaN or infinity in it.
        InvalidOption
        """
        n = result_count(n)
        source = as_vector(vector)
        return self._similar(
            [source], n, where, ranking, more=more, less=less, include_same=False, why=why
        )

    def neighbours(
        self,
        ids: Sequence[int] | NDArray[np.integer],
        n: int = 10,
        *,
        where: Where | None = None,
        include_same: bool = False,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Neighbours of many tracks at once, as arrays, near-duplicates not folded.

        Parameters
        ----------
        ids : int (q,)
            Track ids; each row is what `similar_to_track` answers for it with
            `Ranking(collapse=False)`.

        Returns
        -------
        ids : int64 (q, m), best first; -1 where a row has fewer than m, the smaller of n and what
            the filter keeps
        cosines : float32 (q, m); NaN where the id is -1

        Raises
        ------
        UnknownTrack
            Some ids are not in the catalog; the message lists up to five.
        InvalidOption
        """
        n = result_count(n)
        with self._snapshot() as snapshot:
            vectors = snapshot.index.reconstruct(indexed_ids(snapshot.index, ids))
            tracks = None if include_same else self.tracks(ids)
            return nearest(snapshot, vectors, n, where, tracks=tracks)

    def nearest(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        where: Where | None = None,
        words: Sequence[Word] = (),
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The tracks nearest to vectors, near-duplicates among them.

        Parameters
        ----------
        vectors : float32 (q, dim)
            Unit length, of the catalog's model.
        words : sequence of Word
            Those that steer, as `steering` returns them.

        Returns
        -------
        ids : int64 (q, k'), best first; k' is the smaller of k and what the filter keeps
        cosines : float32 (q, k')

        Raises
        ------
        BadVector
            A vector has another shape, is not finite or not of unit length.
        InvalidOption
        """
        k = result_count(k)
        with self._snapshot() as snapshot:
            queries = checked_vectors(vectors, snapshot.index.dim)
            if words:
                return nearest_steered(snapshot, queries, k, where, words)
            return nearest(snapshot, queries, k, where)

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
        place = parse_cursor(after)
        model = self._model_of_tracks()

        def page(columns: Columns) -> tuple[NDArray[np.int64], tuple[int, int] | None, int, int]:
            mask = where_mask(where or EVERYTHING, self._library.catalog, model, columns)
            kept = int(np.count_nonzero(mask))
            fit = self._text_fits.fit(text, columns)
            if fit is not None:
                mask &= fit >= 0
            ids, end = page_of(columns, mask, fit, n, place)
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
        model = self._model_of_tracks()

        def order(columns: Columns) -> NDArray[np.int64]:
            mask = where_mask(EVERYTHING, self._library.catalog, model, columns)
            fit = self._text_fits.fit(text, columns)
            if fit is not None:
                mask &= fit >= 0
            return page_of(columns, mask, fit, columns.size, None)[0]

        return self._library.facets.ask(order)

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
        model = self._model_of_tracks()

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

    def _model_of_tracks(self) -> StoredModel:
        """The active model of a catalog that holds tracks."""
        with self._snapshot() as snapshot:
            return snapshot.model

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

    def resolve(self, query: TrackOrFile) -> Track | bytes:
        """The present track that a query names, or the path of another file.

        A text names a track by id, key or path; else the file with this path, if there is one;
        else a track by a part of "artist - title".

        Raises
        ------
        UnknownTrack, AmbiguousTrack, InvalidOption
        """
        return resolve(self._library.catalog, query)

    def seed(self, given: SeedLike) -> Seed:
        """The seed that an id, key, words, path or vector means, a new file analysed.

        Raises
        ------
        UnknownTrack, AmbiguousTrack, BadVector, AnalysisError, ModelMissing, ModelMismatch
        """
        (source,) = seed_sources(self._library.catalog, [given], self.analyse)
        with self._snapshot() as snapshot:
            return make_seed(snapshot, source)

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

    def steering(self, more: Texts, less: Texts) -> tuple[Word, ...]:
        """The words that texts such as "calmer" ask for more and less of, each once.

        Raises
        ------
        QueryError
            One is not known; the message names some that are.
        InvalidOption
            More and less of one word are wanted, there are too many, or one is no text.
        """
        wanted, unwanted = as_texts(more), as_texts(less)
        return read_steering(self.vocabulary, wanted, unwanted) if wanted or unwanted else ()

    def word_shifts(self, words: Sequence[Word], ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """What words that steer add to the relevance of tracks, (len(ids),).

        Raises
        ------
        UnknownTrack
        """
        if not words:
            return np.zeros(len(ids))
        with self._snapshot() as snapshot:
            percentiles = snapshot.words.percentiles_of(words, indexed_ids(snapshot.index, ids))
            shifts = word_shifts(percentiles, median_random_cosine=snapshot.median_random_cosine)
            total: NDArray[np.float64] = shifts.sum(axis=1)
            return total

    def explain_words(
        self, words: Sequence[Word], tracks: Sequence[Track]
    ) -> list[tuple[WordShift, ...]]:
        """How well each word that steers fits each track, what it adds, and why.

        Raises
        ------
        UnknownTrack
        """
        if not words or not tracks:
            return [()] * len(tracks)
        with self._snapshot() as snapshot:
            ids = indexed_ids(snapshot.index, [track.id for track in tracks])
            return explain_words(snapshot, words, tracks, snapshot.words.percentiles_of(words, ids))

    def word_scores(
        self, words: Sequence[Word], *, where: Where | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """How well words fit each track that a filter keeps.

        Returns
        -------
        ids : int64 (tracks,), ascending
        scores : float32 (tracks,)
            The geometric mean of the words' percentiles; see `word_percentiles`.

        Raises
        ------
        InvalidOption
            The filter names a tag that the model does not have.
        """
        with self._snapshot() as snapshot:
            tables, model = snapshot.words.tables(words), snapshot.model

        def score(columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            mask = where_mask(where or EVERYTHING, self._library.catalog, model, columns)
            return columns.with_ids(mask, word_scores(words, tables, columns))

        return self._library.facets.ask(score)

    def word_percentiles(
        self, words: Sequence[Word], ids: Sequence[int] | NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """The share of the library that words fit less well than tracks, (len(ids), words).

        Of what is to be kept away from, one minus that.

        Raises
        ------
        UnknownTrack
        """
        with self._snapshot() as snapshot:
            return snapshot.words.percentiles_of(words, indexed_ids(snapshot.index, ids))

    def scores(self, cosines: ArrayLike) -> NDArray[np.float64]:
        """The share of random pairs of the library that are less alike, of the shape given.

        As in `Neighbour.score`; NaN where the library has too few pairs.
        """
        with self._snapshot() as snapshot:
            return snapshot.percentiles.percentile(cosines)

    def analyse(self, path: str | bytes | os.PathLike[str]) -> TrackAnalysis:
        """Analyse a file as `index` would, in a worker under limits, without storing anything.

        Raises
        ------
        AnalysisError, ModelMissing, ModelMismatch
        """
        model = self._library.catalog.active_model() or model_of_new_catalogs()
        return self._on_demand.analyse(model, path)

    def matching_windows(
        self, first: SupportsIndex | str | bytes, second: SupportsIndex | str | bytes
    ) -> MatchingWindows:
        """The windows of two tracks that sound most alike; both are decoded, some seconds.

        Raises
        ------
        UnknownTrack, AmbiguousTrack, AnalysisError, ModelMissing, ModelMismatch
        """
        pair = self.track(first).path, self.track(second).path
        (found,) = self._on_demand.matching_windows(self._active_model(), [pair])
        if isinstance(found, AnalysisError):
            raise found
        return found

    def _similar(
        self,
        liked: Sequence[SeedSource],
        n: int,
        where: Where | None,
        ranking: Ranking | None,
        *,
        disliked: Sequence[SeedSource] = (),
        toward: Sequence[SeedSource] = (),
        strategy: Strategy = "average",
        more: Texts,
        less: Texts,
        include_same: bool,
        why: Explain,
    ) -> Answer:
        words = self.steering(more, less)
        with self._snapshot() as snapshot:
            profile = QueryProfile.of(
                [make_seed(snapshot, source) for source in liked],
                [make_seed(snapshot, source) for source in disliked],
                strategy,
                [make_seed(snapshot, source) for source in toward],
            )
            answer = retrieve(
                snapshot,
                profile,
                where,
                ranking or PLAIN,
                n,
                words=words,
                include_same=include_same,
                why=bool(why),
            )
        return self._add_windows(answer, profile) if why == "windows" and len(answer) else answer

    def _add_windows(self, answer: Answer, profile: QueryProfile) -> Answer:
        """The answer with the windows in which each neighbour and its nearest seed match best.

        A file that cannot be decoded costs its neighbour this reason only.
        """
        ids = [one.id for one in answer]
        seeds = profile.nearest_liked(self.vectors(ids))
        pairs = {
            track.id: (seed.path, track.path)
            for seed, track in zip(seeds, self.tracks(ids), strict=True)
            if seed.path is not None
        }
        found = self._on_demand.matching_windows(self._active_model(), list(pairs.values()))
        windows = dict(zip(pairs, found, strict=True))
        return answer.with_windows(
            {key: one for key, one in windows.items() if not isinstance(one, AnalysisError)}
        )

    def _active_model(self) -> StoredModel:
        model = self._library.catalog.active_model()
        if model is None:
            raise QueryError(empty_catalog_message(self._library.catalog))
        return model

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
