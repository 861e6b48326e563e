"""Made-up listeners of real tracks: who plays what is drawn by chance, not observed.

There is a number of tastes, which listeners share; each listener has a few of them. A taste lies
around a track: it likes others of its artist, its group (a soundtrack, a release) and its genre,
and those that another model than the evaluated one hears as near. Which of the liked tracks are
played also depends on how popular a track is, and on chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Tracks:
    """Real tracks with what is known of them; "" where a label is not known.

    Attributes
    ----------
    embeddings : dict of str to float32 (tracks, dim)
        By model: what is evaluated.
    taste : float32 (tracks, dims)
        Unit vectors of a model that is not evaluated: what listeners go by.
    """

    artists: list[str]
    groups: list[str]
    genres: list[str]
    embeddings: dict[str, NDArray[np.float32]]
    taste: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.artists)

    @property
    def makers(self) -> list[str]:
        """The artist, or else the group, of each track: what is held out as a whole."""
        return [a or g for a, g in zip(self.artists, self.groups, strict=True)]


@dataclass(frozen=True)
class Habits:
    """How listeners choose.

    Attributes
    ----------
    listeners : int
    tastes : int
        That there are, the first ones had by more listeners (Zipf).
    own : int
        Tastes of one listener at most, the number drawn evenly.
    plays : float
        Median number of tracks a listener plays; drawn log-normally.
    artist, group, genre, sound : float
        What these count for in the logarithm of a track's chance; `sound` for a standard deviation
        of the cosine in the space of taste.
    popularity : float
        Standard deviation of the logarithm of a track's popularity.
    noise : float
        Share of plays that go by popularity alone.
    """

    listeners: int = 3000
    tastes: int = 40
    own: int = 3
    plays: float = 25.0
    artist: float = 1.0
    group: float = 1.0
    genre: float = 1.0
    sound: float = 1.5
    popularity: float = 1.0
    noise: float = 0.1


def listen(tracks: Tracks, habits: Habits, *, seed: int) -> csr_matrix:
    """Who has played what: ones, float32 (listeners, tracks)."""
    rng = np.random.default_rng(seed)
    count = len(tracks)
    popularity = habits.popularity * rng.standard_normal(count)
    by_chance = np.exp(popularity) / np.exp(popularity).sum()
    centres = rng.choice(count, size=habits.tastes, replace=False, p=by_chance)
    near = tracks.taste[centres] @ tracks.taste.T
    affinity = habits.sound * (near - near.mean(1, keepdims=True)) / near.std(1, keepdims=True)
    for weight, labels in (
        (habits.artist, tracks.artists),
        (habits.group, tracks.groups),
        (habits.genre, tracks.genres),
    ):
        affinity += weight * same(labels)[centres]
    chances = np.exp(affinity + popularity)
    chances /= chances.sum(1, keepdims=True)
    spread = 1 / np.arange(1, habits.tastes + 1)
    rows, columns = [], []
    for listener in range(habits.listeners):
        number = rng.integers(1, habits.own + 1)
        own = rng.choice(habits.tastes, size=number, p=spread / spread.sum())
        liked = rng.dirichlet(np.ones(number)) @ chances[own]
        wanted = (1 - habits.noise) * liked + habits.noise * by_chance
        number = int(np.clip(rng.lognormal(np.log(habits.plays), 0.6), 3, count // 4))
        rows.append(np.full(number, listener))
        columns.append(rng.choice(count, size=number, replace=False, p=wanted))
    places = (np.concatenate(rows), np.concatenate(columns))
    ones = np.ones(len(places[0]), np.float32)
    return csr_matrix((ones, places), shape=(habits.listeners, count))


def same(labels: Sequence[str]) -> NDArray[np.bool_]:
    """Which pairs of tracks share a label (tracks, tracks); nothing shares an unknown one."""
    names = np.array(labels)
    return (names[:, None] == names[None]) & (names != "")[:, None]


@dataclass(frozen=True)
class Split:
    """What a model may know, and what it is asked about.

    Attributes
    ----------
    train : csr (listeners, tracks)
        Plays of warm tracks, less those held out.
    held_out : csr (listeners, tracks)
        All plays of cold tracks, and some of warm ones.
    cold : bool (tracks,)
    """

    train: csr_matrix
    held_out: csr_matrix
    cold: NDArray[np.bool_]

    @property
    def everything(self) -> csr_matrix:
        """All plays: what the ceiling is trained on."""
        return (self.train + self.held_out).tocsr()


def split(
    plays: csr_matrix,
    owners: Sequence[str],
    *,
    cold_share: float,
    held_share: float,
    whole_artists: bool,
    seed: int,
) -> Split:
    """Hold out artists as a whole, or single tracks, and some plays of the others."""
    rng = np.random.default_rng(seed)
    count = plays.shape[1]
    names = [name or f"alone {place}" for place, name in enumerate(owners)]
    if not whole_artists:
        names = [f"alone {place}" for place in range(count)]
    distinct = sorted(set(names))
    cold_names: set[str] = set()
    left = cold_share * count
    for place in rng.permutation(len(distinct)):
        size = names.count(distinct[place])
        if size <= left:
            cold_names.add(distinct[place])
            left -= size
    cold = np.array([name in cold_names for name in names])
    pairs = plays.tocoo()
    held = cold[pairs.col] | (rng.random(len(pairs.data)) < held_share)

    def part(which: NDArray[np.bool_]) -> csr_matrix:
        return csr_matrix(
            (pairs.data[which], (pairs.row[which], pairs.col[which])), shape=plays.shape
        )

    return Split(part(~held), part(held), cold)
