"""Tiles: pictures of tracks without a cover, drawn from their embeddings.

The colours are those of a plane that the library's embeddings are projected onto, so tracks that
sound alike have tiles alike. Colours are mixed in OKLCH (Ottosson 2020), in which equal lightness
looks equally light: a tile is as bright as any other, on a light page and on a dark one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, each up to 255."""

AXES = 8
"""Directions in which tiles differ."""
BARS = 5
BAR_WIDTH = 8
GLOW_RADIUS = 52
GLOW, WHITE = 0.75, 0.88
"""Opacity of the glow in its middle, and of the bars."""
_MATRIX_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_MATRIX_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@dataclass(frozen=True, eq=False)
class Palette:
    """How the embeddings of a library differ most; made by `Palette.of`.

    Attributes
    ----------
    mean : ndarray (dim,)
    axes : ndarray (AXES, dim)
        Principal axes, each divided by the standard deviation along it; zeros where there are
        fewer.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Palette:
        """The palette of a sample of embeddings (n, dim), n at least 1."""
        mean = vectors.mean(axis=0, dtype=np.float64)
        _, spreads, directions = np.linalg.svd(vectors - mean, full_matrices=False)
        axes = np.zeros((AXES, vectors.shape[1]))
        for number, (spread, direction) in enumerate(
            zip(spreads[:AXES], directions[:AXES], strict=True)
        ):
            deviation = spread / math.sqrt(len(vectors))
            if deviation > 1e-6:
                # The sign of an axis is arbitrary: its largest part is taken for positive.
                sign = math.copysign(1.0, direction[np.abs(direction).argmax()])
                axes[number] = sign * direction / deviation
        return cls(mean, axes)

    def coordinates(self, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """Where an embedding (dim,) lies on the axes, (AXES,), in standard deviations."""
        found: NDArray[np.float64] = self.axes @ (vector.astype(np.float64) - self.mean)
        return found


@dataclass(frozen=True)
class Tile:
    """What is on a tile of 100 by 100.

    Attributes
    ----------
    light, deep : tuple of int
        Red, green and blue in the corner above on the left, and in the one below on the right.
    glow : tuple of int
        Of a round glow, full at `x`, `y` and gone `GLOW_RADIUS` from there.
    bars : tuple of float
        Half the height of each white bar.
    """

    light: Colour
    deep: Colour
    glow: Colour
    x: float
    y: float
    bars: tuple[float, ...]


def make_tile(coordinates: NDArray[np.float64]) -> Tile:
    """The tile for coordinates (AXES,) on a palette."""
    first, second = coordinates[:2].tolist()
    turns = np.tanh(0.6 * coordinates).tolist()
    hue = math.degrees(math.atan2(second, first))
    chroma = 0.06 + 0.08 * math.tanh(math.hypot(first, second))
    return Tile(
        light=_colour(0.72, chroma, hue + 18 + 22 * turns[2]),
        deep=_colour(0.45, chroma, hue - 18 + 22 * turns[3]),
        glow=_colour(0.85, 0.8 * chroma, hue + 55 + 30 * turns[2]),
        x=round(50 + 34 * turns[4], 1),
        y=round(50 + 34 * turns[5], 1),
        bars=tuple(round(half, 1) for half in _bar_lengths(turns)),
    )


def draw_tile(coordinates: NDArray[np.float64]) -> str:
    """A square SVG picture for coordinates (AXES,) on a palette."""
    tile = make_tile(coordinates)
    glow = _hex(tile.glow)
    bars = "".join(
        f'<rect x="{bar_left(number):.0f}" y="{50 - half:.1f}" width="{BAR_WIDTH}" '
        f'height="{2 * half:.1f}" rx="{BAR_WIDTH // 2}"/>'
        for number, half in enumerate(tile.bars)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        '<defs><linearGradient id="a" x1="0" y1="0" x2="1" y2="1">'
        f'<stop stop-color="{_hex(tile.light)}"/>'
        f'<stop offset="1" stop-color="{_hex(tile.deep)}"/></linearGradient>'
        f'<radialGradient id="b"><stop stop-color="{glow}" stop-opacity="{GLOW}"/>'
        f'<stop offset="1" stop-color="{glow}" stop-opacity="0"/></radialGradient></defs>'
        '<rect width="100" height="100" fill="url(#a)"/>'
        f'<circle cx="{tile.x:.1f}" cy="{tile.y:.1f}" r="{GLOW_RADIUS}" fill="url(#b)"/>'
        f'<g fill="#fff" fill-opacity="{WHITE}">{bars}</g></svg>'
    )


def bar_left(number: int) -> float:
    """Where a bar begins, from the left."""
    return 22 + 12 * number


def _bar_lengths(turns: list[float]) -> list[float]:
    """Half the length of each bar, from all axes."""
    return [
        17 + 11 * math.tanh(turns[number % AXES] + turns[(number + 3) % AXES])
        for number in range(BARS)
    ]


def _colour(lightness: float, chroma: float, hue: float) -> Colour:
    """A colour of OKLCH in sRGB, clipped to what screens show."""
    angle = math.radians(hue)
    lab = np.array([lightness, chroma * math.cos(angle), chroma * math.sin(angle)])
    linear = np.clip(_MATRIX_RGB @ (_MATRIX_LMS @ lab) ** 3, 0.0, 1.0)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = np.rint(255 * curved).astype(int).tolist()
    return red, green, blue


def _hex(colour: Colour) -> str:
    return "#" + bytes(colour).hex()
