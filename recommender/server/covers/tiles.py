"""Tiles: pictures of tracks without a cover, drawn from their embeddings.

The colours are those of a plane that the library's embeddings are projected onto, so tracks that
sound alike have tiles alike. Colours are mixed in OKLCH (Ottosson 2020), in which equal lightness
looks equally light: a tile is as bright as any other, on a light page and on a dark one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

AXES = 8
"""Directions in which tiles differ."""
BARS = 5
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


def draw_tile(coordinates: NDArray[np.float64]) -> str:
    """A square SVG picture for coordinates (AXES,) on a palette."""
    first, second = coordinates[:2].tolist()
    turns = np.tanh(0.6 * coordinates).tolist()
    hue = math.degrees(math.atan2(second, first))
    chroma = 0.06 + 0.08 * math.tanh(math.hypot(first, second))
    light = _hex(0.72, chroma, hue + 18 + 22 * turns[2])
    deep = _hex(0.45, chroma, hue - 18 + 22 * turns[3])
    glow = _hex(0.85, 0.8 * chroma, hue + 55 + 30 * turns[2])
    x, y = 50 + 34 * turns[4], 50 + 34 * turns[5]
    bars = "".join(
        f'<rect x="{22 + 12 * number:.0f}" y="{50 - half:.1f}" width="8" '
        f'height="{2 * half:.1f}" rx="4"/>'
        for number, half in enumerate(_bar_lengths(turns))
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        '<defs><linearGradient id="a" x1="0" y1="0" x2="1" y2="1">'
        f'<stop stop-color="{light}"/><stop offset="1" stop-color="{deep}"/></linearGradient>'
        f'<radialGradient id="b"><stop stop-color="{glow}" stop-opacity=".75"/>'
        f'<stop offset="1" stop-color="{glow}" stop-opacity="0"/></radialGradient></defs>'
        '<rect width="100" height="100" fill="url(#a)"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="52" fill="url(#b)"/>'
        f'<g fill="#fff" fill-opacity=".88">{bars}</g></svg>'
    )


def _bar_lengths(turns: list[float]) -> list[float]:
    """Half the length of each bar, from all axes."""
    return [
        17 + 11 * math.tanh(turns[number % AXES] + turns[(number + 3) % AXES])
        for number in range(BARS)
    ]


def _hex(lightness: float, chroma: float, hue: float) -> str:
    """A colour of OKLCH in sRGB, clipped to what screens show."""
    angle = math.radians(hue)
    lab = np.array([lightness, chroma * math.cos(angle), chroma * math.sin(angle)])
    linear = np.clip(_MATRIX_RGB @ (_MATRIX_LMS @ lab) ** 3, 0.0, 1.0)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + bytes(np.rint(255 * curved).astype(np.uint8).tolist()).hex()
