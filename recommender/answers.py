"""What a question is answered with: neighbours, best first, as values or as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Neighbour:
    """A track that sounds like the seed.

    Attributes
    ----------
    cosine : float
        Cosine of the angle between the two embeddings, in [-1, 1]; 1 is the same sound.
    """

    id: int
    key: str
    title: str | None
    artist: str | None
    cosine: float


@dataclass(frozen=True)
class Answer(Sequence[Neighbour]):
    """Neighbours, best first; equal cosines in the order of their ids.

    Attributes
    ----------
    seed : str
        What was asked for, in words.
    neighbours : tuple of Neighbour
    """

    seed: str
    neighbours: tuple[Neighbour, ...]

    def __len__(self) -> int:
        return len(self.neighbours)

    @overload
    def __getitem__(self, place: int) -> Neighbour: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Neighbour, ...]: ...
    def __getitem__(self, place: int | slice) -> Neighbour | tuple[Neighbour, ...]:
        return self.neighbours[place]

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with one row a neighbour: id, key, title, artist, cosine."""
        import pandas as pd

        return pd.DataFrame(
            [asdict(neighbour) for neighbour in self.neighbours],
            columns=list(Neighbour.__dataclass_fields__),
        )

    def to_json(self) -> dict[str, object]:
        """The answer as plain values, as the command line's `--json` prints it."""
        return {"seed": self.seed, "neighbours": [asdict(one) for one in self.neighbours]}
