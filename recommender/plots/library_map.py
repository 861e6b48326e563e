"""The map of a library as a figure: a dot a track, coloured by group, and the groups' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.collection.library_map import FEWEST
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
    from matplotlib.transforms import Bbox
    from numpy.typing import NDArray

    from recommender.collection.library_map import Grouping, LibraryMap

_WIDTH = 12.0
_LOWEST, _HIGHEST = 5.0, 12.0
_LEGEND_COLUMNS = 4
_HIDDEN = 0.005
"""Share of the points that a name may hide where another position hides fewer."""
_STEPS = 13


def draw_map(found: LibraryMap) -> Figure:
    """A figure of the map with its legend, as high as the map needs.

    Raises
    ------
    ImportError
        matplotlib is not installed: see `style.need_matplotlib`.
    """
    with plot_style():
        wide, high = np.maximum(np.ptp(found.xy, axis=0), 1e-6).tolist()
        rows = -(-(2 + count_coloured(found.grouping.names)) // _LEGEND_COLUMNS)
        height = float(np.clip(_WIDTH * high / wide, _LOWEST, _HIGHEST)) + 0.9 + 0.25 * rows
        figure = new_figure(_WIDTH, height)
        axes = figure.add_subplot()
        size = float(np.clip(26_000 / len(found.ids), 1.5, 60))
        _draw_points(axes, found, size)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal", adjustable="datalim")
        for side in axes.spines.values():
            side.set_visible(False)
        axes.margins(0.03)
        title = f"{len(found.ids):,} tracks by {found.grouping.kind}"
        figure.suptitle(title, size=16, weight="bold", x=0.0033, ha="left")
        others = len(found.ids) - found.landmarks
        how = f" of {found.landmarks:,} tracks, and {others:,} among them" if others else ""
        axes.set_title(
            f"Near is alike: t-SNE of the embeddings{how}. The axes have no unit.",
            size=9.5,
            weight="normal",
            color=FAINT,
        )
        _draw_legend(figure, axes, found.grouping, size)
        _name_groups(figure, axes, found, size)
        return figure


def _draw_points(axes: Axes, found: LibraryMap, size: float) -> None:
    """Draw the groups that have no colour of their own first, so that they lie below."""
    groups = found.grouping
    coloured = count_coloured(groups.names)
    none = groups.group_of < 0
    rest = groups.group_of >= coloured
    layers = [
        (none, "#d5dadf", f"no {groups.kind} ({int(none.sum()):,})"),
        (
            rest,
            OTHER_COLOUR,
            f"{len(groups.names) - coloured} more {groups.kind}s ({int(rest.sum()):,})",
        ),
    ]
    layers += [
        (
            groups.group_of == number,
            GROUP_COLOURS[number],
            f"{one_line(groups.names[number], longest=28)} ({groups.sizes[number]:,})",
        )
        for number in range(coloured)
    ]
    for members, colour, label in layers:
        if members.any():
            axes.scatter(
                found.xy[members, 0],
                found.xy[members, 1],
                s=size,
                c=colour,
                alpha=0.85,
                linewidths=0.3 if size > 8 else 0,
                edgecolors="white",
                label=label,
            )


def _draw_legend(figure: Figure, axes: Axes, groups: Grouping, size: float) -> None:
    handles, labels = axes.get_legend_handles_labels()
    # What is drawn first is named last.
    grey = len(labels) - count_coloured(groups.names)
    order = [*range(grey, len(labels)), *reversed(range(grey))]
    figure.legend(
        [handles[row] for row in order],
        [labels[row] for row in order],
        loc="outside lower left",
        ncols=_LEGEND_COLUMNS,
        markerscale=(48 / size) ** 0.5,
    )


def _name_groups(figure: Figure, axes: Axes, found: LibraryMap, size: float) -> None:
    """Write each group's name in or beside it, where it hides few points and no other name."""
    from matplotlib.patheffects import withStroke

    groups = found.grouping
    figure.draw_without_rendering()
    points = axes.transData.transform(found.xy)
    point = figure.dpi / 72
    around = (size**0.5 / 2 + 1) * point
    taken: list[Bbox] = []
    for number in range(count_coloured(groups.names)):
        members = groups.group_of == number
        if members.sum() < FEWEST:
            continue
        text = axes.annotate(
            one_line(groups.names[number], longest=28),
            tuple(_densest(found.xy[members])),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            weight="bold",
            size=10,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
        move = _best_move(
            text.get_window_extent(), axes.get_window_extent(), points, members, taken, around
        )
        if move is None:
            text.remove()
            continue
        text.xyann = (move[0] / point, move[1] / point)
        taken.append(text.get_window_extent())


def _best_move(
    box: Bbox,
    frame: Bbox,
    points: NDArray[np.float64],
    members: NDArray[np.bool_],
    taken: list[Bbox],
    around: float,
) -> tuple[float, float] | None:
    """How far to move a name, in pixels: the nearest move that hides few points, else the fewest.

    Parameters
    ----------
    box, frame : Bbox
        Of the name where it is, and of what it must stay in.
    points : float64 (n, 2)
        All points of the map; `members` are those of the group.
    taken : list of Bbox
        Names that it must not overlap.
    around : float
        Half the width of a point.

    Returns
    -------
    tuple of float, or None
        None where every move leads over another name or out of the frame.
    """
    low, high = np.asarray(box.get_points())
    inside, edge = np.asarray(frame.get_points())
    beside = (high - low) / 2 + 2 * around
    nearest, farthest = points[members].min(axis=0) - beside, points[members].max(axis=0) + beside
    across, up = np.linspace(nearest, farthest, _STEPS).T - ((low + high) / 2)[:, np.newaxis]
    moves = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    moves = moves[np.argsort(np.hypot(*moves.T), kind="stable")]
    best: tuple[float, float] | None = None
    fewest = np.inf
    for move in np.concatenate([np.zeros((1, 2)), moves]):
        outside = (low + move < inside).any() or (high + move > edge).any()
        x, y = move.tolist()
        if outside or box.translated(x, y).count_overlaps(taken):
            continue
        over = (points > low + move - around) & (points < high + move + around)
        hidden = float(over.all(axis=1).mean())
        if hidden <= _HIDDEN:
            return x, y
        if hidden < fewest:
            best, fewest = (x, y), hidden
    return best


def _densest(members: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of up to some hundred points the one whose nearest quarter of them lies closest."""
    some = members[:: max(1, len(members) // 400)]
    apart = np.linalg.norm(some[:, None] - some[None], axis=2)
    near = np.sort(apart, axis=1)[:, max(1, len(some) // 4)]
    return np.asarray(some[int(near.argmin())])
