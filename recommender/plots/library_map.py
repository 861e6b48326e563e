"""The map of a library as a figure, coloured by group, each group named where most of it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.collection.map import FEWEST
from recommender.plots.style import (
    FAINT,
    GROUP_COLOURS,
    OTHER_COLOUR,
    count_coloured,
    new_figure,
    one_line,
    plot_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from recommender.collection.map import Grouping, LibraryMap

_LINES = 8


_MAY_HIDE = 0.005  # of the points, under one name


def draw_map(found: LibraryMap) -> Figure:
    """A figure of the map with its legend."""
    with plot_style():
        figure = new_figure(12, 9)
        axes = figure.add_subplot()
        groups = found.grouping
        size = float(np.clip(26_000 / len(found.ids), 1.5, 60))
        _scatter(axes, found, np.flatnonzero(groups.group_of < 0), "#d5dadf", size, _none(groups))
        rest = np.flatnonzero(groups.group_of >= count_coloured(groups.names))
        more = len(groups.names) - count_coloured(groups.names)
        _scatter(
            axes, found, rest, OTHER_COLOUR, size, f"{more} more {groups.kind}s ({len(rest):,})"
        )
        for number in range(count_coloured(groups.names)):
            label = f"{one_line(groups.names[number], longest=28)} ({groups.sizes[number]:,})"
            members = np.flatnonzero(groups.group_of == number)
            _scatter(axes, found, members, GROUP_COLOURS[number], size, label)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal", adjustable="datalim")
        for side in axes.spines.values():
            side.set_visible(False)
        axes.margins(0.03)
        title = f"{len(found.ids):,} tracks by {groups.kind}"
        figure.suptitle(title, size=16, weight="bold", x=0.0033, ha="left")
        placed = len(found.ids) - found.landmarks
        how = f"; {found.landmarks:,} laid out, {placed:,} placed among them" if placed else ""
        axes.set_title(
            f"Near is alike: t-SNE of what the model hears{how}. The axes have no unit.",
            size=9.5,
            weight="normal",
            color=FAINT,
        )
        handles, labels = axes.get_legend_handles_labels()
        # Drawn last, so that they are on top, but named first.
        grey = len(labels) - count_coloured(groups.names)
        order = [*range(grey, len(labels)), *reversed(range(grey))]
        figure.legend(
            [handles[place] for place in order],
            [labels[place] for place in order],
            loc="outside right upper",
            title=groups.kind,
            title_fontproperties={"weight": "bold"},
            alignment="left",
            markerscale=(48 / size) ** 0.5,
        )
        _name_groups(figure, axes, found, size)
        return figure


def _scatter(
    axes: Axes,
    found: LibraryMap,
    members: NDArray[np.int64],
    colour: str,
    size: float,
    label: str,
) -> None:
    if len(members):
        axes.scatter(
            found.places[members, 0],
            found.places[members, 1],
            s=size,
            c=colour,
            alpha=0.85,
            linewidths=0.3 if size > 8 else 0,
            edgecolors="white",
            label=label,
        )


def _name_groups(figure: Figure, axes: Axes, found: LibraryMap, size: float) -> None:
    """Write each group's name where most of it lies or beside, as far as it hides nothing there."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    groups = found.grouping
    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    points = axes.transData.transform(found.places)
    point = figure.dpi / 72
    around = (size**0.5 / 2 + 1) * point
    taken: list[Bbox] = []

    def fits(box: Bbox) -> bool:
        if Bbox.count_overlaps(box, taken):
            return False
        if not (frame.containsx(box.x0) and frame.containsx(box.x1)):
            return False
        if not (frame.containsy(box.y0) and frame.containsy(box.y1)):
            return False
        hidden = ((points > box.min - around) & (points < box.max + around)).all(axis=1)
        return bool(hidden.mean() <= _MAY_HIDE)

    for number in range(count_coloured(groups.names)):
        members = found.places[groups.group_of == number]
        if len(members) < FEWEST:
            continue
        text = axes.annotate(
            one_line(groups.names[number], longest=28),
            tuple(_densest(members)),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            weight="bold",
            size=10,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
        box = text.get_window_extent()
        moves = [move for move in _beside(box.width, box.height) if fits(box.translated(*move))]
        if moves:
            text.xyann = (moves[0][0] / point, moves[0][1] / point)
            taken.append(box.translated(*moves[0]))
        else:
            text.remove()


def _beside(width: float, height: float) -> list[tuple[float, float]]:
    """Moves of a label from its point, the nearest first."""
    moves = [
        (width * across / 4, height * up / 2)
        for across in range(-4, 5)
        for up in range(-_LINES, _LINES + 1)
    ]
    return sorted(moves, key=lambda move: float(np.hypot(*move)))


def _densest(members: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of up to some hundred points the one that the nearest tenth of them is closest to."""
    some = members[:: max(1, len(members) // 400)]
    apart = np.linalg.norm(some[:, None] - some[None], axis=2)
    near = np.sort(apart, axis=1)[:, max(1, len(some) // 4)]
    return np.asarray(some[int(near.argmin())])


def _none(groups: Grouping) -> str:
    return f"no {groups.kind} ({int((groups.group_of < 0).sum()):,})"
