"""Train a genre classifier on a labelled library and measure it on artists held out.

Labels are the files' own genre tags, or a labelled folder or table. Genres of too few tracks or
artists are left out.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import AnalysisError, BadLabels
from recommender.genres.classifier import GenreClassifier, encode, sample_evenly
from recommender.genres.held_out import cross_validate
from recommender.genres.labels import genres_of, merge_spellings, read_labels
from recommender.retrieval.lookup import count_noun
from recommender.retrieval.names import artist_key, artist_of, split_genres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.genres.held_out import HeldOut
    from recommender.genres.labels import Song

MIN_TRACKS = 5
MIN_ARTISTS = 3
"""A genre of fewer is left out: one artist to measure with, two to learn from and tune with."""
MOST_TRACKS = 20_000
"""Most tracks to train on, drawn evenly over the genres: more change a linear model little."""


@dataclass(frozen=True)
class ExcludedGenre:
    """A genre with too few tracks or artists to train on."""

    genre: str
    tracks: int
    artists: int


@dataclass(frozen=True)
class TrainingSet:
    """Tracks to train a classifier on, row by row.

    Attributes
    ----------
    ids : int64 (tracks,)
        Id in the catalog; -1 for a file that is not in it.
    vectors : float32 (tracks, dim)
    labels : tuple of tuples of str
    artists : tuple of str
        Artists by which folds are made; a track of an unknown artist is its own group.
    unknown_artists : int
        Number of tracks of unknown artists.
    left_out : tuple of ExcludedGenre
    unmatched : tuple of str
        Labelled files that are not in the catalog and cannot be analysed.
    source : str
        Origin of the labels, in words.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    labels: tuple[tuple[str, ...], ...]
    artists: tuple[str, ...]
    unknown_artists: int
    source: str
    left_out: tuple[ExcludedGenre, ...] = ()
    unmatched: tuple[str, ...] = ()


def training_set_from_tags(recommender: Recommender) -> TrainingSet:
    """Training set of the catalog's tracks that have a genre tag.

    Raises
    ------
    BadLabels
        Fewer than two genres have enough tracks and artists.
    """
    ids, tags, named = [], [], []
    for track in recommender.stream_tracks(recommender.ids()):
        if track.genre and split_genres(track.genre):
            ids.append(track.id)
            # One text for all tracks of a genre or artist.
            tags.append(sys.intern(track.genre))
            named.append(sys.intern(owner_of(track)))
    if not ids:
        raise BadLabels("no track of the catalog has a genre tag: give labels with --labels")
    source = "the library's genre tags"
    artists, unknown_artists = _owners(named)
    chosen = _without_rare_genres(merge_spellings(genres_of(tags)), artists, source)
    found = np.array(ids, dtype=np.int64)[chosen.rows]
    return TrainingSet(
        found,
        recommender.vectors(found),
        chosen.labels,
        tuple(artists[row] for row in chosen.rows.tolist()),
        unknown_artists,
        source,
        chosen.left_out,
    )


def training_set_from_labels(
    recommender: Recommender,
    labels: Path,
    *,
    where: Sequence[str] = (),
    report: Callable[[str], None] = lambda _line: None,
) -> TrainingSet:
    """Training set of a labelled folder or table; files outside the catalog are analysed.

    A file is a track of the catalog when it has its path, or when the path in the table is the end
    of one track's path only (so that the table need not lie where the music does).

    Parameters
    ----------
    where : sequence of str
        As `labels.read_labels` takes it.

    Raises
    ------
    BadLabels
        The labels cannot be read, fit no track, or are too few.
    """
    songs = read_labels(labels, where=where)
    tracks = _tracks_of(recommender, songs, labels)
    ids, vectors, kept, unmatched = [], [], [], []
    for number, (song, track) in enumerate(zip(songs, tracks, strict=True), start=1):
        if track is not None:
            ids.append(track.id)
            kept.append(replace(song, artist=song.artist or owner_of(track)))
        elif song.path.is_file():
            try:
                embedding = recommender.analyse(song.path).embedding
            except AnalysisError as error:
                report(f"left out: {error}")
                unmatched.append(str(song.path))
                continue
            if number % 100 == 0:
                report(f"analysed {number} of {len(songs)} labelled files")
            ids.append(-1)
            vectors.append(embedding)
            kept.append(song)
        else:
            unmatched.append(str(song.path))
    if not kept:
        raise BadLabels(f"none of the {len(songs)} songs in {labels} is in the catalog or on disk")
    artists, unknown_artists = _owners(artist_key(song.artist) or "" for song in kept)
    chosen = _without_rare_genres([song.genres for song in kept], artists, str(labels))
    found = np.array(ids, dtype=np.int64)
    analysed = np.array(vectors, dtype=np.float32).reshape(-1, recommender.model.dim)
    in_catalog = found[chosen.rows] >= 0
    rows = np.empty((len(in_catalog), analysed.shape[1]), dtype=np.float32)
    rows[in_catalog] = recommender.vectors(found[chosen.rows][in_catalog])
    rows[~in_catalog] = analysed[np.cumsum(found < 0)[chosen.rows][~in_catalog] - 1]
    return TrainingSet(
        found[chosen.rows],
        rows,
        chosen.labels,
        tuple(artists[row] for row in chosen.rows.tolist()),
        unknown_artists,
        str(labels),
        chosen.left_out,
        tuple(unmatched),
    )


@dataclass(frozen=True)
class _Chosen:
    """Rows to train on, with the genres that are kept of each."""

    rows: NDArray[np.int64]
    labels: tuple[tuple[str, ...], ...]
    left_out: tuple[ExcludedGenre, ...]


def _without_rare_genres(
    labels: Sequence[Sequence[str]], owners: Sequence[str], source: str
) -> _Chosen:
    """Rows but for genres of fewer than `MIN_TRACKS` tracks or `MIN_ARTISTS` artists.

    Raises
    ------
    BadLabels
        Fewer than two genres are left.
    """
    tracks: dict[str, int] = defaultdict(int)
    artists: dict[str, set[str]] = defaultdict(set)
    for genres, artist in zip(labels, owners, strict=True):
        for genre in genres:
            tracks[genre] += 1
            artists[genre].add(artist)
    kept = {g for g in tracks if tracks[g] >= MIN_TRACKS and len(artists[g]) >= MIN_ARTISTS}
    left_out = tuple(
        ExcludedGenre(genre, tracks[genre], len(artists[genre]))
        for genre in sorted(tracks, key=lambda genre: (-tracks[genre], genre))
        if genre not in kept
    )
    if len(kept) < 2:
        most = max(tracks, key=lambda genre: (genre not in kept, tracks[genre]))
        raise BadLabels(
            f"{len(kept)} genres of {source} have at least {MIN_TRACKS} tracks by "
            f"{MIN_ARTISTS} artists, and it takes 2 "
            f"({most} has {count_noun(tracks[most], 'track')} "
            f"by {count_noun(len(artists[most]), 'artist')}): label more tracks, or name a table "
            "with --labels"
        )
    rows = [row for row, genres in enumerate(labels) if not kept.isdisjoint(genres)]

    def kept_genres(row: int) -> tuple[str, ...]:
        return tuple(genre for genre in labels[row] if genre in kept)

    if len(rows) > MOST_TRACKS:
        number_of = {genre: number for number, genre in enumerate(sorted(kept))}
        main = np.array([number_of[min(kept_genres(row))] for row in rows])
        rows = [rows[number] for number in sample_evenly(main, MOST_TRACKS, random_state=0)]
    return _Chosen(np.array(rows, np.int64), tuple(map(kept_genres, rows)), left_out)


def train(
    training_set: TrainingSet,
    *,
    random_state: int = 0,
    report: Callable[[str], None] = lambda _line: None,
) -> tuple[GenreClassifier, HeldOut]:
    """A classifier fitted to all tracks, and the accuracy of ones fitted to folds."""
    held_out = cross_validate(
        training_set.vectors,
        training_set.labels,
        training_set.artists,
        random_state=random_state,
        report=report,
    )
    report("training on all tracks")
    classifier = GenreClassifier(random_state=random_state).fit(
        training_set.vectors, training_set.labels, training_set.artists
    )
    return classifier, held_out


def save(
    path: str | os.PathLike[str],
    classifier: GenreClassifier,
    held_out: HeldOut,
    training_set: TrainingSet,
    recommender: Recommender,
) -> None:
    """Write a classifier with the figures that `genres.report` needs."""
    notes = {
        "source": training_set.source,
        "evaluation": held_out.to_json(),
        "unknown_artists": training_set.unknown_artists,
        "left_out": [asdict(genre) for genre in training_set.left_out],
        "unmatched": len(training_set.unmatched),
    }
    _, targets = encode(training_set.labels)
    arrays: dict[str, NDArray[Any]] = {
        "ids": training_set.ids,
        "probabilities": held_out.probabilities.astype(np.float16),
        "targets": targets.astype(np.float16),
    }
    classifier.save(path, model=recommender.model, notes=notes, arrays=arrays)


def owner_of(track: Track) -> str:
    """Artist by which a track is grouped in folds, else its album; "" where it names neither."""
    return artist_of(track) or artist_key(track.album) or ""


def _owners(artists: Iterable[str]) -> tuple[tuple[str, ...], int]:
    named = list(artists)
    # No name has a NUL in it.
    owners = tuple(artist or f"\0{row}" for row, artist in enumerate(named))
    return owners, named.count("")


def _tracks_of(recommender: Recommender, songs: Sequence[Song], labels: Path) -> list[Track | None]:
    folder = labels if labels.is_dir() else labels.parent
    wanted = {os.path.basename(os.fsencode(path)) for song in songs for path in _paths(song)}
    by_path: dict[bytes, Track] = {}
    by_name: dict[bytes, list[Track]] = defaultdict(list)
    for track in recommender.stream_tracks(recommender.ids()):
        name = os.path.basename(track.path)
        if name in wanted:
            by_path[track.path] = track
            by_name[name].append(track)
    found: list[Track | None] = []
    for song in songs:
        exact = next(
            (by_path[path] for path in map(os.fsencode, _paths(song)) if path in by_path), None
        )
        ending = b"/" + os.fsencode(os.path.relpath(song.path, folder))
        ends_so = [
            track
            for track in by_name.get(os.path.basename(ending), ())
            if track.path.endswith(ending)
        ]
        found.append(exact or (ends_so[0] if len(ends_so) == 1 else None))
    return found


def _paths(song: Song) -> tuple[str, str]:
    """Paths that a track of this song may have, links resolved and not."""
    return os.path.realpath(song.path), os.path.abspath(song.path)
