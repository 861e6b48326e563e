"""One world of simulated users, and how well each method finds what they play."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cold_start.contenders import Mapped, baselines, ceiling
from cold_start.measures import MEASURES, long_tail, measure
from cold_start.simulation import simulate, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cold_start.contenders import Scores
    from cold_start.simulation import Habits, Split, Tracks, World

    Row = tuple[str, str, NDArray[np.float64]]
    """Title of the table, name of the row, mean of each measure."""

COLD = 589 / 1289
"""So many cold tracks as in arXiv 2604.23077, whose figures stand on 589."""
HELD = 0.2
"""Share of the plays of warm tracks that are held out."""
ASKED = 800
"""Users that measures are taken of, drawn at random; all are trained on."""
RECALL = MEASURES.index("recall@20")
COLD_TRACKS, WARM_TRACKS = "Cold tracks, whole artists held out", "Warm tracks"
ALL_TRACKS, HALF = "All tracks", "Cold tracks, half of their plays asked for"
KNOWN_ARTISTS = "New tracks of known artists"
FEWER = "Cold tracks, learned from fewer warm tracks"
SHARES = (1, 2, 4, 8)
"""The map learns from the warm tracks divided by these."""
TRUTH, TASTE, SOUND_TASTE = (
    "true chances",
    "true taste, no popularity",
    "true taste, its sound alone",
)
CEILING, OTHER_PLAYS, CHOSEN = "ceiling", "ceiling, other plays", "chosen"


@dataclass(frozen=True)
class Setting:
    """What is compared: the model, its factors, and the maps."""

    collaborative: str = "als"
    factors: int = 32
    kinds: tuple[str, ...] = ("ridge", "nearest")


class Experiment:
    """A world, what of it is cold, and a collaborative model of the rest."""

    def __init__(self, tracks: Tracks, habits: Habits, setting: Setting, *, seed: int) -> None:
        self.tracks, self.setting, self.seed = tracks, setting, seed
        self.world: World = simulate(tracks, habits, seed=seed)
        rng = np.random.default_rng(seed)
        self.asked = np.sort(rng.permutation(habits.users)[:ASKED])
        self.shuffled = rng.permutation(len(tracks))
        self.tail = long_tail(self.world.plays)
        self.first = next(iter(tracks.embeddings))

    def tables(self) -> Iterator[Row]:
        """Rows of all tables."""
        parts = self._split(whole_artists=True)
        mapped = self._mapped(parts)
        vectors = self.tracks.embeddings[self.first]
        ways: dict[str, Scores] = dict(baselines(self.tracks, parts, np.random.default_rng(0)))
        ways |= self.content(mapped)
        hybrid = mapped.hybrid(vectors, self.setting.kinds[0])
        top = self._ceiling(parts.everything)
        for name, scores in (ways | {CEILING: top} | self._oracles()).items():
            yield COLD_TRACKS, name, self.means(scores, parts, parts.cold)
        known = {n: ways[n] for n in ways if ", " not in n or n.endswith("plain cosine")}
        known |= {"CF alone": mapped.scores(), "hybrid": hybrid, CEILING: top, **self._oracles()}
        for name, scores in known.items():
            yield WARM_TRACKS, name, self.means(scores, parts, ~parts.cold)
        everything = np.ones(len(self.tracks), bool)
        for name, scores in (ways | known).items():
            yield ALL_TRACKS, name, self.means(scores, parts, everything)
        yield from self._half(parts, ways[f"{self.first}, {CHOSEN}"])
        yield from self._known_artists()
        yield from self._fewer(parts, mapped)

    def ratios(self) -> dict[str, float]:
        """Recall@20 of cold tracks that makes the four ratios, of the first embedding only."""
        parts = self._split(whole_artists=True)
        mapped = self._mapped(parts)
        ways = dict(baselines(self.tracks, parts, np.random.default_rng(0)))
        ways |= self.content(mapped, only=self.first)
        ways[CEILING] = self._ceiling(parts.everything)
        ways |= self._oracles()
        found = {n: self.means(s, parts, parts.cold)[RECALL] for n, s in ways.items()}
        half = {name: means[RECALL] for _, name, means in self._half(parts, ways[self._chosen])}
        found[OTHER_PLAYS] = half[OTHER_PLAYS] * found[self._chosen] / half[self._chosen]
        return {name: float(value) for name, value in found.items()}

    def content(self, mapped: Mapped, *, only: str | None = None) -> dict[str, Scores]:
        """Scores by maps of every kind, from every embedding and from the first, shuffled."""
        found: dict[str, Scores] = {}
        every = {only: self.tracks.embeddings[only]} if only else self.tracks.embeddings
        shuffled = {f"{self.first} shuffled": self.tracks.embeddings[self.first][self.shuffled]}
        for name, vectors in {**every, **shuffled}.items():
            fitted = {kind: mapped.regressor(vectors, kind) for kind in self.setting.kinds}
            for kind, one in fitted.items():
                found[f"{name}, {kind}"] = mapped.scores(one.predict(vectors[mapped.cold]))
            best = max(fitted, key=lambda kind, of=fitted: of[kind].correlation_)
            found[f"{name}, {CHOSEN}"] = found[f"{name}, {best}"]
        return found

    def means(
        self, scores: Scores, parts: Split, candidates: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Of each measure, over the users asked."""
        rows = self.asked
        held, train = parts.held_out[rows], parts.train[rows]
        return measure(scores[rows], held, train, candidates, self.tail).means

    @property
    def _chosen(self) -> str:
        return f"{self.first}, {CHOSEN}"

    def _split(self, *, whole_artists: bool) -> Split:
        return split(
            self.world.plays,
            self.tracks.artist_keys,
            cold_share=COLD,
            held_share=HELD,
            whole_artists=whole_artists,
            seed=self.seed,
        )

    def _mapped(self, parts: Split) -> Mapped:
        setting = self.setting
        return Mapped(
            setting.collaborative, self.tracks, parts, factors=setting.factors, seed=self.seed
        )

    def _ceiling(self, plays: object) -> Scores:
        setting = self.setting
        return ceiling(setting.collaborative, plays, factors=setting.factors, seed=self.seed)

    def _oracles(self) -> dict[str, Scores]:
        return {
            TRUTH: self.world.chances,
            TASTE: self.world.taste,
            SOUND_TASTE: self.world.sound_taste,
        }

    def _half(self, parts: Split, content: Scores) -> Iterator[Row]:
        """A ceiling that has not seen the plays asked for."""
        halves = parts.halved(seed=self.seed)
        for name, scores in (
            (self._chosen, content),
            (OTHER_PLAYS, self._ceiling(halves.train)),
            *self._oracles().items(),
        ):
            yield HALF, name, self.means(scores, halves, parts.cold)

    def _fewer(self, parts: Split, mapped: Mapped) -> Iterator[Row]:
        """How much more there is to learn: the same factors, known of fewer tracks."""
        for name, vectors in self.tracks.embeddings.items():
            for share in SHARES:
                most = max(len(mapped.warm) // share, self.setting.factors)
                fitted = mapped.regressor(vectors, self.setting.kinds[0], most=most)
                scores = mapped.scores(fitted.predict(vectors[mapped.cold]))
                yield FEWER, f"{name}, 1/{share}", self.means(scores, parts, parts.cold)

    def _known_artists(self) -> Iterator[Row]:
        """Single tracks held out, so that their artists have others."""
        parts = self._split(whole_artists=False)
        mapped = self._mapped(parts)
        kind = self.setting.kinds[0]
        vectors = self.tracks.embeddings[self.first]
        ways = dict(baselines(self.tracks, parts, np.random.default_rng(0)))
        alone = mapped.regressor(vectors, kind).predict(vectors[mapped.cold])
        ways[f"{self.first}, {kind}"] = mapped.scores(alone)
        ways[f"{self.first} and artist, {kind}"] = mapped.with_artists(vectors, kind)
        ways[CEILING] = self._ceiling(parts.everything)
        for name, scores in ways.items():
            yield KNOWN_ARTISTS, name, self.means(scores, parts, parts.cold)
