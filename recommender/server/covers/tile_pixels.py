"""Tiles as PNG, for players that show no SVG."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.server.covers.tiles import (
    BAR_WIDTH,
    GLOW,
    GLOW_RADIUS,
    WHITE,
    bar_left,
    make_tile,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.server.covers.tiles import Colour, Tile


def draw_tile_png(coordinates: NDArray[np.float64], size: int) -> bytes:
    """The tile of `tiles.draw_tile` as a PNG of so many pixels a side."""
    return _png(_pixels(make_tile(coordinates), size))


def _pixels(tile: Tile, size: int) -> NDArray[np.uint8]:
    """Red, green and blue of each pixel, (size, size, 3)."""
    middle: NDArray[np.float32] = (np.arange(size, dtype=np.float32) + 0.5) * (100 / size)
    x, y = middle[np.newaxis, :], middle[:, np.newaxis]
    way = (x + y) / 200
    picture = _mixed(np.array(tile.light, np.float32), tile.deep, way)
    distance = np.hypot(x - tile.x, y - tile.y)
    picture = _mixed(picture, tile.glow, GLOW * np.clip(1 - distance / GLOW_RADIUS, 0, 1))
    for number, half in enumerate(tile.bars):
        # How far a pixel is from the line in the middle of the bar, whose ends are round.
        radius = BAR_WIDTH / 2
        beyond = np.maximum(np.abs(y - 50) - max(half - radius, 0), 0)
        outside = np.hypot(x - bar_left(number) - radius, beyond) - radius
        covered = np.clip(0.5 - outside * (size / 100), 0, 1)
        picture = _mixed(picture, (255, 255, 255), WHITE * covered)
    return np.rint(picture).astype(np.uint8)


def _mixed(below: NDArray[np.float32], above: Colour, opacity: NDArray[Any]) -> NDArray[np.float32]:
    opacity = opacity[..., np.newaxis]
    found: NDArray[np.float32] = below * (1 - opacity) + np.array(above, np.float32) * opacity
    return found


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG (ISO/IEC 15948) of pixels (height, width, 3)."""
    height, width, _ = pixels.shape
    # Each row as the difference to the one above, which is small in a gradient.
    above = np.concatenate([np.zeros_like(pixels[:1]), pixels[:-1]])
    rows = (pixels - above).reshape(height, -1)
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), rows], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
