"""A confusion matrix as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.plots.style import need_matplotlib, one_line, plot_style, save

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from recommender.genres.confusion import Confusion

_LONGEST_NAME = 24
_DARK = 0.55
"""Share whose colour takes white numbers."""


def draw_confusion(confusion: Confusion, path: Path, *, title: str) -> None:
    """Write the matrix as a PNG: colours are shares of each genre's tracks, numbers counts.

    Raises
    ------
    ExtraMissing
        matplotlib is not installed.
    InvalidOption
        The path cannot hold the file, or holds something that is no picture.
    """
    need_matplotlib()
    from matplotlib.figure import Figure

    with plot_style():
        side = max(4.4, 2.6 + 0.46 * len(confusion.genres))
        figure = Figure(figsize=(side + 1.2, side), layout="constrained")
        axes = figure.subplots()
        shares = confusion.table / np.maximum(confusion.table.sum(axis=1, keepdims=True), 1)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(confusion.table):
            if count:
                shade = "white" if shares[row, column] > _DARK else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=shade)
        _name_axes(axes, [one_line(genre, longest=_LONGEST_NAME) for genre in confusion.genres])
        axes.set_title(title, wrap=True)
        bar = figure.colorbar(image, ax=axes, shrink=0.8)
        bar.set_label("share of the genre's tracks")
    save(figure, path)


def _name_axes(axes: Axes, names: list[str]) -> None:
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#d8dde3", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("predicted genre")
    axes.set_ylabel("genre")
