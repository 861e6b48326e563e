"""The report of a library: one HTML page that needs nothing else, for a screen, a phone, paper.

The page forbids itself everything from outside, and any script but its own, by a Content Security
Policy with the hashes of its script and its styles: what a file's tags say could do no harm even
if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from indexer.filesystem import display_path
from recommender.collection.survey import K
from recommender.plots.charts import (
    bar,
    bars,
    histogram,
    legend,
    map_svg,
    table,
    text,
)
from recommender.plots.style import GROUP_COLOURS
from recommender.retrieval.answers import format_clock
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from datetime import date

    from recommender.collection.survey import GenreDistance, Survey

DUPLICATES = 40
FAILURES = 100
"""Groups and files that the page lists; counts are of all."""


def write_page(found: Survey, *, title: str, today: date) -> bytes:
    """The report as an HTML page in UTF-8.

    Parameters
    ----------
    title : str
        Names the library.
    today : date
        What the page says of when it was made.
    """
    style = _styles()
    script = _part("report.js")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'"
    )
    sections = [
        ("overview", "At a glance", _overview(found)),
        ("music", "What there is", _music(found)),
        ("tags", "Tags of each genre", _tags(found)),
        ("mapped", "The map", _map(found)),
        ("genres", "How separable genres are", _separability(found)),
        ("outliers", "Unlike all others", _outliers(found)),
        ("duplicates", "Near-duplicates", _duplicates(found)),
        ("failures", "Files that could not be analysed", _failures(found)),
    ]
    links = "".join(f'<li><a href="#{key}">{head}</a></li>' for key, head, _ in sections)
    body = "".join(
        f'<section id="{key}"><h2>{head}</h2>{inside}</section>' for key, head, inside in sections
    )
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{style}</style></head><body>"
        f"<header><h1>{text(title)}</h1><p>"
        f"{count_noun(found.totals['tracks'], 'track')} analysed by the model "
        f"{text(found.model)}. Made by soundalike on {today.isoformat()}.</p>"
        f'<nav aria-label="Parts of the report"><ul>{links}</ul></nav></header>'
        f"<main>{body}</main><footer>Only sound was compared; names, genres and years come from "
        "the files' tags. This page loads nothing from anywhere.</footer>"
        f"<script>{script}</script></body></html>\n"
    )
    return page.encode("utf-8", errors="replace")


def _overview(found: Survey) -> str:
    totals = found.totals
    hours = totals["duration_s"] / 3600
    tiles = [
        (f"{totals['tracks']:,}", "tracks"),
        (f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:.1f} min", "of sound"),
        (f"{totals['artists']:,}", "artists"),
        (f"{totals['albums']:,}", "albums"),
        (f"{totals['recordings']:,}", "recordings"),
        (f"{totals['failures']:,}", "failures"),
    ]
    if totals["missing"]:
        tiles.append((f"{totals['missing']:,}", "files missing"))
    listed = "".join(f"<li><b>{value}</b><span>{what}</span></li>" for value, what in tiles)
    lacking = [f"{count:,} name no {field}" for field, count in found.untagged.items() if count]
    note = f"Of the tracks, {', '.join(lacking)}." if lacking else ""
    return f'<ul class="tiles">{listed}</ul><p class="note">{note}</p>'


def _music(found: Survey) -> str:
    longest = found.durations.edges[-1]
    minutes = longest > 240
    durations = histogram(
        found.durations,
        caption="Durations",
        unit="minutes" if minutes else "seconds",
        divide=60.0 if minutes else 1.0,
    )
    drawn = [
        durations,
        histogram(found.tempi, caption="Tempi", unit="beats a minute"),
        histogram(found.years, caption="Years", unit=""),
        bars(found.genres, what="genre", caption="Genres, tracks"),
        bars(found.keys, what="key", caption="Keys, tracks"),
        bars(found.formats, what="format", caption="Formats, tracks"),
    ]
    names = ("duration", "tempo", "year", "genre", "key", "format")
    missing = [name for name, part in zip(names, drawn, strict=True) if not part]
    parts = "".join(f'<div class="part">{part}</div>' for part in drawn if part)
    note = f"Of no track the {' or '.join(missing)} is known." if missing else ""
    return f'<div class="parts">{parts}</div><p class="note">{note}</p>'


def _tags(found: Survey) -> str:
    if not found.genre_tags:
        return '<p class="none">No genre is named by at least three tracks.</p>'
    rows = [
        [
            text(one.genre, longest=40),
            f"{one.tracks:,}",
            '<div class="chips">'
            + "".join(
                f'<span class="chip">{text(tag.tag)} '
                f"<small>{tag.probability:.2f}, ×{tag.lift:.1f}</small></span>"
                for tag in one.tags
            )
            + "</div>",
        ]
        for one in found.genre_tags
    ]
    return (
        '<p class="about">Tags that are more probable in each genre than in the whole library: '
        "mean probability, and how many times that of the whole library.</p>"
        + table(("genre", "tracks", "distinctive tags"), rows, caption="Tags of each genre")
    )


def _map(found: Survey) -> str:
    if found.map is None or found.clusters is None:
        return '<p class="none">A map needs at least three tracks.</p>'
    total = found.totals["tracks"]
    shown_of = (
        f"{len(found.map.ids):,} tracks drawn at random from {total:,}."
        if len(found.map.ids) < total
        else ""
    )
    # Where few tracks name a genre, colours by genre would say little.
    named = int((found.map.grouping.group_of >= 0).sum())
    by = "genre" if 2 * named >= len(found.map.ids) else "cluster"
    choices = "".join(
        f'<label><input type="radio" name="by" value="{kind}"'
        f"{' checked' if kind == by else ''}> {kind}</label>"
        for kind in ("genre", "cluster")
    )
    return (
        '<p class="about">Each dot is a track; near is alike (t-SNE of the embeddings: the axes '
        f"have no unit, and far distances mean little). {shown_of}</p>"
        f'<div id="plot" class="by-{by}"><div class="controls" hidden><fieldset><legend>Colour by'
        f"</legend>{choices}</fieldset>"
        '<label>Find <input type="search" id="search" placeholder="artist, title, genre"></label>'
        f'</div><div class="plot"><div>{map_svg(found.map, found.clusters)}'
        '<p id="status" aria-live="polite">Point at a dot, or tap it, to see its name.</p></div>'
        f"<div>{legend(found.map.grouping, 'g')}{legend(found.clusters, 'c')}</div></div></div>"
    )


def _separability(found: Survey) -> str:
    if not found.separability:
        return '<p class="none">Fewer than two genres have five tracks.</p>'
    overall = (
        ""
        if found.precision is None or found.chance is None
        else f"Over all: {found.precision:.2f}, against {found.chance:.2f} by chance. "
    )
    return (
        f'<p class="about">Of each track&#39;s {K} nearest neighbours by other artists, the share '
        "of the same genre (bar), and what chance would give (line). "
        f"{overall}The silhouette is 1 for a genre far from all others, 0 where it touches them, "
        f"and negative where it lies among them. Computed from {found.compared:,} tracks.</p>"
        + table(
            ("genre", "tracks", "of the same genre", "", "by chance", "silhouette"),
            [_distance(one) for one in found.separability],
            caption="How far each genre is from the others",
        )
    )


def _distance(one: GenreDistance) -> list[str]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")

    return [
        text(one.genre, longest=40),
        f"{one.tracks:,}",
        bar(one.precision or 0.0, mark=one.chance),
        number(one.precision) or "one artist",
        number(one.chance),
        number(one.silhouette),
    ]


def _outliers(found: Survey) -> str:
    if not found.outliers:
        return '<p class="none">A library needs more tracks for this.</p>'
    rows = [
        [text(one.id), text(one.name), f"{one.cosine:.2f}", text(one.nearest)]
        for one in found.outliers
    ]
    return (
        f'<p class="about">Tracks whose {K} nearest neighbours are furthest away: rarities, or '
        "files that are not music.</p>"
        + table(("id", "track", "cosine", "nearest"), rows, caption="Outliers")
    )


def _duplicates(found: Survey) -> str:
    groups = found.duplicates
    if not groups:
        return '<p class="none">None were found from the catalog alone.</p>'
    rows = [
        [
            "sure" if group.sure else "likely",
            "<br>".join(
                f"{track.id} · {text(track.artist or '')}{' - ' if track.artist else ''}"
                f"{text(track.title or track.key)} · {format_clock(track.duration_s)}"
                for track in group.tracks[:8]
            )
            + (f"<br>and {len(group.tracks) - 8:,} more" if len(group.tracks) > 8 else ""),
        ]
        for group in groups[:DUPLICATES]
    ]
    more = len(groups) - DUPLICATES
    return (
        f'<p class="about">{len(groups):,} groups, found from the catalog alone: the same encoded '
        "audio is sure; <code>soundalike duplicates</code> compares the sound of the others.</p>"
        + table(("kind", "tracks"), rows, caption="Near-duplicates")
        + (f'<p class="note">and {more:,} groups more</p>' if more > 0 else "")
    )


def _failures(found: Survey) -> str:
    if not found.failures:
        return '<p class="none">None: every file was analysed.</p>'
    rows = [
        [
            text(one.reason),
            text(display_path(one.path), longest=160),
            text(one.message, longest=200),
        ]
        for one in found.failures[:FAILURES]
    ]
    more = len(found.failures) - FAILURES
    return table(("reason", "file", "message"), rows, caption="Failures") + (
        f'<p class="note">and {more:,} files more: see <code>soundalike failures</code></p>'
        if more > 0
        else ""
    )


def _styles() -> str:
    colours = "".join(
        f".by-genre .g{number},.by-cluster .c{number}{{fill:{colour}}}"
        for number, colour in enumerate(GROUP_COLOURS)
    )
    return _part("report.css") + colours


def _part(name: str) -> str:
    return files("recommender.plots").joinpath(name).read_text(encoding="utf-8")


def _hash(part: str) -> str:
    return base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
