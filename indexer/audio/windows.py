"""Windows of sound: where they lie in a track, and how each is cut from it.

Windows lie between the first and the last sound of a track, where a sound is a sample above
`SILENCE` in the mean of the channels. Each is decoded alone, with a margin on both sides, and
resampled once to each rate asked for; it equals the same stretch of the whole track decoded and
resampled at once.

Damage: packets that do not decode are stepped over, as players do, and leave zeros in their place;
a window that lacks more than `MAX_MISSING` of its samples is not used. Where that leaves none, what
decodes is joined. A file without any usable window is `Corrupt`; one that was cut short is taken
for as long as it lasts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import soxr
from numpy.typing import NDArray

from indexer.audio.decoding import ForwardOnly, ForwardReader, make_reader
from indexer.audio.error_translation import translate_errors
from indexer.errors import AnalysisError, Corrupt, NotFinite, Silent, TooShort

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.audio.container import AudioFacts, OpenFile
    from indexer.audio.downmix import Mono

Waveforms = dict[int, NDArray[np.float32]]
"""Sound by sample rate: of one window (samples,), or of several (windows, samples)."""

# A shorter track says too little, however often it is repeated to fill a window.
MIN_SECONDS = 1.0
# How much of that has to lie between the first and the last sound: edges fade.
_MIN_SOUND = 0.9
# -70 dB below full scale: above the dither of 16 bits (-84) and what lossy coders leave of silence,
# below the quietest passages that recordings have (about -60).
SILENCE = 10 ** (-70 / 20)
MAX_MISSING = 0.1
# Where the first and the last sound are looked for before all of the track is decoded for them.
_EDGE_S = 60.0
_PROBES = 4
# 64 MiB: more than six minutes at 44.1 kHz.
_MOST_KEPT = 1 << 24
# soxr's HQ filter is 40 ms long at most when it halves and thirds the rate.
_MARGIN_S = 0.1


@dataclass(frozen=True)
class Windows:
    """Waveforms of the windows of one track, with their start times.

    Attributes
    ----------
    facts : AudioFacts
        Of the file.
    waveforms : dict of int to ndarray, float32 (windows, samples)
        By sample rate: mono, in the order of the track.
    starts_s : ndarray, float64 (windows,)
        Where each begins, in seconds from the first sample.
    """

    facts: AudioFacts
    waveforms: Waveforms
    starts_s: NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Times at which samples of the file and of the sound at all other rates coincide.

    A window that begins on the grid is made of the very samples that resampling the whole track
    would give. At 44.1 kHz the grid has a step of 441 samples (10 ms) for 160 at 16 kHz and 320 at
    32 kHz.

    Attributes
    ----------
    rate_in : int
        Sample rate of the file, in Hz.
    rates_out : tuple of int
        Sample rates of the resampled sound, in Hz.
    """

    rate_in: int
    rates_out: tuple[int, ...]

    @property
    def step(self) -> int:
        """Distance of two such times in samples of the file."""
        return math.lcm(*(self.rate_in // math.gcd(self.rate_in, rate) for rate in self.rates_out))

    def floor(self, sample: float) -> int:
        """The last sample of the file on the grid at or before a sample of it."""
        return int(sample // self.step) * self.step

    def to_out(self, samples: int, rate: int) -> int:
        """Number of samples at a rate that so many of the file make, rounded down."""
        return samples * rate // self.rate_in

    def to_in(self, samples: int, rate: int) -> int:
        """Number of samples of the file that make so many at a rate, rounded up."""
        return -(-samples * self.rate_in // rate)


class TrackReader:
    """An open track, from which windows are read; made by `open_track`."""

    def __init__(self, file: OpenFile, grid: Grid, window_s: float) -> None:
        self._file = file
        self._name = file.name
        self._grid = grid
        self._window_out = {rate: round(window_s * rate) for rate in grid.rates_out}
        # All rates' windows lie in so many samples of the file.
        self._window = max(grid.to_in(samples, rate) for rate, samples in self._window_out.items())
        self._step = max(self._window, file.facts.sample_rate)
        self._edge = int(_EDGE_S * file.facts.sample_rate)
        self._reader = make_reader(file)
        self._decoded: int | None = None
        self._range: tuple[int, int] | None = None

    @property
    def facts(self) -> AudioFacts:
        """Facts of the file; the duration is that of the samples where packets do not tell it."""
        facts = replace(self._file.facts, channel=self._reader.channel)
        if self._decoded is None:
            return facts
        duration_s = self._decoded / facts.sample_rate
        bit_rate = round(self._file.payload_bytes * 8 / duration_s) if duration_s else None
        return replace(facts, duration_s=duration_s, bit_rate=bit_rate)

    @property
    def channel_power_ratio(self) -> float:
        """Power of all channels over that of the windows; see `Reader.channel_power_ratio`."""
        return self._reader.channel_power_ratio

    def windows(self, count: int) -> Windows:
        """At most `count` windows, spread evenly between the first and the last sound.

        The stretch is cut into equal parts, each with a window in its middle; windows never
        overlap, so a stretch of 7 s gives two however many are asked for. Less than one window of
        sound is repeated until the window is full. Windows that are silent are left out; if that
        is more than half of them, the track is decoded through, and its sounding windows are
        chosen from evenly. Where channels cancel out in their mean, the loudest one is read.

        Raises
        ------
        TooShort, Silent, Corrupt, NotFinite, OutOfMemory, Unreadable, Unforeseen
            As their names say.
        """
        if count < 1:
            raise ValueError("count must be at least 1")
        return self._read_windows(count, longest_kept=self._seeking_samples(count))

    def _read_windows(self, count: int, *, longest_kept: int) -> Windows:
        with translate_errors(self._name, stage="decode"):
            while True:
                try:
                    self._keep(longest_kept)
                    windows = self._windows(count)
                except ForwardOnly:
                    self._decode_forward()
                except (TooShort, Silent):
                    if not self._leave_mean():
                        raise
                else:
                    if not self._leave_mean():
                        return windows

    def stream(self) -> Iterator[tuple[float, Waveforms]]:
        """All windows from the first sound on, one after the other, silent ones left out.

        Yields
        ------
        start_s : float
            Where the window begins, in seconds.
        waveforms : dict of int to ndarray, float32 (samples,)
            The window by sample rate.

        Raises
        ------
        TooShort, Silent, Corrupt, NotFinite, OutOfMemory, Unreadable, Unforeseen
            As `windows`, some only once the stream has begun.
        """
        if self._file.facts.channels > 1:
            # A few windows tell whether channels cancel out.
            self._read_windows(_PROBES, longest_kept=self._edge)
        with translate_errors(self._name, stage="decode"):
            done = 0
            while True:
                try:
                    self._keep(self._edge)
                    for start, waveforms in self._all_windows(done):
                        yield start / self._file.facts.sample_rate, waveforms
                        done = start + self._window
                except ForwardOnly:
                    self._decode_forward()
                else:
                    return

    def _seeking_samples(self, count: int) -> int:
        """Samples that are decoded where each window and both edges are reached by seeking."""
        low, high = self._add_margin(self._window, 2 * self._window)
        fitting = min(count, (self._reader.length or 0) // self._window)
        entry = self._reader.entry_samples
        return fitting * (high - low + entry) + 2 * (self._step + entry)

    def _keep(self, longest: int) -> None:
        """Decode a track straight through and keep it, if it is so short or cannot be entered."""
        if self._reader.is_keeping:
            return
        length = self._reader.length
        if length is None:
            self._reader.keep(_MOST_KEPT)
        elif length <= min(longest, _MOST_KEPT):
            # What decodes beyond the stated end serves as the last window's margin.
            self._reader.keep(length + self._reader.rate)

    def _decode_forward(self) -> None:
        self._reader = make_reader(self._file, channel=self._reader.channel, forward=True)
        self._range = None

    def _leave_mean(self) -> bool:
        """Read the loudest channel from now on if the mean has lost it; whether it has."""
        channel = self._reader.cancelled_channel
        if channel is None:
            return False
        is_forward = isinstance(self._reader, ForwardReader)
        self._reader = make_reader(self._file, channel=channel, forward=is_forward)
        self._range = None
        return True

    def _windows(self, count: int) -> Windows:
        first, last = self._sound_range()
        if last - first < self._window:
            starts, windows = [first], [self._repeat(first, last)]
        else:
            starts, windows = self._choose(self._spread_starts(first, last, count))
        facts = self.facts
        waveforms = {
            rate: np.stack([window[rate] for window in windows]) for rate in self._grid.rates_out
        }
        return Windows(facts, waveforms, np.array(starts) / facts.sample_rate)

    def _all_windows(self, after: int) -> Iterator[tuple[int, Waveforms]]:
        first, last = self._sound_range()
        if last - first < self._window:
            yield first, self._repeat(first, last)
            return
        yield from self._consecutive_windows(max(first, self._grid.floor(after)), last)

    def _sound_range(self) -> tuple[int, int]:
        """Sample of the first sound, down to the grid, and the one after the last sound."""
        if self._range is None:
            self._range = self._find_sound_range()
        return self._range

    def _find_sound_range(self) -> tuple[int, int]:
        length = self._reader.length
        if length is not None and length < MIN_SECONDS * self._grid.rate_in:
            raise self._too_short(length)
        first = last = None
        if length is not None:
            first = self._find_first_sound(min(length, self._edge))
            last = (
                None
                if first is None
                else self._find_last_sound(length, max(first, length - self._edge))
            )
        if first is None or last is None:
            first, last, decoded = self._decode_through()
            if length is None:
                self._decoded = decoded
            if not decoded:
                raise self._undecodable()
            if decoded < MIN_SECONDS * self._grid.rate_in:
                is_short = self._file.facts.duration_s < MIN_SECONDS
                is_damaged = bool(self._reader.damaged) and not is_short
                raise self._undecodable() if is_damaged else self._too_short(decoded)
            if last <= first:
                raise self._silent()
        if last - first < _MIN_SOUND * MIN_SECONDS * self._grid.rate_in:
            raise self._too_short(last - first)
        return self._grid.floor(first), last

    def _find_first_sound(self, stop: int) -> int | None:
        for start in range(0, stop, self._step):
            piece, _ = self._reader.read(start, min(start + self._step, stop))
            loud = _loud_range(piece)
            if loud is not None:
                return start + loud[0]
        return None

    def _find_last_sound(self, length: int, first: int) -> int | None:
        stop, step = length, self._step
        while stop > first:
            start = max(first, stop - step)
            piece, _ = self._reader.read(start, stop)
            loud = _loud_range(piece)
            if loud is not None:
                return start + loud[1] + 1
            stop, step = start, 2 * step
        return None

    def _decode_through(self) -> tuple[int, int, int]:
        """First and last sound and the number of decoded samples, by decoding all of it."""
        first, last, total, start = -1, -1, 0, 0
        length = self._reader.length
        while length is None or start < length:
            piece, decoded = self._reader.read(start, start + self._step)
            loud = _loud_range(piece)
            if loud is not None:
                first = start + loud[0] if first < 0 else first
                last = start + loud[1] + 1
            total += decoded
            if length is None and self._reader.is_ended:
                break
            start += self._step
        return first, last, total

    def _spread_starts(self, first: int, last: int, count: int) -> list[int]:
        count = min(count, (last - first) // self._window)
        part = (last - first) / count
        middles = [first + (number + 0.5) * part for number in range(count)]
        return [max(first, self._grid.floor(middle - self._window / 2)) for middle in middles]

    def _choose(self, wanted: Sequence[int]) -> tuple[list[int], list[Waveforms]]:
        starts, windows = self._read_sounding(wanted)
        if 2 * len(starts) >= len(wanted):
            return starts, windows
        first, last, _ = self._decode_through()
        candidates = [
            start for start, _ in self._consecutive_windows(self._grid.floor(first), last)
        ]
        if not candidates:
            raise self._no_window()
        count = min(len(wanted), len(candidates))
        # The middles of `count` equal parts of the list.
        middles = [(2 * part + 1) * len(candidates) // (2 * count) for part in range(count)]
        starts, windows = self._read_sounding([candidates[middle] for middle in middles])
        if not starts:
            raise self._no_window()
        return starts, windows

    def _read_sounding(self, wanted: Sequence[int]) -> tuple[list[int], list[Waveforms]]:
        found = [(start, self._window_at(start)) for start in wanted]
        sounding = [(at, window) for at, window in found if window and _is_sounding(window)]
        return [at for at, _ in sounding], [window for _, window in sounding]

    def _window_at(self, start: int) -> Waveforms | None:
        """Window that begins at a sample on the grid; None if too much of it is missing."""
        low, high = self._add_margin(start, start + self._window)
        piece, decoded = self._reader.read(low, high)
        if high - low - decoded > MAX_MISSING * self._window:
            return None
        return self._resample(piece, start - low)

    def _consecutive_windows(self, first: int, last: int) -> Iterator[tuple[int, Waveforms]]:
        """All windows that sound between two samples, the first of them on the grid."""
        margin = self._add_margin(first, first)[1] - first
        low = max(0, first - margin)
        held, decoded = self._reader.read(low, first + margin)
        missing = first + margin - low - decoded
        for start in range(first, last - self._window + 1, self._window):
            piece, decoded = self._reader.read(start + margin, start + self._window + margin)
            lost, missing = missing, len(piece) - decoded
            held = np.concatenate([held, piece])
            if max(lost, missing) <= MAX_MISSING * self._window:
                window = self._resample(held, start - low)
                if _is_sounding(window):
                    yield start, window
            keep = start + self._window - margin
            held, low = held[max(0, keep - low) :], max(low, keep)

    def _add_margin(self, low: int, high: int) -> tuple[int, int]:
        steps = math.ceil(_MARGIN_S * self._grid.rate_in / self._grid.step)
        margin = steps * self._grid.step
        return max(0, low - margin), high + margin

    def _resample(self, piece: Mono, skip: int) -> Waveforms:
        """The window that begins `skip` samples into a piece, where both are on the grid."""
        waveforms = {}
        for rate, samples in self._window_out.items():
            resampled = self._resample_to(rate, piece)
            offset = self._grid.to_out(skip, rate)
            waveforms[rate] = np.zeros(samples, np.float32)
            part = resampled[offset : offset + samples]
            waveforms[rate][: len(part)] = part
        return waveforms

    def _resample_to(self, rate: int, piece: Mono) -> Mono:
        if rate == self._grid.rate_in:
            return piece
        with translate_errors(self._name, stage="resample"):
            resampled: Mono = soxr.resample(piece, self._grid.rate_in, rate, quality="HQ")
        return resampled

    def _repeat(self, first: int, last: int) -> Waveforms:
        low, high = self._add_margin(first, last)
        piece, decoded = self._reader.read(low, high)
        if (last - first) - decoded > MAX_MISSING * (last - first):
            self._require_gapless()
            raise self._undecodable()
        if not _is_sound(piece[first - low : last - low]):
            raise self._silent()
        waveforms = {}
        for rate, samples in self._window_out.items():
            offset = self._grid.to_out(first - low, rate)
            sound = self._resample_to(rate, piece)[offset:]
            waveforms[rate] = np.resize(sound[: self._grid.to_out(last - first, rate)], samples)
        return waveforms

    def _too_short(self, samples: int) -> TooShort:
        # Rounded down, so that a sample less than a second is not shown as one.
        hundredths = 100 * samples // self._grid.rate_in
        message = (
            f"{self._name!r} has only {hundredths / 100:.2f} s of sound; "
            f"at least {MIN_SECONDS:g} s are needed"
        )
        return TooShort(message, stage="signal")

    def _no_window(self) -> AnalysisError:
        first, last, decoded = self._decode_through()
        if decoded < (1 - MAX_MISSING) * (last - first):
            self._require_gapless()
        is_silent = 2 * decoded > last - first and not self._reader.not_finite
        return self._silent() if is_silent else self._undecodable()

    def _require_gapless(self) -> None:
        """Raise `ForwardOnly` where damage leaves gaps, which joining what decodes would close."""
        if not isinstance(self._reader, ForwardReader):
            raise ForwardOnly

    def _silent(self) -> Silent:
        message = f"{self._name!r} is silent (almost) all through; there is nothing to compare"
        return Silent(message, stage="signal")

    def _undecodable(self) -> AnalysisError:
        if self._reader.not_finite:
            message = (
                f"{self._name!r} holds too many samples that are NaN, infinite or far beyond full "
                "scale; export it again"
            )
            return NotFinite(message, stage="decode")
        message = f"The sound of {self._name!r} cannot be decoded; replace it by a good copy"
        return Corrupt(message, stage="decode")


def _loud_range(piece: Mono) -> tuple[int, int] | None:
    """First and last sample above `SILENCE`; None if there is none."""
    loud = np.flatnonzero(np.abs(piece) > SILENCE)
    return (int(loud[0]), int(loud[-1])) if len(loud) else None


def _is_sounding(window: Waveforms) -> bool:
    """Whether a window sounds at its lowest rate, whatever other rates it is asked for at."""
    return _is_sound(window[min(window)])


def _is_sound(waveform: Mono) -> bool:
    """Whether there is sound in at least a tenth of the thirty parts of a waveform.

    One sample is not enough: a resampler rings into the silence next to a sound. A constant is no
    sound, however far it lies from zero.
    """
    parts = np.array_split(waveform, 30)
    return sum(_loud_range(part) is not None and not _is_constant(part) for part in parts) >= 3


def _is_constant(samples: Mono) -> bool:
    return bool(np.ptp(samples) <= SILENCE)
