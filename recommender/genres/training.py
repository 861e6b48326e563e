"""From a library with labels to a genre classifier, and how well it hears artists it has not heard.

Labels are the files' own genre tags, or a labelled folder or table. Genres of too few tracks or
artists are left out.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import AnalysisError, BadLabels
from recommender.genres.classifier import GenreClassifier, drawn_evenly, encode
from recommender.genres.held_out import cross_validate
from recommender.genres.labels import artist_key, merge_spellings, read_labels
from recommender.retrieval.genre_names import split_genres
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from recommender.engine import Recommender
    from recommender.genres.held_out import HeldOut
    from recommender.genres.labels import Song

MIN_TRACKS = 5
MIN_ARTISTS = 3
"""A genre of fewer is left out: one artist to measure with, two to learn from and tune with."""
MOST_TRACKS = 20_000
"""Tracks learned from at most, drawn evenly over the genres: more change a linear model little."""


@dataclass(frozen=True)
class LeftOut:
    """A genre with too few tracks or artists to be learned."""

    genre: str
    tracks: int
    artists: int


@dataclass(frozen=True)
class Lessons:
    """Tracks to learn from, row by row.

    Attributes
    ----------
    ids : int64 (tracks,)
        Id in the catalog; -1 for a file that is not in it.
    vectors : float32 (tracks, dim)
    labels : tuple of tuples of str
    artists : tuple of str
        To keep apart; a track of an unknown artist is one of its own.
    unknown_artists : int
        How many tracks those are.
    left_out : tuple of LeftOut
    unmatched : tuple of str
        Labelled files that are not in the catalog and cannot be heard.
    source : str
        Where the labels come from, in words.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    labels: tuple[tuple[str, ...], ...]
    artists: tuple[str, ...]
    unknown_artists: int
    source: str
    left_out: tuple[LeftOut, ...] = ()
    unmatched: tuple[str, ...] = ()


def lessons_from_tags(recommender: Recommender) -> Lessons:
    """The catalog's tracks that name a genre, with their artists.

    Raises
    ------
    BadLabels
        Fewer than two genres have enough tracks and artists.
    """
    tracks = recommender.tracks(recommender.ids())
    labelled = [(track, genres) for track in tracks if (genres := split_genres(track.genre))]
    if not labelled:
        raise BadLabels("no track of the catalog names a genre: name labels with --labels")
    ids = np.array([track.id for track, _ in labelled], dtype=np.int64)
    return enough(
        Lessons(
            ids,
            recommender.vectors(ids),
            tuple(merge_spellings([genres for _, genres in labelled])),
            *_owners(artist_of(track) for track, _ in labelled),
            source="the library's genre tags",
        )
    )


def lessons_from(
    recommender: Recommender,
    place: Path,
    *,
    where: Sequence[str] = (),
    report: Callable[[str], None] = lambda _line: None,
) -> Lessons:
    """Tracks of a labelled folder or table: of the catalog where they are in it, else heard.

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
    songs = read_labels(place, where=where)
    tracks = _tracks_of(recommender, songs, place)
    ids, vectors, kept, unmatched = [], [], [], []
    for number, (song, track) in enumerate(zip(songs, tracks, strict=True), start=1):
        if track is not None:
            ids.append(track.id)
            kept.append(replace(song, artist=song.artist or artist_of(track)))
        elif song.path.is_file():
            try:
                heard = recommender.analyse(song.path).embedding
            except AnalysisError as error:
                report(f"left out: {error}")
                unmatched.append(str(song.path))
                continue
            if number % 100 == 0:
                report(f"heard {number} of {len(songs)} labelled files")
            ids.append(-1)
            vectors.append(heard)
            kept.append(song)
        else:
            unmatched.append(str(song.path))
    if not kept:
        raise BadLabels(f"none of the {len(songs)} songs in {place} is in the catalog or on disk")
    found = np.array(ids, dtype=np.int64)
    dim = recommender.model.dim
    rows = np.empty((len(found), dim), dtype=np.float32)
    rows[found >= 0] = recommender.vectors(found[found >= 0])
    rows[found < 0] = np.array(vectors, dtype=np.float32).reshape(-1, dim)
    return enough(
        Lessons(
            found,
            rows,
            tuple(song.genres for song in kept),
            *_owners(artist_key(song.artist) for song in kept),
            source=str(place),
            unmatched=tuple(unmatched),
        )
    )


def enough(lessons: Lessons) -> Lessons:
    """Lessons without the genres of fewer than `MIN_TRACKS` tracks or `MIN_ARTISTS` artists.

    Raises
    ------
    BadLabels
        Fewer than two genres are left.
    """
    tracks: dict[str, int] = defaultdict(int)
    artists: dict[str, set[str]] = defaultdict(set)
    for genres, artist in zip(lessons.labels, lessons.artists, strict=True):
        for genre in genres:
            tracks[genre] += 1
            artists[genre].add(artist)
    kept = {g for g in tracks if tracks[g] >= MIN_TRACKS and len(artists[g]) >= MIN_ARTISTS}
    left_out = tuple(
        LeftOut(genre, tracks[genre], len(artists[genre]))
        for genre in sorted(tracks, key=lambda genre: (-tracks[genre], genre))
        if genre not in kept
    )
    if len(kept) < 2:
        most = max(tracks, key=lambda genre: (genre not in kept, tracks[genre]))
        raise BadLabels(
            f"{len(kept)} genres of {lessons.source} have at least {MIN_TRACKS} tracks by "
            f"{MIN_ARTISTS} artists, and it takes 2 "
            f"({most} has {count_noun(tracks[most], 'track')} "
            f"by {count_noun(len(artists[most]), 'artist')}): label more tracks, or name a table "
            "with --labels"
        )
    labels = [tuple(genre for genre in genres if genre in kept) for genres in lessons.labels]
    rows = [row for row, genres in enumerate(labels) if genres]
    if len(rows) > MOST_TRACKS:
        _, targets = encode([labels[row] for row in rows])
        rows = [rows[place] for place in drawn_evenly(targets, MOST_TRACKS, seed=0)]
    return replace(
        lessons,
        ids=lessons.ids[rows],
        vectors=lessons.vectors[rows],
        labels=tuple(labels[row] for row in rows),
        artists=tuple(lessons.artists[row] for row in rows),
        left_out=left_out,
    )


def train(
    lessons: Lessons, *, seed: int = 0, report: Callable[[str], None] = lambda _line: None
) -> tuple[GenreClassifier, HeldOut]:
    """A classifier that has learned from all tracks, and how the like of it do on folds."""
    held_out = cross_validate(
        lessons.vectors, lessons.labels, lessons.artists, seed=seed, report=report
    )
    report("learning from all tracks")
    classifier = GenreClassifier(seed=seed).fit(lessons.vectors, lessons.labels, lessons.artists)
    return classifier, held_out


def save(
    path: str | os.PathLike[str],
    classifier: GenreClassifier,
    held_out: HeldOut,
    lessons: Lessons,
    recommender: Recommender,
) -> None:
    """Write a classifier with all that `genres.report` tells of it."""
    notes = {
        "source": lessons.source,
        "evaluation": held_out.to_json(),
        "unknown_artists": lessons.unknown_artists,
        "left_out": [asdict(genre) for genre in lessons.left_out],
        "unmatched": len(lessons.unmatched),
    }
    _, targets = encode(lessons.labels)
    arrays: dict[str, NDArray[Any]] = {
        "ids": lessons.ids,
        "probabilities": held_out.probabilities.astype(np.float16),
        "targets": targets.astype(np.float16),
    }
    classifier.save(path, model=recommender.model, notes=notes, arrays=arrays)


def artist_of(track: Track) -> str:
    """Whom a track must be kept apart with: its artist, else its album; "" where it names none."""
    return artist_key(track.artist or track.album_artist or "") or artist_key(track.album or "")


def _owners(artists: Iterable[str]) -> tuple[tuple[str, ...], int]:
    named = list(artists)
    # No name has a NUL in it.
    owners = tuple(artist or f"\0{row}" for row, artist in enumerate(named))
    return owners, named.count("")


def _tracks_of(recommender: Recommender, songs: Sequence[Song], place: Path) -> list[Track | None]:
    folder = place if place.is_dir() else place.parent
    by_path: dict[bytes, Track] = {}
    by_name: dict[bytes, list[Track]] = defaultdict(list)
    for track in recommender.tracks(recommender.ids()):
        by_path[track.path] = track
        by_name[os.path.basename(track.path)].append(track)
    found: list[Track | None] = []
    for song in songs:
        exact = by_path.get(os.fsencode(os.path.realpath(song.path))) or by_path.get(
            os.fsencode(os.path.abspath(song.path))
        )
        ending = b"/" + os.fsencode(os.path.relpath(song.path, folder))
        ends_so = [
            track
            for track in by_name.get(os.path.basename(ending), ())
            if track.path.endswith(ending)
        ]
        found.append(exact or (ends_so[0] if len(ends_so) == 1 else None))
    return found
