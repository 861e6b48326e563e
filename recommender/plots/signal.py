"""One track as a signal: waveform, spectrogram, pitch classes, onsets, and its tags over time."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from indexer.features.melspectrogram import hz_to_mel
from indexer.filesystem import display_path
from recommender.plots.chromagram import chromagram
from recommender.plots.signal_analysis import HOP_S, analyse_signals
from recommender.plots.style import ACCENT, FAINT, new_figure, one_line, plot_style
from recommender.retrieval.answers import format_clock
from recommender.retrieval.lookup import display_name
from recommender.retrieval.seeds import descriptors_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from indexer.features.descriptors import Descriptors
    from recommender.engine import Recommender
    from recommender.plots.signal_analysis import SignalAnalysis

PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
TAGS = 10
"""Drawn over time, the strongest ones."""
RANGE_DB = 70.0
"""Below the loudest point of a spectrogram all is drawn black."""
FAINT_ONSET = 0.1
"""Where no onset is stronger none is drawn to the top: a steady tone's rounding errors reach 0.01,
the softest pieces of the demo library 0.4."""

_TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000, 16000)
_COLUMNS = 2400
_CHROMA_S = 0.256


@dataclass(frozen=True)
class Signal:
    """A track of the catalog, or any file, with how it sounds.

    Attributes
    ----------
    name : str
        Artist and title, or what else it is called by.
    track : Track or None
        None of a file outside the catalog.
    vector : float32 (dim,), unit length
    activations : float32 (tags,)
    tag_names : tuple of str
    descriptors : Descriptors
        Of all these, the catalog's own where it knows the track.
    """

    name: str
    track: Track | None
    heard: SignalAnalysis
    vector: NDArray[np.float32]
    activations: NDArray[np.float32]
    tag_names: tuple[str, ...]
    descriptors: Descriptors

    def strongest_tags(self, count: int = TAGS) -> list[tuple[str, float]]:
        """Tags and their probabilities, the strongest first."""
        order = np.argsort(-self.activations, kind="stable")[:count]
        return [(self.tag_names[place], float(self.activations[place])) for place in order]

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the sound itself."""
        heard = self.heard
        return {
            "name": self.name,
            "id": None if self.track is None else self.track.id,
            "duration_s": round(heard.facts.duration_s, 3),
            "heard_s": [round(heard.start_s, 3), round(heard.end_s, 3)],
            "descriptors": asdict(self.descriptors),
            "tags": [[tag, round(value, 4)] for tag, value in self.strongest_tags()],
            "window_s": heard.window_s,
            "windows": [
                {
                    "start_s": round(float(start), 3),
                    "tags": [
                        [self.tag_names[place], round(float(row[place]), 4)]
                        for place in np.argsort(-row, kind="stable")[:3]
                        if np.isfinite(row[place])
                    ],
                }
                for start, row in zip(heard.windows_s, heard.activations, strict=True)
            ],
        }


def read_signals(recommender: Recommender, queries: Sequence[str | int]) -> list[Signal]:
    """Hear tracks of the catalog, or any files, in a worker process; some seconds each.

    Raises
    ------
    UnknownTrack, AmbiguousTrack
        A query names no track and no file, or several tracks.
    AnalysisError
        A file has no usable sound, or has vanished.
    QueryError, ModelMissing, ModelMismatch, WorkersFailed
    """
    model = recommender.model
    tracks = [_track(recommender, query) for query in queries]
    paths = [
        os.path.abspath(os.fsencode(str(query))) if track is None else track.path
        for query, track in zip(queries, tracks, strict=True)
    ]
    sounds = analyse_signals(paths, model)
    return [
        _signal(recommender, path, track, heard)
        for path, track, heard in zip(paths, tracks, sounds, strict=True)
    ]


def draw_signal(signal: Signal) -> Figure:
    """A figure of five parts over one time axis.

    Raises
    ------
    ImportError
        matplotlib is not installed: see `style.need_matplotlib`.
    """
    with plot_style():
        figure = new_figure(11, 12.5, h_pad=0.06, hspace=0.03, rect=(0, 0, 1, 0.945))
        grid = figure.add_gridspec(5, 2, width_ratios=(1, 0.018), height_ratios=(1, 2.2, 1.6, 1, 2))
        rows = [figure.add_subplot(grid[0, 0])]
        rows += [figure.add_subplot(grid[row, 0], sharex=rows[0]) for row in range(1, 5)]
        bars = {row: figure.add_subplot(grid[row, 1]) for row in (1, 2, 4)}
        figure.text(
            0.012, 0.982, one_line(signal.name, longest=70), size=15, weight="bold", va="center"
        )
        figure.text(0.012, 0.96, in_words(signal), size=10, color=FAINT, va="center")
        draw_waveform(rows[0], signal.heard)
        levels = draw_spectrogram(rows[1], signal.heard)
        figure.colorbar(levels, cax=bars[1], label="dB below the loudest")
        chroma = draw_chroma(rows[2], signal.heard)
        figure.colorbar(chroma, cax=bars[2], label="share of the strongest")
        _draw_onsets(rows[3], signal)
        tags = _draw_tags(rows[4], signal)
        figure.colorbar(tags, cax=bars[4], label="probability")
        for axes in rows[:-1]:
            axes.tick_params(labelbottom=False)
        for axes in rows:
            axes.set_xlim(signal.heard.start_s, signal.heard.end_s)
        label_time(rows[-1], signal.heard)
        return figure


def in_words(signal: Signal) -> str:
    """Length, format, tempo, key, loudness and brightness in one line."""
    heard, found = signal.heard, signal.descriptors
    facts = heard.facts
    length = format_clock(facts.duration_s)
    if facts.duration_s - (heard.end_s - heard.start_s) > 30:
        length = f"{format_clock(heard.start_s)} to {format_clock(heard.end_s)} of {length}"
    parts = [
        length,
        f"{facts.codec}, {facts.sample_rate / 1000:g} kHz",
        "no steady beat" if found.tempo_bpm is None else f"{found.tempo_bpm:.0f} BPM",
        "no clear key" if found.musical_key is None else found.musical_key,
    ]
    if found.loudness_lufs is not None:
        parts.append(f"{found.loudness_lufs:.1f} LUFS".replace("-", "\N{MINUS SIGN}"))
    if found.brightness_hz is not None:
        parts.append(f"brightness {found.brightness_hz / 1000:.1f} kHz")
    return "   ·   ".join(one_line(part) for part in parts)


def onsets_title(signal: Signal) -> str:
    """The tempo in words, as the onsets' part of the picture says it."""
    found = signal.descriptors
    if found.tempo_bpm is None:
        return "Onset strength: no steady beat"
    return (
        f"Onset strength: {found.tempo_bpm:.0f} BPM, a beat every "
        f"{60 / found.tempo_bpm:.2f} s (confidence {found.tempo_confidence:.2f})"
    )


def draw_waveform(axes: Axes, heard: SignalAnalysis) -> None:
    """The lowest and highest sample of each column, and the root of the mean square."""
    samples = heard.samples
    width = max(1, len(samples) // _COLUMNS)
    used = samples[: len(samples) // width * width].reshape(-1, width)
    times = heard.start_s + (np.arange(len(used)) + 0.5) * width / heard.sample_rate
    loud = np.sqrt((used**2).mean(axis=1))
    axes.fill_between(times, used.min(axis=1), used.max(axis=1), color="#a9c6dc", linewidth=0)
    axes.fill_between(times, -loud, loud, color=ACCENT, linewidth=0)
    peak = min(1.05, 1.1 * max(0.05, float(np.abs(samples).max())))
    axes.set_ylim(-peak, peak)
    axes.set_ylabel("amplitude\n(full scale = 1)")
    axes.set_title("Waveform (pale: peaks, dark: RMS)")
    axes.grid(axis="x")


def draw_spectrogram(axes: Axes, heard: SignalAnalysis) -> AxesImage:
    """Mel bands over time, in dB below the loudest point."""
    levels = heard.decibels.T.astype(np.float32)
    levels -= levels.max()
    highest = heard.sample_rate / 2
    top = float(hz_to_mel(highest))
    image = axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-RANGE_DB,
        vmax=0,
        extent=(heard.start_s, heard.start_s + levels.shape[1] * HOP_S, 0, top),
    )
    ticks = [hz for hz in _TICKS_HZ if hz <= highest]
    axes.set_yticks(hz_to_mel(ticks), [f"{hz / 1000:g}" for hz in ticks])
    axes.set_ylabel("frequency in kHz\n(mel scale)")
    axes.set_title("Log-mel spectrogram")
    return image


def draw_chroma(axes: Axes, heard: SignalAnalysis) -> AxesImage:
    """How strongly each pitch class sounds, each moment's strongest being 1."""
    frame = 2 * round(_CHROMA_S * heard.sample_rate / 2)
    chroma = chromagram(
        heard.samples, sample_rate=heard.sample_rate, n_fft=frame, hop_length=frame // 2
    )
    image = axes.imshow(
        chroma,
        origin="lower",
        aspect="auto",
        cmap="cividis",
        vmin=0,
        vmax=1,
        interpolation="nearest" if chroma.shape[1] < _COLUMNS else "auto",
        extent=(
            heard.start_s,
            heard.start_s + chroma.shape[1] * (frame // 2) / heard.sample_rate,
            -0.5,
            11.5,
        ),
    )
    axes.set_yticks(range(12), PITCH_CLASSES)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylabel("pitch class")
    axes.set_title("Chromagram")
    return image


def label_time(axes: Axes, heard: SignalAnalysis) -> None:
    """Name the time axis: seconds of a short sound, minutes and seconds of a long one."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    length = heard.end_s - heard.start_s
    if length < 90:
        axes.set_xlabel("time in s")
        return
    step = next(step for step in (10, 15, 30, 60, 120) if length / step <= 12)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _place: format_clock(at)))
    axes.set_xlabel("time in min:s")


def _draw_onsets(axes: Axes, signal: Signal) -> None:
    heard = signal.heard
    strongest = float(heard.onsets.max(initial=0.0))
    strength = heard.onsets / max(strongest, FAINT_ONSET)
    times = heard.start_s + (np.arange(len(strength)) + 1) * HOP_S
    axes.fill_between(times, strength, color=ACCENT, linewidth=0.3)
    axes.set_ylim(0, 1.05)
    scale = "strongest = 1" if strongest >= FAINT_ONSET else "all are faint"
    axes.set_ylabel(f"onset strength\n({scale})")
    axes.set_title(onsets_title(signal))
    axes.grid(axis="x")


def _draw_tags(axes: Axes, signal: Signal) -> AxesImage:
    heard = signal.heard
    mean = np.nanmean(heard.activations, axis=0)
    order = np.argsort(-mean, kind="stable")[:TAGS]
    active = heard.activations[:, order].T
    image = axes.imshow(
        np.ma.masked_invalid(active),
        aspect="auto",
        cmap="viridis",
        vmin=0,
        vmax=max(0.1, float(np.nanmax(active))),
        interpolation="nearest",
        extent=_columns(heard),
    )
    names = [one_line(signal.tag_names[place], longest=20) for place in order]
    axes.set_yticks(
        np.arange(len(order)) + 0.5,
        [f"{tag}  {mean[place]:.2f}" for tag, place in zip(names, order, strict=True)],
    )
    axes.set_ylim(len(order), 0)
    axes.set_ylabel("tag and its mean probability")
    axes.set_title(f"Tags over time (windows of {heard.window_s:g} s)")
    return image


def _columns(heard: SignalAnalysis) -> tuple[float, float, float, float]:
    """Extent of an image of windows, each drawn around its middle; rows count downwards."""
    count, hop = len(heard.windows_s), heard.window_hop_s
    if count == 1:
        return heard.start_s, heard.end_s, float(min(TAGS, heard.activations.shape[1])), 0.0
    first = heard.windows_s[0] + (heard.window_s - hop) / 2
    return first, first + count * hop, float(min(TAGS, heard.activations.shape[1])), 0.0


def _track(recommender: Recommender, query: str | int) -> Track | None:
    """The track that is meant; None where it is a file outside the catalog."""
    found = recommender.resolve(query)
    return None if isinstance(found, bytes) else found


def _signal(
    recommender: Recommender, path: bytes, track: Track | None, heard: SignalAnalysis
) -> Signal:
    tag_names = recommender.model.tag_names
    if track is not None and track.id in recommender.ids():
        known = descriptors_of(track)
        return Signal(
            display_name(track),
            track,
            heard,
            recommender.vectors([track.id])[0],
            recommender.activations([track.id])[0],
            tag_names,
            heard.descriptors if known.brightness_hz is None else known,
        )
    said = [part for part in (heard.tags.artist, heard.tags.title) if part]
    return Signal(
        " - ".join(said) or display_path(os.path.basename(path)),
        track,
        heard,
        heard.vector,
        cast("NDArray[np.float32]", np.nanmean(heard.activations, axis=0)),
        tag_names,
        heard.descriptors,
    )
