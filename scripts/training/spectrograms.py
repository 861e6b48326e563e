"""Batches of log-mel windows out of prepared chunks, and alterations made on log-mels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from indexer.features.melspectrogram import LOG_GAIN
from training.files import open_chunk
from training.prepare import is_original

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.prepare import Prepared


class Spectrograms:
    """Log-mels of all rows of a prepared set, on disk.

    Parameters
    ----------
    altered : bool
        With the altered copies, in the order of `Prepared.gather`.
    """

    def __init__(self, prepared: Prepared, *, altered: bool, frames: int) -> None:
        chunks = [c for c in prepared.chunks if altered or is_original(c)]
        self._arrays = [open_chunk(chunk)["log_mel"] for chunk in chunks]
        self._starts = np.cumsum([0] + [len(array) for array in self._arrays])
        self.frames = frames

    def __len__(self) -> int:
        return int(self._starts[-1])

    def row(self, row: int) -> NDArray[np.float16]:
        """Log-mel of a whole piece (frames, bands)."""
        chunk = int(np.searchsorted(self._starts, row, side="right")) - 1
        array: NDArray[np.float16] = self._arrays[chunk][row - self._starts[chunk]]
        return array

    def windows(
        self, rows: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> torch.Tensor:
        """Windows at random places, float32 (rows, count, frames, bands)."""
        starts = [rng.integers(0, len(self.row(int(row))) - self.frames + 1, count) for row in rows]
        return self._cut(rows, np.array(starts))

    def grid(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> torch.Tensor:
        """Consecutive windows by their numbers (rows, count), float32 as `windows`."""
        return self._cut(rows, places * self.frames)

    def _cut(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> torch.Tensor:
        cut = [
            self.row(int(row))[start : start + self.frames]
            for row, of_row in zip(rows, starts, strict=True)
            for start in of_row
        ]
        stacked = torch.from_numpy(np.stack(cut).astype(np.float32))
        return stacked.reshape(*starts.shape, self.frames, -1)


def louder(log_mels: torch.Tensor, decibels: float) -> torch.Tensor:
    """The log-mels of the same sound at another level."""
    power = (torch.pow(10.0, log_mels) - 1.0) / LOG_GAIN
    return torch.log10(1.0 + LOG_GAIN * power * 10.0 ** (decibels / 10))


def alter_windows(windows: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Alter log-mel windows: two mixed, equalised, shifted by some bands, reversed, stretched.

    Cheaper than altering sound, for a teacher that listens to the same log-mels.

    Parameters
    ----------
    windows : Tensor, shape (n, frames, bands), float32

    Returns
    -------
    Tensor, of the same shape
    """
    count, frames, bands = windows.shape
    power = (torch.pow(10.0, windows) - 1.0) / LOG_GAIN
    mixed = np.flatnonzero(rng.random(count) < 0.35)
    gains = torch.from_numpy(10.0 ** rng.uniform(-1.5, 0.3, len(mixed))).float()
    others = power[rng.permutation(count)[: len(mixed)]]
    power[mixed] = power[mixed] + gains[:, None, None] * others
    knots = torch.from_numpy(rng.normal(0.0, 0.35, (count, 1, 8))).float()
    curves = torch.nn.functional.interpolate(knots, bands, mode="linear", align_corners=True)
    level = torch.from_numpy(rng.uniform(-1.0, 0.3, (count, 1, 1))).float()
    bent = torch.from_numpy(rng.random(count) < 0.6).float()[:, None, None]
    power = power * torch.pow(10.0, bent * (curves + level))
    out = torch.log10(1.0 + LOG_GAIN * power)
    for index in np.flatnonzero(rng.random(count) < 0.4):
        out[index] = torch.roll(out[index], int(rng.integers(-8, 9)), 1)
        if rng.random() < 0.5:
            kept = int(frames * rng.uniform(0.7, 1.0))
            piece = out[index, :kept].T[None]
            out[index] = torch.nn.functional.interpolate(piece, frames, mode="linear")[0].T
        if rng.random() < 0.2:
            out[index] = out[index].flip(0)
    return out
