"""The whole repertoire: which piece of which style is composed, by whom, from which seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import ambient, baroque, drum_and_bass, folk, hip_hop, house, jazz, metal

if TYPE_CHECKING:
    from .piece import Performer, Piece, Style

STYLES: tuple[Style[Any], ...] = (
    ambient.STYLE,
    baroque.STYLE,
    drum_and_bass.STYLE,
    folk.STYLE,
    hip_hop.STYLE,
    house.STYLE,
    jazz.STYLE,
    metal.STYLE,
)
GUEST_NUMBER = 999


@dataclass(frozen=True)
class Commission:
    """One piece to be composed: places in `STYLES` and in its performers, its number, the seed.

    `number` counts the pieces of the style from 0; performers take turns.
    """

    style_number: int
    number: int
    seed: int
    guest: bool = False

    @property
    def style(self) -> Style[Any]:
        """The style."""
        return STYLES[self.style_number]

    @property
    def performer(self) -> Performer[Any]:
        """The performer."""
        if self.guest:
            return folk.GUEST
        return self.style.performers[self.number % len(self.style.performers)]

    @property
    def track_number(self) -> int:
        """Place on the performer's album, from 1."""
        return 1 if self.guest else self.number // len(self.style.performers) + 1

    @property
    def title(self) -> str:
        """A title of the performer's, numbered when the titles have run out."""
        titles = self.performer.titles
        part, place = divmod(self.track_number - 1, len(titles))
        return titles[place] + (f", Part {part + 1}" if part else "")

    def compose(self) -> Piece:
        """Compose and play it: the same commission gives the same samples."""
        # The name, not the place, so that a style added later changes no other style's pieces.
        name = int.from_bytes(self.style.name.encode()[:8], "big")
        rng = np.random.default_rng([self.seed, name, self.number])
        return self.style.compose(self.performer, rng)


def library(*, seed: int, pieces_per_style: int) -> list[Commission]:
    """The pieces of a library, style by style."""
    return [
        Commission(style, number, seed)
        for style in range(len(STYLES))
        for number in range(pieces_per_style)
    ]


def guest(*, seed: int) -> Commission:
    """One folk piece by a performer who is not in the library."""
    return Commission(STYLES.index(folk.STYLE), GUEST_NUMBER, seed, guest=True)
