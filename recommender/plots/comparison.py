"""Two tracks side by side: where they agree, and which seconds of one are like which of the other.

Every window of the first is compared with every window of the second. The best pairs are taken one
after the other, and none overlaps with an earlier one, so that a window that is similar to all does
not hide the others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.vectors.half_precision import inner_products
from recommender.plots.signal import (
    Signal,
    draw_chroma,
    draw_spectrogram,
    draw_waveform,
    in_words,
    label_time,
    read_signals,
    window_extent,
)
from recommender.plots.style import FAINT, new_figure, one_line, plot_style
from recommender.retrieval.answers import MatchingWindows, format_clock
from recommender.retrieval.explanations import (
    matching_windows,
    shared_musical_key,
    shared_tags,
    shared_tempo,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from recommender.engine import Recommender

PAIRS = 5
"""Most pairs of windows."""
TAGS = 8
COLOURS = ("#4e79a7", "#d9772b")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two tracks have in common.

    Attributes
    ----------
    cosine : float
        Of the embeddings of the whole tracks.
    score : float or None
        Share of random pairs of the catalog that are less alike; None where there are none.
    tags : tuple of str
        That both have and most tracks have not, the most distinctive first.
    tempo_bpm : float or None
        The second one's, where it is also the first one's.
    key_name : str or None
        Where it is the same.
    pairs : tuple of MatchingWindows
        Most alike first.
    cosines : float32 (windows of the first, windows of the second)
        NaN where one of the two is silent.
    """

    first: Signal
    second: Signal
    cosine: float
    score: float | None
    tags: tuple[str, ...]
    tempo_bpm: float | None
    musical_key: str | None
    pairs: tuple[MatchingWindows, ...]
    cosines: NDArray[np.float32]

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the matrix."""
        return {
            "first": self.first.to_json(),
            "second": self.second.to_json(),
            "cosine": round(self.cosine, 4),
            "score": None if self.score is None else round(self.score, 4),
            "shared_tags": list(self.tags),
            "shared_tempo_bpm": self.tempo_bpm,
            "shared_key": self.musical_key,
            "pairs": [asdict(pair) for pair in self.pairs],
        }

    def agreement(self) -> list[str]:
        """Where they agree, and where not, a sentence each."""
        median_random_cosine = (
            "" if self.score is None else f", {_among_pairs(self.score)} of the library"
        )
        first, second = self.first.descriptors, self.second.descriptors
        sentences = [f"cosine {self.cosine:.2f}{median_random_cosine}"]
        if self.tempo_bpm is not None:
            sentences.append(f"tempo: both {self.tempo_bpm:.0f} BPM")
        elif first.tempo_bpm is None and second.tempo_bpm is None:
            sentences.append("tempo: no beat in either")
        else:
            sentences.append(f"tempo: {_tempo(first.tempo_bpm)} and {_tempo(second.tempo_bpm)}")
        if self.musical_key is not None:
            sentences.append(f"key: both {self.musical_key}")
        elif first.musical_key is None and second.musical_key is None:
            sentences.append("key: none clear in either")
        else:
            sentences.append(
                f"key: {first.musical_key or 'none clear'} and {second.musical_key or 'none clear'}"
            )
        shared = ", ".join(self.tags)
        sentences.append(f"tags of both: {shared}" if shared else "no distinctive tag in common")
        return sentences


def compare(recommender: Recommender, first: str | int, second: str | int) -> Comparison:
    """Comparison of two tracks or files, which takes some seconds each.

    Raises
    ------
    UnknownTrack, AmbiguousTrack, AnalysisError
    QueryError, ModelMissing, ModelMismatch, WorkersFailed
    """
    one, other = read_signals(recommender, [first, second])
    cosine = float(inner_products(one.vector[np.newaxis], other.vector)[0])
    score = float(recommender.scores(cosine))
    cosines = one.analysis.vectors @ other.analysis.vectors.T
    return Comparison(
        one,
        other,
        cosine,
        None if np.isnan(score) else score,
        shared_tags(
            one.activations,
            other.activations,
            recommender.mean_activations,
            one.tag_names,
        ),
        shared_tempo(one.descriptors, other.descriptors),
        shared_musical_key(one.descriptors, other.descriptors),
        matching_windows(
            cosines,
            one.analysis.windows_s,
            other.analysis.windows_s,
            length_s=one.analysis.window_s,
            count=PAIRS,
        ),
        cosines,
    )


def draw_comparison(found: Comparison) -> Figure:
    """A figure with the sounds side by side, their tags, and the matrix of their windows."""
    with plot_style():
        figure = new_figure(13, 13.5, h_pad=0.06, hspace=0.04, rect=(0, 0, 1, 0.928))
        grid = figure.add_gridspec(
            4, 3, width_ratios=(1, 1, 0.02), height_ratios=(0.8, 1.5, 1.1, 3.2)
        )
        for column, signal in enumerate((found.first, found.second)):
            top, middle, low = (figure.add_subplot(grid[row, column]) for row in range(3))
            draw_waveform(top, signal.analysis)
            letter = "AB"[column]
            figure.text(
                0.012,
                0.984 - 0.024 * column,
                f"{letter}   {one_line(signal.name, longest=52)}",
                size=13,
                weight="bold",
                color=COLOURS[column],
                va="center",
            )
            figure.text(
                0.988,
                0.984 - 0.024 * column,
                in_words(signal).replace("   ·   ", " · "),
                size=9,
                color=FAINT,
                va="center",
                ha="right",
            )
            top.set_title(f"{letter}: waveform")
            levels = draw_spectrogram(middle, signal.analysis)
            chroma = draw_chroma(low, signal.analysis)
            for axes in (top, middle, low):
                axes.set_xlim(signal.analysis.start_s, signal.analysis.end_s)
                if column:
                    axes.set_ylabel("")
            for axes in (top, middle):
                axes.tick_params(labelbottom=False)
            label_time(low.xaxis, signal.analysis)
        figure.colorbar(levels, cax=figure.add_subplot(grid[1, 2]), label="dB below the loudest")
        figure.colorbar(chroma, cax=figure.add_subplot(grid[2, 2]), label="of the strongest")
        _draw_tags(figure.add_subplot(grid[3, 0]), found)
        _draw_matrix(figure, figure.add_subplot(grid[3, 1]), figure.add_subplot(grid[3, 2]), found)
        figure.text(
            0.012, 0.938, "   ·   ".join(one_line(line, longest=80) for line in found.agreement())
        )
        return figure


def _draw_tags(axes: Axes, found: Comparison) -> None:
    first, second = found.first.activations, found.second.activations
    order = np.argsort(-np.maximum(first, second), kind="stable")[:TAGS]
    order = order[np.argsort(-(first + second)[order], kind="stable")]
    rows = np.arange(len(order))
    for shift, values, letter, colour in zip(
        (-0.2, 0.2), (first, second), "AB", COLOURS, strict=True
    ):
        axes.barh(rows + shift, values[order], 0.36, color=colour, label=letter)
        for row, value in zip(rows, values[order], strict=True):
            axes.annotate(
                f"{value:.2f}",
                (value, row + shift),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                size=8,
                color=FAINT,
            )
    names = [one_line(found.first.tag_names[row], longest=20) for row in order]
    axes.set_yticks(rows, names)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(0, 1.15 * max(0.1, float(np.maximum(first, second)[order].max(initial=0))))
    axes.set_xlabel("probability over the whole track")
    axes.set_title("Strongest tags")
    axes.legend(loc="lower right")


def _draw_matrix(figure: Figure, axes: Axes, bar: Axes, found: Comparison) -> None:
    one, other = found.first.analysis, found.second.analysis
    values = found.cosines[np.isfinite(found.cosines)]
    image = axes.imshow(
        np.ma.masked_invalid(found.cosines),
        origin="lower",
        aspect="auto",
        cmap="viridis",
        vmin=float(np.percentile(values, 2)) if len(values) else 0,
        vmax=max(float(values.max()), 0.01) if len(values) else 1,
        interpolation="nearest",
        extent=(*window_extent(other), *window_extent(one)),
    )
    half = one.window_s / 2
    for number, pair in enumerate(found.pairs, start=1):
        axes.annotate(
            str(number),
            (pair.second_s + half, pair.first_s + half),
            ha="center",
            va="center",
            size=9,
            weight="bold",
            color="white",
            bbox={
                "boxstyle": "circle,pad=0.25",
                "facecolor": "#c0392b",
                "edgecolor": "white",
                "linewidth": 1,
            },
        )
    label_time(axes.xaxis, other, of="B, ")
    label_time(axes.yaxis, one, of="A, ")
    best = found.pairs[0] if found.pairs else None
    best_pair = (
        ""
        if best is None
        else f"; most alike: A {format_clock(best.first_s)}, B {format_clock(best.second_s)} "
        f"({best.cosine:.2f})"
    )
    axes.set_title(f"Which seconds are alike{best_pair}")
    figure.colorbar(image, cax=bar, label="cosine of windows")


def _among_pairs(score: float) -> str:
    if score > 0.9995:
        return "closer than 999 of 1,000 random pairs"
    if score < 0.005:
        return "farther apart than nearly all random pairs"
    share = f"{100 * score:.1f}" if score > 0.99 else f"{100 * score:.0f}"
    return f"closer than {share} % of random pairs"


def _tempo(bpm: float | None) -> str:
    return "no beat" if bpm is None else f"{bpm:.0f} BPM"
