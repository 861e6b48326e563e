"""Covers of a library's tracks, the last ones kept in memory."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from anyio import to_thread

from indexer.errors import AnalysisError, QueryError
from indexer.filesystem import file_version, is_url
from indexer.vectors.base import sample_ids
from recommender.server.covers.tile_pixels import draw_tile_png
from recommender.server.covers.tiles import AXES, Palette, draw_tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.catalog.file_queries import TrackFile
    from indexer.filesystem import FileVersion
    from recommender.engine import Recommender
    from recommender.server.sound.workers import PlaybackWorkers

    Key = tuple[int, int, FileVersion | None, FileVersion | None]

log = logging.getLogger(__name__)

KEPT_BYTES = 32 << 20
"""Memory that covers take at most."""
LARGEST_KEPT = 1 << 20
_OVERHEAD = 400
"""Bytes that an entry takes beside its picture, as one of a track without a cover does."""
SMALLEST, LARGEST = 16, 2048
"""Sizes in which pictures are made, in pixels a side."""
TILE_SIZE = 600
"""Of a tile where no size is asked for."""
AS_STORED = 0
PALETTE_TRACKS = 1024
"""Tracks sampled for the palette of tiles."""


@dataclass(frozen=True)
class Cover:
    """A picture as it is sent."""

    data: bytes
    media_type: str
    etag: str


class Covers:
    """Covers of tracks: the picture in a file or beside it, else a tile.

    A picture is kept until its file, or the folder around it, changes.
    """

    def __init__(self, recommender: Recommender, workers: PlaybackWorkers) -> None:
        self._recommender = recommender
        self._workers = workers
        self._kept: OrderedDict[Key, Cover | None] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._palette: Palette | None = None
        self._palette_tracks = 0

    async def cover(self, track_id: int, file: TrackFile) -> Cover:
        """The cover of a track, a tile where there is no picture that can be read.

        Raises
        ------
        WorkersFailed
        """
        found = await self._stored(track_id, file.path, AS_STORED)
        return await to_thread.run_sync(self._tile, track_id) if found is None else found

    async def pixels(self, track_id: int, file: TrackFile, size: int | None) -> Cover:
        """The cover of a track for players that show no SVG, so many pixels a side at most.

        Without a size a picture is as it is stored; with one, a tile takes the place of what cannot
        be decoded. Tiles are PNG.

        Raises
        ------
        WorkersFailed
        """
        if size is not None:
            size = min(max(size, SMALLEST), LARGEST)
        found = await self._stored(track_id, file.path, size or AS_STORED)
        if found is not None:
            return found
        return await to_thread.run_sync(self._tile_png, track_id, size or TILE_SIZE)

    async def _stored(self, track_id: int, path: bytes, size: int) -> Cover | None:
        """The picture of a file, read anew where it has changed; None where there is none.

        One that is broken is none, where a size is asked for.
        """
        key = await to_thread.run_sync(_key, track_id, size, path)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = await self._read(path, size)
        self._keep(key, found)
        return found

    async def _read(self, path: bytes, size: int) -> Cover | None:
        if is_url(path):  # a whole file would be fetched for it
            return None
        try:
            picture = await self._workers.cover(path, size=size)
        except AnalysisError as error:
            log.info("no cover: %s", error)
            return None
        return None if picture is None else _cover(picture.data, picture.media_type)

    def _keep(self, key: Key, cover: Cover | None) -> None:
        size = _size(cover)
        if size > LARGEST_KEPT or key in self._kept:
            return
        self._kept[key] = cover
        self._bytes += size
        while self._bytes > KEPT_BYTES:
            self._bytes -= _size(self._kept.popitem(last=False)[1])

    def _tile(self, track_id: int) -> Cover:
        return _cover(draw_tile(self._coordinates(track_id)).encode(), "image/svg+xml")

    def _tile_png(self, track_id: int, size: int) -> Cover:
        return _cover(draw_tile_png(self._coordinates(track_id), size), "image/png")

    def _coordinates(self, track_id: int) -> NDArray[np.float64]:
        """Where a track lies on the palette."""
        coordinates = np.zeros(AXES)
        try:
            palette = self._current_palette()
            coordinates = palette.coordinates(self._recommender.vectors([track_id])[0])
        except QueryError:
            # A track whose file a newer model has not embedded yet.
            coordinates[:2] = np.cos(track_id), np.sin(track_id)
        return coordinates

    def _current_palette(self) -> Palette:
        """The palette of the library, made again when there are twice as many tracks."""
        with self._lock:
            count = len(self._recommender)
            if self._palette is None or count >= 2 * self._palette_tracks:
                drawn = sample_ids(self._recommender.ids(), PALETTE_TRACKS)
                self._palette = Palette.of(self._recommender.vectors(drawn))
                self._palette_tracks = count
            return self._palette


def _key(track_id: int, size: int, path: bytes) -> Key:
    return track_id, size, file_version(path), file_version(os.path.dirname(path))


def _cover(data: bytes, media_type: str) -> Cover:
    digest = hashlib.blake2b(data, digest_size=12).hexdigest()
    return Cover(data, media_type, f'"{digest}"')


def _size(cover: Cover | None) -> int:
    return _OVERHEAD + (0 if cover is None else len(cover.data))
