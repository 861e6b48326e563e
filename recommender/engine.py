"""The recommender: every question goes through it.

from recommender import Ranking, Recommender, Where

with Recommender.open("catalog.db") as recommender:
    print(recommender.similar_to_track("Artist - Title", 10).to_frame())
    print(recommender.similar_to_tracks([17, "so what"], [4], where=Where(genre=("jazz",))))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, SupportsIndex

import numpy as np

from indexer.errors import AnalysisError
from indexer.filesystem import absolute_path
from indexer.vectors.base import checked_vectors
from recommender.catalog_view import CatalogView
from recommender.retrieval.explanations import explain_words
from recommender.retrieval.filters import where_mask
from recommender.retrieval.leaning import lean
from recommender.retrieval.lookup import (
    require_present,
    resolve,
    result_count,
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
from recommender.retrieval.track_ids import as_ids, indexed_ids
from recommender.retrieval.where import EVERYTHING, Where
from recommender.retrieval.words.steering import as_texts, read_steering, word_shifts
from recommender.retrieval.words.word_fit import word_scores

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from indexer.analysis.sandbox import Limits
    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.records import Track
    from indexer.facets.columns import Columns
    from indexer.library import Library
    from recommender.retrieval.answers import Answer, Explain, MatchingWindows, WordShift
    from recommender.retrieval.lookup import TrackOrFile
    from recommender.retrieval.ranking import Ranking
    from recommender.retrieval.seeds import Seed, SeedLike, SeedSource, Strategy
    from recommender.retrieval.words.steering import Texts
    from recommender.retrieval.words.vocabulary import Word


class Recommender(CatalogView):
    """Answers "what sounds like this?" from a catalog. Made by `open`; also a context manager.

    It sees what a writer adds while it is open. Several threads may use one.

    Every question takes a `where`, the tracks that may be answers, and those that make an `Answer`
    take a `ranking`, how it is made of the candidates, and words to steer by: `more=("calm",)`,
    `less=("vocals",)` (see `recommender.retrieval.words.steering`). A filter that keeps nothing
    gives an empty answer whose note says so. A catalog that holds no tracks yet raises
    `QueryError`, and so does a word that is not known.
    """

    def __init__(self, library: Library, *, limits: Limits | None = None) -> None:
        super().__init__(library)
        self._on_demand = OnDemandPool(limits)

    @classmethod
    def open(
        cls, catalog: str | os.PathLike[str] = "catalog.db", *, limits: Limits | None = None
    ) -> Self:
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

    def close(self) -> None:
        """Close the catalog and end the worker that analyses files."""
        self._on_demand.close()
        super().close()

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
        (found,) = self._on_demand.matching_windows(self.model, [pair])
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
        found = self._on_demand.matching_windows(self.model, list(pairs.values()))
        windows = dict(zip(pairs, found, strict=True))
        return answer.with_windows(
            {key: one for key, one in windows.items() if not isinstance(one, AnalysisError)}
        )
