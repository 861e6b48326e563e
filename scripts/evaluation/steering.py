"""Steering by words, measured: do answers keep the seed's genre, and reach the mood asked for?

Songs have genres and a quadrant of valence and arousal. Their artists are halved at random: one
half chooses the weight of a word, the other is what is reported. Each half is asked among itself,
the seed's own artist left out.

The rule: of some weights, the smallest whose F is within one standard error of the best F (Breiman
et al. 1984), where F is the harmonic mean of genre kept and mood reached among the first 10,
averaged over the words, and the error is that of a bootstrap over artists.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation.tables import Cell, Figure, Table
from evaluation.words import WORDS
from indexer.errors import QueryError
from recommender import Recommender, Where
from recommender.evaluation.metrics import interval
from recommender.retrieval.words.steering import WEIGHT, word_shifts
from recommender.text.search import find

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

FIRST = 10
"""Answers that are looked at."""
MOODS = ("sad", "energetic", "happy", "angry", "calm")
"""Words, each a mood of `evaluation.words.WORDS`."""
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.4, 2.0, 4.0)
DRAWS = 500


@dataclass(frozen=True, eq=False)
class Songs:
    """Labelled tracks of a catalog.

    Attributes
    ----------
    ids : int64 (songs,)
    genre : songs texts
        Of those that have one only; else "".
    genres : songs sets of str
    moods : dict of word to bool (songs,)
        Whether the mood of a word is theirs.
    artists : songs texts
    """

    ids: NDArray[np.int64]
    genre: Sequence[str]
    genres: Sequence[frozenset[str]]
    moods: Mapping[str, NDArray[np.bool_]]
    artists: Sequence[str]

    def of(self, artists: Iterable[str]) -> Songs:
        """The songs of some artists."""
        wanted = set(artists)
        rows = [row for row, artist in enumerate(self.artists) if artist in wanted]
        return Songs(
            self.ids[rows],
            [self.genre[row] for row in rows],
            [self.genres[row] for row in rows],
            {word: of[rows] for word, of in self.moods.items()},
            [self.artists[row] for row in rows],
        )

    @property
    def seeds(self) -> list[int]:
        """Rows of the songs that have one genre."""
        return [row for row, genre in enumerate(self.genre) if genre]

    def others(self, row: int) -> NDArray[np.bool_]:
        """Which songs are not of the artist of a row."""
        return np.array([artist != self.artists[row] for artist in self.artists])

    def kept(self, row: int, answers: Sequence[int]) -> float:
        """Share of the answers, rows, that have the genre of a seed."""
        return float(np.mean([self.genre[row] in self.genres[answer] for answer in answers]))

    def reached(self, word: str, answers: Sequence[int]) -> float:
        """Share of the answers, rows, that have the mood of a word."""
        return float(np.mean(self.moods[word][list(answers)]))


def measure_steering(catalog: Path, labels: Path, *, seed: int) -> list[Table]:
    """Choose the weight on one half of the songs, and measure steering on the other.

    Parameters
    ----------
    labels : Path
        `mood4q.csv`: path, genre, genres (separated by ";"), quadrant, artist.
    seed : int
        Of the halves and of the bootstrap.

    Raises
    ------
    QueryError
        The catalog has too few of the songs.
    """
    with Recommender.open(catalog) as recommender:
        songs = _read_songs(recommender, labels)
        artists = sorted(set(songs.artists))
        drawn = np.random.default_rng(seed).permutation(artists).tolist()
        one, other = (songs.of(half) for half in (drawn[::2], drawn[1::2]))
        if min(len(one.seeds), len(other.seeds)) < FIRST:
            raise QueryError(f"{catalog} has too few tracks of {labels.name}: index its folder")
        return [
            _choose(recommender, one, seed=seed),
            _report(recommender, other, seed=seed),
        ]


def _read_songs(recommender: Recommender, labels: Path) -> Songs:
    with labels.open(encoding="utf-8", newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    tracks = recommender.tracks(recommender.ids())
    known = [(track.id, rows[name]) for track in tracks if (name := Path(track.key).name) in rows]
    return Songs(
        np.array([track for track, _ in known], dtype=np.int64),
        [row["genre"] for _, row in known],
        [frozenset(row["genres"].split(";")) for _, row in known],
        {
            word: np.array([row[WORDS[word][0]] in WORDS[word][1] for _, row in known], np.bool_)
            for word in MOODS
        },
        [row["artist"] for _, row in known],
    )


def _choose(recommender: Recommender, songs: Songs, *, seed: int) -> Table:
    """Genre kept and mood reached for each weight, and the weight that the rule takes."""
    shares = _shares_by_weight(recommender, songs)
    artists = [songs.artists[row] for row in songs.seeds]
    best = int(np.argmax(_f_of(shares)))
    error = _standard_error(shares[:, best : best + 1], artists, seed=seed)
    good = _f_of(shares) >= _f_of(shares)[best] - error
    chosen = WEIGHTS[int(np.argmax(good))]
    cells: list[tuple[str, tuple[Cell, ...]]] = [
        (f"{weight:g}", (*map(Figure, shares[:, row].mean(axis=(0, 1)).tolist()), Figure(f)))
        for row, (weight, f) in enumerate(zip(WEIGHTS, _f_of(shares).tolist(), strict=True))
    ]
    return Table(
        "Weight of a word, on the half that chooses",
        (f"genre kept @{FIRST}", f"mood reached @{FIRST}", "F"),
        tuple(cells),
        f"{len(songs.ids)} songs, {len(songs.seeds)} of them seeds; means over "
        f"{', '.join(MOODS)}. Best F at {WEIGHTS[best]:g}, standard error {error:.3f}: "
        f"the rule takes {chosen:g}; in use is {WEIGHT:g}.",
    )


def _shares_by_weight(recommender: Recommender, songs: Songs) -> NDArray[np.float64]:
    """Genre kept and mood reached, (words, weights, seeds, 2), from cosines and percentiles."""
    vectors = recommender.vectors(songs.ids)
    cosines = vectors @ vectors.T
    percentiles = recommender.word_percentiles(recommender.steering(MOODS, ()), songs.ids).T
    shares = np.empty((len(MOODS), len(WEIGHTS), len(songs.seeds), 2))
    for of_word, word, fit in zip(shares, MOODS, percentiles, strict=True):
        for of_weight, weight in zip(of_word, WEIGHTS, strict=True):
            shifts = word_shifts(
                fit,
                median_random_cosine=recommender.median_random_cosine,
                weight=weight,
            )
            for position, seed in enumerate(songs.seeds):
                relevance = np.where(songs.others(seed), cosines[seed] + shifts, -np.inf)
                first = np.argsort(-relevance, kind="stable")[:FIRST].tolist()
                of_weight[position] = songs.kept(seed, first), songs.reached(word, first)
    return shares


def _f_of(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """F of each weight, from shares (words, weights, seeds, 2)."""
    genre, mood = np.moveaxis(shares.mean(axis=2), -1, 0)
    return np.asarray((2 * genre * mood / np.maximum(genre + mood, 1e-12)).mean(axis=0))


def _standard_error(shares: NDArray[np.float64], artists: Sequence[str], *, seed: int) -> float:
    """Standard error of the F of one weight, artists drawn whole."""
    rng = np.random.default_rng(seed)
    names = sorted(set(artists))
    of_artist = {name: [row for row, one in enumerate(artists) if one == name] for name in names}
    drawn = [
        [row for name in rng.choice(names, len(names)) for row in of_artist[name]]
        for _ in range(DRAWS)
    ]
    return float(np.std([_f_of(shares[:, :, rows])[0] for rows in drawn], ddof=1))


def _report(recommender: Recommender, songs: Songs, *, seed: int) -> Table:
    """What questions answer, with and without each word, and what the word alone answers."""
    plain = {row: _ask(recommender, songs, row, ()) for row in songs.seeds}
    cells: list[tuple[str, tuple[Cell, ...]]] = []
    where = Where(among=tuple(songs.ids.tolist()))
    for word in MOODS:
        found = [hit.id for hit in find(recommender, word, len(songs.ids), where=where)]
        ways = {
            row: (
                plain[row],
                _ask(recommender, songs, row, (word,)),
                _first_of_others(songs, row, found),
            )
            for row in songs.seeds
        }
        genre = [[songs.kept(row, answer) for answer in of] for row, of in ways.items()]
        mood = [[songs.reached(word, answer) for answer in of] for of in ways.values()]
        cells.append((word, (*_figures(genre, seed=seed), *_figures(mood, seed=seed))))
    names = ("seed alone", "seed and word", "word alone")
    columns = tuple(f"{what}: {way}" for what in ("genre kept", "mood reached") for way in names)
    return Table(
        f"Steering, on the other half: share of the first {FIRST}",
        columns,
        tuple(cells),
        f"{len(songs.ids)} songs, {len(songs.seeds)} of them seeds; own artist left out.",
    )


def _ask(recommender: Recommender, songs: Songs, row: int, more: tuple[str, ...]) -> list[int]:
    """Rows of the first answers to a seed."""
    # Its own artist is left out afterwards, so that one compiled filter serves all.
    n = FIRST + int(np.sum(~songs.others(row)))
    where = Where(among=tuple(songs.ids.tolist()))
    answer = recommender.similar_to_track(int(songs.ids[row]), n, where=where, more=more)
    return _first_of_others(songs, row, [one.id for one in answer])


def _first_of_others(songs: Songs, row: int, ids: Sequence[int]) -> list[int]:
    """Rows of the first answers that are not of the artist of a row."""
    others = songs.others(row)
    rows = np.searchsorted(songs.ids, ids).tolist()
    return list(islice((one for one in rows if others[one]), FIRST))


def _figures(shares: Sequence[Sequence[float]], *, seed: int) -> list[Figure]:
    """The mean of each way with its interval; the last, the same answer for all, has none."""
    values = np.array(shares)
    low, high = interval(values, random_state=seed)
    *asked, alone = zip(values.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True)
    return [*(Figure(*column) for column in asked), Figure(alone[0])]
