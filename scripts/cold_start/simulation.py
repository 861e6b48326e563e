"""Simulated users of real tracks: what they play is drawn at random, not observed.

There are some hundred tastes, which users share; each user has a few of them. A taste lies
around a track: it likes others of its artist, its group (a soundtrack, a release) and its genre,
and those that sound near to it in the few sides of sound that it cares for, as another model than
the evaluated one embeds them. Which of the liked tracks are played also depends on how popular a
track is, which nothing tells, and on chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import coo_matrix


@dataclass(frozen=True)
class Tracks:
    """Real tracks with what is known of them; "" where a label is not known.

    Attributes
    ----------
    embeddings : dict of str to float32 (tracks, dim)
        By model: what is evaluated.
    taste : float32 (tracks, dims)
        How tracks sound to a model that is not evaluated: users choose by it.
    """

    artists: list[str]
    groups: list[str]
    genres: list[str]
    embeddings: dict[str, NDArray[np.float32]]
    taste: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.artists)

    @property
    def artist_keys(self) -> list[str]:
        """The artist, or else the group, of each track: what is held out as a whole."""
        return [a or g for a, g in zip(self.artists, self.groups, strict=True)]


@dataclass(frozen=True)
class Habits:
    """How users choose. The defaults are the main world; they were set by these arguments.

    Attributes
    ----------
    users, plays : int, float
        `plays` is the median number of tracks that a user plays, drawn log-normally with a
        deviation of 0.8, so that the mean is 1.38 times that. Together they give 47 tracks to a
        user and 126 users to a track, as the Echo Nest Taste Profile has (1,019,318
        users, 384,546 songs, 48,373,586 pairs). A library of 1,289 tracks is then played much
        more densely than that one (4 % of all pairs).
    tastes, own : int
        Tastes that there are, and how many a user has at most (the number drawn evenly, their
        shares from a flat Dirichlet distribution). Some hundred, each shared by a few dozen
        users, rather than a few that everyone has: then no single one makes the world.
    artist, group, genre, sound : float
        What these count for in the logarithm of a track's chance; `sound` for one standard
        deviation of the nearness to the centre. Another track of the artist is seven times as
        likely as one that sounds the same. Sound counts for so much that alternating least squares,
        well regularised, finds twice what popularity finds among warm tracks; published ratios of
        recall@20 are 2.2 (ML-20M) and 4.9 (MSD) (WMF: Liang et al., WWW 2018; popularity: Steck,
        WWW 2019).
    components, sides : int, float
        A taste weighs so many whitened principal components of how tracks sound, with weights from
        a Dirichlet distribution of parameter `sides`: people care for some sides of sound and not
        for others, so that a few count in each taste (a small parameter leaves fewer). Eight lies
        between what holds half of the variance of descriptors (3) and of a network's embedding
        (13); the many small components after them are particular to the model.
    popularity : float
        Standard deviation of the logarithm of a track's popularity, which nothing says of a track.
        At 1 the most played fifth gets about half of the plays.
    noise : float
        Share of plays that go by popularity alone.
    """

    users: int = 3450
    plays: float = 34.0
    tastes: int = 400
    own: int = 3
    artist: float = 2.0
    group: float = 1.0
    genre: float = 1.0
    sound: float = 6.0
    components: int = 8
    sides: float = 0.3
    popularity: float = 1.0
    noise: float = 0.1


@dataclass(frozen=True)
class World:
    """Who has played what, and why.

    Attributes
    ----------
    plays : csr float32 (users, tracks)
        Ones.
    chances, taste, sound_taste : float32 (users, tracks)
        What no recommender knows: each user's true chances; those without what popularity adds;
        and of these only the part from sound, without artists, groups and genres.
    """

    plays: csr_matrix
    chances: NDArray[np.float32]
    taste: NDArray[np.float32]
    sound_taste: NDArray[np.float32]

    def describe(self) -> str:
        """Its size, in words."""
        counts = np.sort(np.asarray(self.plays.sum(0)).ravel())[::-1]
        top = counts[: len(counts) // 5].sum() / counts.sum()
        return (
            f"{self.plays.shape[0]} users, {self.plays.nnz} plays, {top:.0%} of them of the "
            "most played fifth"
        )


def simulate(tracks: Tracks, habits: Habits, *, seed: int) -> World:
    """World of users and what they play, drawn at random."""
    rng = np.random.default_rng(seed)
    count = len(tracks)
    popularity = habits.popularity * rng.standard_normal(count)
    by_chance = np.exp(popularity) / np.exp(popularity).sum()
    centres = rng.integers(0, count, habits.tastes)
    near = habits.sound * _nearness(tracks.taste, centres, habits, rng)
    labels = sum(
        weight * same(names)[centres]
        for weight, names in (
            (habits.artist, tracks.artists),
            (habits.group, tracks.groups),
            (habits.genre, tracks.genres),
        )
    )
    own = np.zeros((habits.users, habits.tastes))
    for user in range(habits.users):
        number = rng.integers(1, habits.own + 1)
        chosen = rng.choice(habits.tastes, number, replace=False)
        own[user, chosen] = rng.dirichlet(np.ones(number))
    wanted = (1 - habits.noise) * own @ _shares(near + labels + popularity)
    wanted += habits.noise * by_chance
    numbers = np.clip(rng.lognormal(np.log(habits.plays), 0.8, habits.users), 5, count // 4)
    # The largest of log p + Gumbel noise are a draw without replacement (Vieira 2014).
    keys = np.log(wanted) + rng.gumbel(size=wanted.shape)
    order = np.argsort(-keys, axis=1)[:, : count // 4]
    drawn = np.arange(count // 4) < numbers.astype(int)[:, None]
    ends = np.concatenate([[0], np.cumsum(drawn.sum(1))])
    plays = csr_matrix((np.ones(ends[-1], np.float32), order[drawn], ends), wanted.shape)
    plays.sort_indices()
    taste, sound_taste = own @ _shares(near + labels), own @ _shares(near)
    return World(
        plays, wanted.astype(np.float32), taste.astype(np.float32), sound_taste.astype(np.float32)
    )


def _nearness(
    taste: NDArray[np.float32],
    centres: NDArray[np.int64],
    habits: Habits,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """How near tracks are to each taste's centre in the sides it cares for, standardised."""
    left, sizes, _ = np.linalg.svd(taste - taste.mean(0), full_matrices=False)
    few = min(habits.components, int((sizes > 1e-6 * sizes[0]).sum()))
    white = left[:, :few] * len(taste) ** 0.5
    found = np.empty((len(centres), len(taste)))
    for row, centre in enumerate(centres):
        seen = unit_rows(white * np.sqrt(rng.dirichlet(np.full(few, habits.sides))))
        near = seen @ seen[centre]
        found[row] = (near - near.mean()) / near.std()
    return found


def _shares(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    chances = np.exp(logarithms)
    return np.asarray(chances / chances.sum(1, keepdims=True))


def same(labels: Sequence[str]) -> NDArray[np.bool_]:
    """Which pairs of tracks share a label (tracks, tracks); nothing shares an unknown one."""
    names = np.array(labels)
    return (names[:, None] == names[None]) & (names != "")[:, None]


@dataclass(frozen=True)
class Split:
    """What a model may know, and what it is asked about.

    Attributes
    ----------
    train : csr (users, tracks)
        Plays of warm tracks, less those held out.
    held_out : csr (users, tracks)
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

    def halved(self, *, seed: int) -> Split:
        """Half of what was held out may be known, and the other half is asked for."""
        pairs = self.held_out.tocoo()
        asked = np.random.default_rng(seed).random(pairs.nnz) < 0.5
        known = (self.train + _part(pairs, ~asked)).tocsr()
        return Split(known, _part(pairs, asked), self.cold)


def _part(pairs: coo_matrix, which: NDArray[np.bool_]) -> csr_matrix:
    where = (pairs.row[which], pairs.col[which])
    return csr_matrix((pairs.data[which], where), shape=pairs.shape)


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
    names = [name or f"alone {row}" for row, name in enumerate(owners)]
    if not whole_artists:
        names = [f"alone {row}" for row in range(count)]
    distinct = sorted(set(names))
    cold_names: set[str] = set()
    left = cold_share * count
    for number in rng.permutation(len(distinct)):
        size = names.count(distinct[number])
        if size <= left:
            cold_names.add(distinct[number])
            left -= size
    cold = np.array([name in cold_names for name in names])
    pairs = plays.tocoo()
    held = cold[pairs.col] | (rng.random(len(pairs.data)) < held_share)
    return Split(_part(pairs, ~held), _part(pairs, held), cold)
