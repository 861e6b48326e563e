"""One track as a signal: waveform, spectrogram, pitch classes, onsets, and its tags over time."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from indexer.features.melspectrogram import hz_to_mel
from indexer.filesystem import absolute_path, display_path
from recommender.plots.chromagram import chromagram
from recommender.plots.signal_analysis import HOP_S, analyse_signals
from recommender.plots.style import ACCENT, FAINT, new_figure, one_line, plot_style
from recommender.retrieval.answers import format_clock
from recommender.retrieval.lookup import display_name
from recommender.retrieval.seeds import descriptors_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from indexer.catalog.records import Track
    from indexer.features.descriptors import Descriptors
    from recommender.engine import Recommender
    from recommender.plots.signal_analysis import SignalAnalysis

PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
TAGS = 10
"""Tags that are drawn, the strongest."""
RANGE_DB = 70.0
"""Range of a spectrogram below its loudest point; what is fainter is black."""
FAINT_ONSET = 0.1
"""Onset strength that fills the axis where none is stronger: rounding errors of a steady tone reach
0.01, the faintest pieces of the demo library 0.4."""

_TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000, 16000)
_COLUMNS = 2400
_CHROMA_S = 0.256
_BEGINNING_S = 0.1


@dataclass(frozen=True)
class Signal:
    """A track of the catalog, or any file, with its signal, embedding and descriptors.

    Attributes
    ----------
    name : str
        Artist and title, else the file's name.
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
    analysis: SignalAnalysis
    vector: NDArray[np.float32]
    activations: NDArray[np.float32]
    tag_names: tuple[str, ...]
    descriptors: Descriptors

    def strongest_tags(self, count: int = TAGS) -> list[tuple[str, float]]:
        """Tags and their probabilities, the strongest first."""
        order = np.argsort(-self.activations, kind="stable")[:count]
        return [(self.tag_names[row], float(self.activations[row])) for row in order]

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the sound itself."""
        analysis = self.analysis
        return {
            "name": self.name,
            "id": None if self.track is None else self.track.id,
            "duration_s": round(analysis.facts.duration_s, 3),
            "analysed_s": [round(analysis.start_s, 3), round(analysis.end_s, 3)],
            "descriptors": asdict(self.descriptors),
            "tags": [[tag, round(value, 4)] for tag, value in self.strongest_tags()],
            "window_s": analysis.window_s,
            "windows": [
                {
                    "start_s": round(float(start), 3),
                    "tags": [
                        [self.tag_names[tag], round(float(row[tag]), 4)]
                        for tag in np.argsort(-row, kind="stable")[:3]
                        if np.isfinite(row[tag])
                    ],
                }
                for start, row in zip(analysis.windows_s, analysis.activations, strict=True)
            ],
        }


def read_signals(recommender: Recommender, queries: Sequence[str | int]) -> list[Signal]:
    """Signals of tracks of the catalog, or of any files, analysed in a worker: seconds each.

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
        absolute_path(str(query)) if track is None else track.path
        for query, track in zip(queries, tracks, strict=True)
    ]
    sounds = analyse_signals(paths, model)
    return [
        _signal(recommender, path, track, analysis)
        for path, track, analysis in zip(paths, tracks, sounds, strict=True)
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
        draw_waveform(rows[0], signal.analysis)
        levels = draw_spectrogram(rows[1], signal.analysis)
        figure.colorbar(levels, cax=bars[1], label="dB below the loudest")
        chroma = draw_chroma(rows[2], signal.analysis)
        figure.colorbar(chroma, cax=bars[2], label="share of the strongest")
        _draw_onsets(rows[3], signal)
        tags = _draw_tags(rows[4], signal)
        figure.colorbar(tags, cax=bars[4], label="probability")
        for axes in rows[:-1]:
            axes.tick_params(labelbottom=False)
        for axes in rows:
            axes.set_xlim(signal.analysis.start_s, signal.analysis.end_s)
        label_time(rows[-1].xaxis, signal.analysis)
        return figure


def in_words(signal: Signal) -> str:
    """Length, format, tempo, key, loudness and brightness in one line."""
    analysis, found = signal.analysis, signal.descriptors
    facts = analysis.facts
    length = format_clock(facts.duration_s)
    if facts.duration_s - (analysis.end_s - analysis.start_s) > 30:
        length = f"{format_clock(analysis.start_s)} to {format_clock(analysis.end_s)} of {length}"
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


def draw_waveform(axes: Axes, analysis: SignalAnalysis) -> None:
    """The lowest and highest sample of each column, and the root of the mean square."""
    samples = analysis.samples
    width = max(1, len(samples) // _COLUMNS)
    used = samples[: len(samples) // width * width].reshape(-1, width)
    times = analysis.start_s + (np.arange(len(used)) + 0.5) * width / analysis.sample_rate
    loud = np.sqrt((used**2).mean(axis=1))
    axes.fill_between(times, used.min(axis=1), used.max(axis=1), color="#a9c6dc", linewidth=0)
    axes.fill_between(times, -loud, loud, color=ACCENT, linewidth=0)
    peak = min(1.05, 1.1 * max(0.05, float(np.abs(samples).max())))
    axes.set_ylim(-peak, peak)
    axes.set_ylabel("amplitude\n(full scale = 1)")
    axes.set_title("Waveform (pale: peaks, dark: RMS)")
    axes.grid(axis="x")


def draw_spectrogram(axes: Axes, analysis: SignalAnalysis) -> AxesImage:
    """Mel bands over time, in dB below the loudest point."""
    levels = analysis.decibels.T.astype(np.float32)
    levels -= levels.max()
    highest = analysis.sample_rate / 2
    top = float(hz_to_mel(highest))
    image = axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-RANGE_DB,
        vmax=0,
        extent=(analysis.start_s, analysis.start_s + levels.shape[1] * HOP_S, 0, top),
    )
    ticks = [hz for hz in _TICKS_HZ if hz <= highest]
    axes.set_yticks(hz_to_mel(ticks), [f"{hz / 1000:g}" for hz in ticks])
    axes.set_ylabel("frequency in kHz\n(mel scale)")
    axes.set_title("Log-mel spectrogram")
    return image


def draw_chroma(axes: Axes, analysis: SignalAnalysis) -> AxesImage:
    """How strongly each pitch class sounds, each moment's strongest being 1."""
    frame = 2 * round(_CHROMA_S * analysis.sample_rate / 2)
    chroma = chromagram(
        analysis.samples, sample_rate=analysis.sample_rate, n_fft=frame, hop_length=frame // 2
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
            analysis.start_s,
            analysis.start_s + chroma.shape[1] * (frame // 2) / analysis.sample_rate,
            -0.5,
            11.5,
        ),
    )
    axes.set_yticks(range(12), PITCH_CLASSES)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylabel("pitch class")
    axes.set_title("Chromagram")
    return image


def label_time(axis: Axis, analysis: SignalAnalysis, *, of: str = "") -> None:
    """Label a time axis: in seconds for a short sound, in minutes and seconds for a long one."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

    length = analysis.end_s - analysis.start_s
    if length < 90:
        axis.set_major_locator(MaxNLocator(integer=True))
        axis.set_label_text(f"{of}time in s")
        return
    step = next(step for step in (10, 15, 30, 60, 120) if length / step <= 12)
    axis.set_major_locator(MultipleLocator(step))
    axis.set_major_formatter(FuncFormatter(lambda at, _position: format_clock(at)))
    axis.set_label_text(f"{of}time in min:s")


def _draw_onsets(axes: Axes, signal: Signal) -> None:
    analysis = signal.analysis
    # Where the music begins at once, its first onset can be many times the others.
    later = analysis.onsets[round(_BEGINNING_S / HOP_S) :]
    strongest = float(later.max(initial=0.0))
    strength = analysis.onsets / max(strongest, FAINT_ONSET)
    times = analysis.start_s + (np.arange(len(strength)) + 1) * HOP_S
    axes.fill_between(times, strength, color=ACCENT, linewidth=0.3)
    axes.set_ylim(0, 1.05)
    scale = "strongest = 1" if strongest >= FAINT_ONSET else "all are faint"
    if strength.max(initial=0.0) > 1:
        scale = "start cut off"
    axes.set_ylabel(f"onset strength\n({scale})")
    axes.set_title(onsets_title(signal))
    axes.grid(axis="x")


def _draw_tags(axes: Axes, signal: Signal) -> AxesImage:
    analysis = signal.analysis
    mean = np.nanmean(analysis.activations, axis=0)
    order = np.argsort(-mean, kind="stable")[:TAGS]
    active = analysis.activations[:, order].T
    image = axes.imshow(
        np.ma.masked_invalid(active),
        aspect="auto",
        cmap="viridis",
        vmin=0,
        vmax=max(0.1, float(np.nanmax(active))),
        interpolation="nearest",
        extent=(*window_extent(analysis), len(order), 0),
    )
    names = [one_line(signal.tag_names[row], longest=20) for row in order]
    axes.set_yticks(
        np.arange(len(order)) + 0.5,
        [f"{tag}  {mean[row]:.2f}" for tag, row in zip(names, order, strict=True)],
    )
    axes.set_ylim(len(order), 0)
    axes.set_ylabel("tag and its mean probability")
    axes.set_title(f"Tags over time (windows of {analysis.window_s:g} s)")
    return image


def window_extent(analysis: SignalAnalysis) -> tuple[float, float]:
    """Where the image of windows begins and ends in s, each drawn around its middle."""
    count, hop = len(analysis.windows_s), analysis.window_hop_s
    if count == 1:
        return analysis.start_s, analysis.end_s
    first = float(analysis.windows_s[0]) + (analysis.window_s - hop) / 2
    return first, first + count * hop


def _track(recommender: Recommender, query: str | int) -> Track | None:
    """The track that a query means; None for a file outside the catalog."""
    found = recommender.resolve(query)
    return None if isinstance(found, bytes) else found


def _signal(
    recommender: Recommender, path: bytes, track: Track | None, analysis: SignalAnalysis
) -> Signal:
    tag_names = recommender.model.tag_names
    if track is not None and track.id in recommender.ids():
        known = descriptors_of(track)
        return Signal(
            display_name(track),
            track,
            analysis,
            recommender.vectors([track.id])[0],
            recommender.activations([track.id])[0],
            tag_names,
            analysis.descriptors if known.brightness_hz is None else known,
        )
    names = [part for part in (analysis.tags.artist, analysis.tags.title) if part]
    return Signal(
        " - ".join(names) or display_path(os.path.basename(path)),
        track,
        analysis,
        analysis.vector,
        cast("NDArray[np.float32]", np.nanmean(analysis.activations, axis=0)),
        tag_names,
        analysis.descriptors,
    )
