"""Alterations of log-mel windows, for training."""

from __future__ import annotations

import numpy as np
import torch

from indexer.features.melspectrogram import LOG_GAIN


def alter_windows(windows: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Alter log-mel windows: two mixed, equalised, shifted by some bands, reversed, stretched.

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
