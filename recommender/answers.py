"""What a question is answered with: neighbours, best first, as values or as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Version:
    """Another version, encoding or cut of an answer."""

    id: int
    key: str
    title: str | None
    artist: str | None
    cosine: float


@dataclass(frozen=True)
class Why:
    """What an answer has in common with the liked seed that it is nearest to.

    Attributes
    ----------
    seed : str or None
        That seed, in words; None where there was one only.
    tags : tuple of str
        Tags of the model that both have, the most telling first.
    tempo_bpm : float or None
        The answer's, where it is also the seed's.
    key_name : str or None
        The musical key, where it is the same.
    """

    seed: str | None
    tags: tuple[str, ...]
    tempo_bpm: float | None
    key_name: str | None

    def __str__(self) -> str:
        """In words, such as "piano, calm; both 92 BPM, A minor"."""
        both = [
            *([] if self.tempo_bpm is None else [f"{self.tempo_bpm:.0f} BPM"]),
            *([] if self.key_name is None else [self.key_name]),
        ]
        parts = [
            "" if self.seed is None else f"like {self.seed}",
            ", ".join(self.tags),
            f"both {', '.join(both)}" if both else "",
        ]
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True)
class Neighbour:
    """A track that sounds like what was liked.

    Attributes
    ----------
    cosine : float
        Cosine of the angle between the two embeddings, in [-1, 1]; 1 is the same sound. Of several
        liked seeds the mean (strategy `average`) or the nearest one's (`best_score`).
    score : float or None
        Share of random pairs of this catalog that are less alike than that, 0 to 1; 0.99 means the
        same in every library and with every model. None where there are no two tracks.
    duplicates : tuple of Version
        Near-duplicates that are not listed on their own, the nearest first.
    why : Why or None
        What it has in common with the seed; None unless asked for.
    """

    id: int
    key: str
    title: str | None
    artist: str | None
    cosine: float
    score: float | None
    duplicates: tuple[Version, ...] = ()
    why: Why | None = None


@dataclass(frozen=True)
class Answer(Sequence[Neighbour]):
    """Neighbours, most relevant first; equal ones in the order of their ids.

    Attributes
    ----------
    seed : str
        What was asked for, in words.
    neighbours : tuple of Neighbour
    note : str or None
        Why there are fewer than were asked for.
    """

    seed: str
    neighbours: tuple[Neighbour, ...]
    note: str | None = None

    def __len__(self) -> int:
        return len(self.neighbours)

    @overload
    def __getitem__(self, place: int) -> Neighbour: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Neighbour, ...]: ...
    def __getitem__(self, place: int | slice) -> Neighbour | tuple[Neighbour, ...]:
        return self.neighbours[place]

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
            "neighbours": [asdict(one) for one in self.neighbours],
            "note": self.note,
        }
