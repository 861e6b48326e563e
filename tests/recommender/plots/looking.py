"""Looks at figures and pictures as a reader would: is everything there, and legible?"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from recommender.plots.style import plot_style

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from matplotlib.text import Text


def written(figure: Figure) -> list[Text]:
    """All texts that a figure shows."""
    found = [*figure.texts]
    if figure._suptitle is not None:
        found.append(figure._suptitle)
    for axes in figure.axes:
        found += [axes.title, axes._left_title, axes._right_title, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            found.append(axis.label)
            found += [tick.label1 for tick in axis._update_ticks()]
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes)]:
        if legend is not None:
            found += [legend.get_title(), *legend.get_texts()]
    unique = list({id(text): text for text in found}.values())
    return [text for text in unique if text.get_visible() and text.get_text().strip()]


def assert_legible(figure: Figure) -> None:
    """No text lies over another one or beyond the edge."""
    with plot_style():
        figure.draw_without_rendering()
        boxes = [(text.get_text(), text.get_window_extent()) for text in written(figure)]
    whole = figure.bbox
    for said, box in boxes:
        inside = box.x0 >= -1 and box.x1 <= whole.x1 + 1 and box.y0 >= -1 and box.y1 <= whole.y1 + 1
        assert inside, f"{said!r} lies beyond the edge: {box}"
    for (said, box), (other, over) in combinations(boxes, 2):
        wide = min(box.x1, over.x1) - max(box.x0, over.x0)
        high = min(box.y1, over.y1) - max(box.y0, over.y0)
        assert wide <= 1 or high <= 1, f"{said!r} lies over {other!r}"


def png_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, by the header."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
