"""Where the packets of a container lie in time: by this a seek is aimed, and checked afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from numpy.typing import NDArray


@dataclass(frozen=True)
class SeekTable(ABC):
    """Time stamps that say which sample a packet begins with.

    Attributes
    ----------
    origin : int
        The time stamp of the stream's first sample, in the stream's time base.
    samples_per_tick : Fraction
        How many samples of the file's rate one unit of the time base is.
    samples : int
        Samples of one channel in the whole stream, as the packets say.
    """

    origin: int
    samples_per_tick: Fraction
    samples: int

    @property
    @abstractmethod
    def step(self) -> int:
        """Mean distance in samples of the points at which the stream can be entered."""

    @abstractmethod
    def stamp_before(self, sample: int) -> int:
        """Time stamp of a packet that begins at a sample or before it."""

    @abstractmethod
    def holds(self, packet: Packet[AudioStream]) -> bool:
        """Whether a packet is one of the table, by time stamp and by size or position."""

    def _stamp_of(self, sample: int) -> int:
        return int(self.origin + Fraction(sample) / self.samples_per_tick)


@dataclass(frozen=True)
class PacketTable(SeekTable):
    """Time stamps and sizes of all packets.

    Attributes
    ----------
    pts : ndarray, int64 (packets,)
        Strictly increasing.
    sizes : ndarray, int32 (packets,)
        In bytes.
    """

    pts: NDArray[np.int64]
    sizes: NDArray[np.int32]

    @property
    def step(self) -> int:
        """Mean length of a packet."""
        return self.samples // len(self.pts)

    def stamp_before(self, sample: int) -> int:
        """Time stamp of the packet that holds a sample."""
        row = int(np.searchsorted(self.pts, self._stamp_of(sample), side="right")) - 1
        return int(self.pts[max(row, 0)])

    def holds(self, packet: Packet[AudioStream]) -> bool:
        """Whether time stamp and size are those of one packet."""
        if packet.pts is None:
            return False
        row = int(np.searchsorted(self.pts, packet.pts))
        return row < len(self.pts) and (self.pts[row], self.sizes[row]) == (packet.pts, packet.size)


@dataclass(frozen=True)
class PageTable(SeekTable):
    """Positions and times of the pages of an Ogg file, in which several packets lie.

    Attributes
    ----------
    offsets : ndarray, int64 (pages,)
        Where each page begins, in bytes from the file's part that FFmpeg sees.
    ends : ndarray, int64 (pages,)
        Time stamp at which the last packet that ends in the page ends; that of the page before
        where none does.
    """

    offsets: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def step(self) -> int:
        """Mean length of a page."""
        return self.samples // len(self.ends)

    def stamp_before(self, sample: int) -> int:
        """Time stamp of a sample: FFmpeg looks for the page before it."""
        return self._stamp_of(sample)

    def holds(self, packet: Packet[AudioStream]) -> bool:
        """Whether a page begins where the packet's page does, and at the packet's time."""
        if packet.pts is None or packet.pos is None:
            return False
        row = int(np.searchsorted(self.offsets, packet.pos))
        if row == len(self.offsets) or self.offsets[row] != packet.pos:
            return False
        begin = self.ends[row - 1] if row else self.origin
        return bool(begin <= packet.pts <= self.ends[row])
