"""Loudness of a recording by ITU-R BS.1770, from power spectra of pieces of it.

The K weighting is applied to the power spectrum of each frame instead of filtering the samples: its
gain at a frequency is that of the standard's two filters, whatever the sample rate. Frames of 32 ms
tell frequencies 31 Hz apart, which leaves an error of up to 0.25 dB for a lone tone above 40 Hz.
Blocks of 0.4 s are gated as the standard says: above -70 LUFS, then above 10 LU below the mean of
those.

Two things are approximate. Sound at 16 kHz has lost what lay above 8 kHz. And the standard
adds up the powers of the channels, while their mean is measured here: its power is multiplied by
the ratio of the two, which is taken over all frequencies and the whole recording, so
what differs between channels counts as if it had the spectrum and the course of the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BLOCK_S = 0.4
OVERLAP = 0.75
ABSOLUTE_GATE = -70.0
RELATIVE_GATE = -10.0

_OFFSET = -0.691
_FILTER_RATE = 48_000
# ITU-R BS.1770-5, annex 1, tables 1 and 2: numerators and denominators at 48 kHz.
_SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))


def k_weighting(frequency_hz: ArrayLike) -> NDArray[np.float64]:
    """Factor by which the K weighting changes the power at frequencies up to 24 kHz (any shape)."""
    turn = np.exp(-2j * np.pi * np.asarray(frequency_hz, np.float64) / _FILTER_RATE)
    gain = np.ones(turn.shape)
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        response = np.polyval(numerator[::-1], turn) / np.polyval(denominator[::-1], turn)
        gain *= np.abs(response) ** 2
    return gain


def block_powers(frame_powers: NDArray[np.floating], *, hop_s: float) -> NDArray[np.float64]:
    """Mean power of blocks of 0.4 s that overlap by three quarters.

    Parameters
    ----------
    frame_powers : ndarray (pieces, frames)
        K-weighted mean squares of frames, `hop_s` seconds from one to the next.

    Returns
    -------
    ndarray (pieces, blocks)
    """
    length = round(BLOCK_S / hop_s)
    step = round(BLOCK_S * (1 - OVERLAP) / hop_s)
    blocks = np.lib.stride_tricks.sliding_window_view(frame_powers, length, axis=1)[:, ::step]
    return np.asarray(blocks.mean(axis=-1, dtype=np.float64))


def integrated_loudness(blocks: NDArray[np.float64], *, channel_power_ratio: float) -> float | None:
    """Integrated loudness in LUFS; None if no block passes the gates.

    Parameters
    ----------
    blocks : ndarray (blocks,)
        K-weighted mean squares of the mean of the channels.
    channel_power_ratio : float
        Power of the channels over that of their mean: n for n channels that are alike.
    """
    powers = blocks * channel_power_ratio
    gated = powers[powers > _power(ABSOLUTE_GATE)]
    if len(gated) == 0:
        return None
    gated = gated[gated > gated.mean() * 10 ** (RELATIVE_GATE / 10)]
    return float(_OFFSET + 10 * np.log10(gated.mean()))


def _power(loudness_lufs: float) -> float:
    return float(10 ** ((loudness_lufs - _OFFSET) / 10))
