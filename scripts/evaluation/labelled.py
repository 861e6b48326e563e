"""Catalogs whose tracks have labels: do neighbours share genre, artist, album?"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation import labels as of_tracks
from evaluation import mfcc
from evaluation.comparison import at_random, compare, shuffled, tamed
from evaluation.embeddings import embed_all, one_thread
from indexer.errors import QueryError
from recommender.engine import Recommender
from recommender.evaluation.metrics import Question, cosines, same_for_all
from recommender.retrieval.near_duplicates import TrackFacts, group_heads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evaluation.embeddings import Cache, Excerpts, Report
    from evaluation.labels import Labels
    from evaluation.tables import Table
    from indexer.catalog.records import Track
    from recommender.evaluation.metrics import Similarity


@dataclass(frozen=True)
class Embedded:
    """The tracks of a catalog and their embeddings."""

    name: str
    tracks: list[Track]
    vectors: NDArray[np.float32]
    median_random_cosine: float

    def of(self, paths: Sequence[bytes]) -> NDArray[np.float32]:
        """Embeddings in the order of paths."""
        row = {track.path: number for number, track in enumerate(self.tracks)}
        return self.vectors[[row[path] for path in paths]]

    def without_duplicates(self, tracks: Sequence[Track]) -> list[int]:
        """Rows of tracks that are no near-duplicates of one before them.

        To find a recording again is no sign of what a model knows of music.
        """
        vectors = self.of([track.path for track in tracks])
        heads = group_heads(
            vectors, TrackFacts.of(tracks), median_random_cosine=self.median_random_cosine
        )
        return np.flatnonzero(heads == np.arange(len(heads))).tolist()


def measure_labelled(
    catalogs: Sequence[Path],
    *,
    tables: Sequence[Path],
    where: Sequence[tuple[str, str]],
    excerpts: Excerpts | None,
    cache: Cache,
    seed: int,
    report: Report,
) -> list[Table]:
    """Measure catalogs of one library, each with its model, beside the baselines.

    Only tracks that are in all of the catalogs, and named by the tables if there are any, are
    measured, and only they are candidates; of near-duplicates only the first.

    Parameters
    ----------
    excerpts : Excerpts or None
        What the MFCCs are taken of; None leaves them out.

    Raises
    ------
    QueryError
        There is nothing to measure.
    """
    opened = _named([_open(catalog) for catalog in catalogs])
    shared = set.intersection(*({track.path for track in one.tracks} for one in opened.values()))
    tracks = [track for track in next(iter(opened.values())).tracks if track.path in shared]
    if len(tracks) < 2:
        held = "have no two tracks in common" if len(catalogs) > 1 else "holds fewer than two"
        raise QueryError(f"{', '.join(map(str, catalogs))} {held}: there is nothing to compare")
    if tables:
        rows, known = of_tracks.from_tables([track.path for track in tracks], tables, where=where)
        tracks = [tracks[row] for row in rows]
    else:
        known = of_tracks.from_tags(tracks)
    _questions(known)
    kept = next(iter(opened.values())).without_duplicates(tracks)
    report(f"{len(kept)} tracks with labels, {len(tracks) - len(kept)} near-duplicates left out")
    tracks, known = [tracks[row] for row in kept], known.at(kept)
    paths = [track.path for track in tracks]
    ways: dict[str, Similarity] = {}
    if excerpts is not None:
        embed = mfcc.mfcc_embedder(excerpts, cache)
        files = [Path(os.fsdecode(path)) for path in paths]
        with one_thread():
            embedded = embed_all(mfcc.NAME, files, embed, report=report)
        kept = np.flatnonzero(embedded.present).tolist()
        paths, known = [paths[row] for row in kept], known.at(kept)
        ways[mfcc.NAME] = mfcc.divergence(embedded.vectors[kept])
    ways = {name: cosines(one.of(paths)) for name, one in opened.items()} | ways
    first = next(iter(opened))
    ways[f"{first}, local scaling"] = tamed(opened[first].of(paths))
    ways[f"{first}, shuffled"] = shuffled(opened[first].of(paths), seed=seed)
    ways["random"] = at_random(len(paths), seed=seed)
    ways |= _popularity(known)
    return compare("labelled tracks", ways, _questions(known), seed=seed)


def _open(catalog: Path) -> Embedded:
    with Recommender.open(catalog) as recommender:
        ids = recommender.ids()
        if len(ids) == 0:
            raise QueryError(f"{catalog} holds no tracks yet: run `soundalike index FOLDER`")
        return Embedded(
            recommender.model.name,
            recommender.tracks(ids),
            recommender.vectors(ids),
            recommender.median_random_cosine,
        )


def _named(opened: Sequence[Embedded]) -> dict[str, Embedded]:
    named: dict[str, Embedded] = {}
    for number, one in enumerate(opened, start=1):
        name = one.name if one.name not in named else f"{one.name} (catalog {number})"
        named[name] = one
    return named


def _questions(known: Labels) -> dict[str, Question]:
    artists = known.of.get("artist")
    questions = {}
    for kind, labels in known.of.items():
        if kind != "artist" and artists is not None:
            questions[f"same {kind}, own artist out"] = Question(labels, without=artists)
        questions[f"same {kind}"] = Question(labels)
    questions = {name: one for name, one in questions.items() if _repeated(one.labels)}
    if not questions:
        raise QueryError(
            "no two tracks share a genre, artist, album or group: tag the files and index again, "
            "or name a table with --labels"
        )
    return questions


def _repeated(labels: Sequence[str]) -> bool:
    counts = Counter(label for label in labels if label)
    return any(count > 1 for count in counts.values())


def _popularity(known: Labels) -> dict[str, Similarity]:
    """The most played first, else the tracks of artists with most tracks; nothing without both."""
    if known.plays is not None:
        return {"popularity (plays)": same_for_all(np.array(known.plays))}
    artists = known.of.get("artist")
    if artists is None:
        return {}
    counts = Counter(artists)
    tracks_of_artist = np.array([counts[artist] if artist else 0 for artist in artists])
    return {"popularity (artists with most tracks)": same_for_all(tracks_of_artist)}
