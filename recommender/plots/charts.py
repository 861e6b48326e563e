"""Parts of the report as HTML and SVG: every foreign text goes through `text`.

Bars are tables with a bar in a cell, so that they can be read without seeing; other charts are SVG
with a description. Nothing refers to anything outside the page.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from recommender.plots.style import count_coloured, one_line
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.collection.histograms import Bars, Histogram
    from recommender.collection.library_map import Grouping, LibraryMap

LONGEST = 90
_WIDTH, _HEIGHT, _FOOT, _HEAD = 360, 150, 20, 14
_MAP = 1000


def text(value: object, *, longest: int = LONGEST) -> str:
    """Any text for use between tags and inside quoted attributes, in one line."""
    return html.escape(one_line(str(value), longest=longest), quote=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str) -> str:
    """A table of cells that are HTML already; it scrolls sideways where the screen is narrow."""
    head = "".join(f'<th scope="col">{text(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{text(caption)}"><table>'
        f'<caption class="unseen">{text(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def bar(share: float, *, mark: float | None = None) -> str:
    """A bar as long as a share, 0 to 1, of its cell, with a line at `mark`."""
    line = (
        ""
        if mark is None
        else f'<rect class="mark" x="{100 * min(mark, 0.995):.1f}%" width="2" height="100%"/>'
    )
    return (
        '<svg class="bar" aria-hidden="true">'
        f'<rect width="{100 * min(1.0, max(0.0, share)):.1f}%" height="100%"/>{line}</svg>'
    )


def bars(found: Bars, *, what: str, caption: str) -> str:
    """Counts as a table with bars; nothing where there is none."""
    if not found.counts:
        return ""
    largest = max(count for _, count in found.counts)
    rows = [
        f'<tr><th scope="row">{text(label, longest=34)}</th>'
        f"<td>{bar(count / largest)}</td><td>{count:,}</td></tr>"
        for label, count in found.counts
    ]
    kinds, tracks = found.rest
    if kinds:
        rows.append(
            f'<tr class="rest"><th scope="row">{kinds:,} more</th><td></td><td>{tracks:,}</td></tr>'
        )
    return (
        f'<table class="bars"><caption>{text(caption)}</caption><thead class="unseen"><tr>'
        f'<th scope="col">{text(what)}</th><th scope="col">bar</th><th scope="col">tracks</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def histogram(found: Histogram, *, caption: str, unit: str, divide: float = 1.0) -> str:
    """Counts over a range of values as an SVG; nothing where none is known.

    Parameters
    ----------
    unit : str
        Of the values as they are shown: divided by `divide`. Years have none.
    """
    known = sum(found.counts)
    if not known:
        return ""
    largest, steps = max(found.counts), len(found.counts)
    edges = [edge / divide for edge in found.edges]
    wide, tall = _WIDTH / steps, _HEIGHT - _FOOT - _HEAD
    columns = []
    for step, count in enumerate(found.counts):
        height = tall * count / largest
        label = (
            f"{edges[step]:g} to {edges[step + 1]:g} {unit}".rstrip()
            + f": {count_noun(count, 'track')}"
        )
        columns.append(
            f'<rect x="{step * wide + 0.5:.1f}" y="{_HEAD + tall - height:.1f}" '
            f'width="{max(1.0, wide - 1):.1f}" height="{height:.1f}">'
            f"<title>{text(label)}</title></rect>"
        )
    # The most labels that do not touch.
    every = max(1, -(-steps // 7))
    ticks = "".join(
        f'<text x="{step * wide:.1f}" y="{_HEIGHT - 6}">{edges[step]:g}</text>'
        for step in range(0, steps + 1, every)
    )
    notes = [*([f"in {unit}"] if unit else []), f"median {_short((found.median or 0) / divide)}"]
    if found.unknown:
        notes.append(f"{count_noun(found.unknown, 'track')} without")
    return (
        f'<figure><figcaption>{text(caption)}</figcaption><svg class="histogram" role="img" '
        f'viewBox="-16 0 {_WIDTH + 32} {_HEIGHT}" aria-label="{text(caption)}: '
        f"{count_noun(known, 'track')}, "
        f'{text("; ".join(notes))}">'
        f'<text class="top" x="0" y="10">{count_noun(largest, "track")}</text>'
        f'{"".join(columns)}<line x1="0" x2="{_WIDTH}" y1="{_HEAD + tall}" y2="{_HEAD + tall}"/>'
        f'{ticks}</svg><p class="note">{text("; ".join(notes))}</p></figure>'
    )


def map_svg(found: LibraryMap, clusters: Grouping) -> str:
    """The map: a dot a track, coloured by classes that the page's styles know."""
    dots = []
    left, low = found.xy.min(axis=0).tolist()
    right, high = found.xy.max(axis=0).tolist()
    scale = _MAP / max(right - left, high - low, 1e-6)
    groups = zip(found.grouping.group_of.tolist(), clusters.group_of.tolist(), strict=True)
    for (x, y), name, (genre, cluster) in zip(found.xy.tolist(), found.names, groups, strict=True):
        genres = found.grouping.names[genre] if genre >= 0 else "no genre"
        where = clusters.names[cluster] if cluster >= 0 else "no cluster"
        dots.append(
            f'<circle class="g{colour(found.grouping, genre)} c{colour(clusters, cluster)}" '
            f'cx="{(x - left) * scale:.0f}" cy="{(high - y) * scale:.0f}" r="6">'
            f"<title>{text(name)} ({text(genres, longest=40)}; {text(where, longest=40)})"
            f"</title></circle>"
        )
    width, height = (right - left) * scale, (high - low) * scale
    return (
        f'<svg id="map" role="img" viewBox="-20 -20 {width + 40:.0f} {height + 40:.0f}" '
        f'aria-label="Map of {len(found.ids):,} tracks: near is alike">{"".join(dots)}</svg>'
    )


def legend(grouping: Grouping, letter: str) -> str:
    """Buttons that name the colours of a grouping and, with scripts, single a group out."""
    entries = [
        (f"{letter}{number}", grouping.names[number], int(grouping.sizes[number]))
        for number in range(count_coloured(grouping.names))
    ]
    rest = grouping.sizes[count_coloured(grouping.names) :]
    if len(rest):
        label = f"{len(rest):,} more {grouping.kind}s"
        entries.append((f"{letter}x", label, int(rest.sum())))
    none = int((grouping.group_of < 0).sum())
    if none:
        entries.append((f"{letter}n", f"no {grouping.kind}", none))
    buttons = "".join(
        f'<li><button type="button" data-group="{kind}" aria-pressed="false">'
        f'<svg class="key" viewBox="0 0 12 12" aria-hidden="true"><circle class="{kind}" '
        f'cx="6" cy="6" r="5"/></svg>{text(label, longest=34)} <small>{count:,}</small>'
        "</button></li>"
        for kind, label, count in entries
    )
    return f'<ul class="legend by-{grouping.kind}">{buttons}</ul>'


def colour(grouping: Grouping, group: int) -> str:
    """What comes after the letter in the class of a group's dots: a number, x for others, n."""
    if group < 0:
        return "n"
    return str(group) if group < count_coloured(grouping.names) else "x"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
