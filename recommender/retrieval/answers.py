"""Answers: neighbours, best first, as values or as one table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

Item_co = TypeVar("Item_co", covariant=True)

Explain = bool | Literal["windows"]
"""Whether an answer says why; "windows": also where, for which the tracks are decoded again."""


@dataclass(frozen=True)
class NearDuplicate:
    """Another encoding, cut or take of a neighbour."""

    id: int
    key: str
    title: str | None
    artist: str | None
    cosine: float


@dataclass(frozen=True)
class MatchingWindows:
    """The windows of two tracks that sound most alike.

    Attributes
    ----------
    first_s, second_s : float
        Where they begin, in seconds.
    length_s : float
    cosine : float
    """

    first_s: float
    second_s: float
    length_s: float
    cosine: float


@dataclass(frozen=True)
class WordMatch:
    """How well a word fits a track.

    Attributes
    ----------
    word : str
    percentile : float
        Share of the library that it fits less well, in (0, 1).
    because : str
        Reason: "mellow 0.61" (the model's probability), "genre Jazz", "1994", "92 BPM".
    """

    word: str
    percentile: float
    because: str


@dataclass(frozen=True)
class WordShift(WordMatch):
    """How far a word that steers moves a track.

    Attributes
    ----------
    word : str
        "more piano", "less vocals"; its percentile is above 0.5 where it moves the track up.
    shift : float
        What it adds to the track's relevance, on the scale of a cosine.
    moved : int or None
        By how many places it moves the track up among the candidates, the other words as they are;
        down is negative. None in playlists, whose order has other reasons too.
    """

    shift: float
    moved: int | None

    def __str__(self) -> str:
        """Such as "more piano 0.93 (+14)"."""
        moved = "" if self.moved is None else f" ({self.moved:+d})"
        return f"{self.word} {self.percentile:.2f}{moved}"


@dataclass(frozen=True)
class Explanation:
    """What a neighbour has in common with the liked seed that it is nearest to.

    Attributes
    ----------
    seed : str or None
        Label of that seed; None where there is one only.
    tags : tuple of str
        Tags of the model that both have, the most telling first.
    tempo_bpm : float or None
        The neighbour's, where it is also the seed's.
    musical_key : str or None
        Where it is the same.
    windows : MatchingWindows or None
        Of the seed and the neighbour; None unless asked for, and where one cannot be decoded.
    words : tuple of WordShift
        One for each word that steers; with words there is an explanation, asked for or not.
    """

    seed: str | None = None
    tags: tuple[str, ...] = ()
    tempo_bpm: float | None = None
    musical_key: str | None = None
    windows: MatchingWindows | None = None
    words: tuple[WordShift, ...] = ()

    def __str__(self) -> str:
        """In words, such as "piano, calm; both 92 BPM, A minor; 0:43 like the seed's 1:02"."""
        both = [
            *([] if self.tempo_bpm is None else [f"{self.tempo_bpm:.0f} BPM"]),
            *([] if self.musical_key is None else [self.musical_key]),
        ]
        parts = [
            ", ".join(map(str, self.words)),
            "" if self.seed is None else f"like {self.seed}",
            ", ".join(self.tags),
            f"both {', '.join(both)}" if both else "",
            ""
            if self.windows is None
            else f"{format_clock(self.windows.second_s)} like the seed's "
            f"{format_clock(self.windows.first_s)}",
        ]
        return "; ".join(part for part in parts if part)


def format_clock(seconds: float) -> str:
    """Seconds as a player shows them: 3:07."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
    return f"{whole // 60}:{whole % 60:02}"


@dataclass(frozen=True)
class Neighbour:
    """A track that sounds like the liked seeds.

    Attributes
    ----------
    cosine : float
        Cosine of the angle between the two embeddings, in [-1, 1]; 1 is the same sound. Of several
        liked seeds the mean (strategy `average`) or the nearest one's (`best_score`).
    score : float or None
        Share of random pairs of this catalog that are less alike than that, 0 to 1; 0.99 means the
        same in every library and with every model. None where there are no two tracks.
    duplicates : tuple of NearDuplicate
        Near-duplicates that are not listed on their own, the nearest first.
    why : Explanation or None
        What it has in common with the seed, where asked for, and what words do; else None.
    """

    id: int
    key: str
    title: str | None
    artist: str | None
    cosine: float
    score: float | None
    duplicates: tuple[NearDuplicate, ...] = ()
    why: Explanation | None = None

    def to_json(self) -> dict[str, Any]:
        """The neighbour as plain values."""
        # `asdict` of the whole copies each value, which takes longer than the search.
        return {
            **vars(self),
            "duplicates": [asdict(one) for one in self.duplicates],
            "why": None if self.why is None else asdict(self.why),
        }

    @property
    def steered_cosine(self) -> float:
        """The cosine with what words that steer add to it."""
        return self.cosine + sum(word.shift for word in (self.why.words if self.why else ()))


class TupleSequence(Sequence[Item_co]):
    """A sequence of the items of one tuple that it holds beside other things."""

    @property
    @abstractmethod
    def _items(self) -> tuple[Item_co, ...]: ...

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Item_co: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Item_co, ...]: ...
    def __getitem__(self, index: int | slice) -> Item_co | tuple[Item_co, ...]:
        return self._items[index]


@dataclass(frozen=True)
class Answer(TupleSequence[Neighbour]):
    """Neighbours, most relevant first; equal ones in the order of their ids.

    Attributes
    ----------
    seed : str
        Labels of the seeds.
    neighbours : tuple of Neighbour
    note : str or None
        Why there are fewer than were asked for.
    """

    seed: str
    neighbours: tuple[Neighbour, ...]
    note: str | None = None

    @property
    def _items(self) -> tuple[Neighbour, ...]:
        return self.neighbours

    def with_windows(self, windows: Mapping[int, MatchingWindows]) -> Answer:
        """The answer with the matching windows of some neighbours, by id, among its reasons."""
        return replace(
            self,
            neighbours=tuple(
                one
                if one.why is None
                else replace(one, why=replace(one.why, windows=windows.get(one.id)))
                for one in self
            ),
        )

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with one row a neighbour; `duplicates` as ids, `why` in words."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    **asdict(neighbour),
                    "duplicates": [one.id for one in neighbour.duplicates],
                    "why": None if neighbour.why is None else str(neighbour.why),
                }
                for neighbour in self.neighbours
            ],
            columns=list(Neighbour.__dataclass_fields__),
        )

    def to_json(self) -> dict[str, object]:
        """The answer as plain values, as the command line's `--json` prints it."""
        return {
            "seed": self.seed,
            "neighbours": [one.to_json() for one in self.neighbours],
            "note": self.note,
        }
