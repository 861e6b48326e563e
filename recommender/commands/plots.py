"""Commands that draw: picture, compare, map, explore."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from recommender.commands.options.shared import catalog_option, json_option, random_state_option
from recommender.commands.terminal.output import print_json, print_message, printable
from recommender.commands.terminal.tables import print_table
from recommender.retrieval.lookup import count_noun

out_type = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog="Example: soundalike picture 'artist - title' --out song.png")
@click.argument("query")
@click.option("--out", type=out_type, default="picture.png", show_default=True, metavar="FILE.png")
@catalog_option
@json_option
def picture(query: str, out: Path, catalog: str, as_json: bool) -> None:  # noqa: FBT001 - click hands flags over by name
    """Draw one track as a signal.

    Waveform, log-mel spectrogram, chromagram, onset strength with tempo, and the model's tags over
    time. QUERY is a track of the catalog as in `similar`, or any file; of a long one the first
    10 minutes are drawn.
    """
    from recommender.engine import Recommender
    from recommender.plots.signal import draw_signal, read_signals
    from recommender.plots.style import check_target, need_matplotlib, save

    need_matplotlib()
    check_target(out, ".png")
    with Recommender.open(catalog) as recommender:
        (signal,) = read_signals(recommender, [query])
    save(draw_signal(signal), out)
    if as_json:
        print_json({"picture": str(out), **signal.to_json()})
        return
    tags = ", ".join(f"{tag} {value:.2f}" for tag, value in signal.strongest_tags(5))
    click.echo(printable(f"{signal.name}: {tags}"))
    click.echo(printable(str(out)))


@click.command(epilog="Example: soundalike compare 17 'artist - title' --out both.png")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--out", type=out_type, default="comparison.png", show_default=True, metavar="FILE.png"
)
@catalog_option
@json_option
def compare(first: str, second: str, out: Path, catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """Draw two tracks side by side, and print what they have in common.

    The table lists the windows of A and B that are most alike. A and B are tracks of the catalog,
    or any files.
    """
    from recommender.engine import Recommender
    from recommender.plots.comparison import compare as compare_tracks
    from recommender.plots.comparison import draw_comparison
    from recommender.plots.style import check_target, need_matplotlib, save
    from recommender.retrieval.answers import format_clock

    need_matplotlib()
    check_target(out, ".png")
    with Recommender.open(catalog) as recommender:
        found = compare_tracks(recommender, first, second)
    save(draw_comparison(found), out)
    if as_json:
        print_json({"picture": str(out), **found.to_json()})
        return
    click.echo(printable(f"A  {found.first.name}"))
    click.echo(printable(f"B  {found.second.name}"))
    for sentence in found.agreement():
        click.echo(printable(f"   {sentence}"))
    click.echo()
    print_table(
        ("", "A, from min:s", "B, from min:s", "cosine"),
        [
            (number, format_clock(pair.first_s), format_clock(pair.second_s), f"{pair.cosine:.3f}")
            for number, pair in enumerate(found.pairs, start=1)
        ],
    )
    click.echo(printable(str(out)))


@click.command("map", epilog="Example: soundalike map --by cluster --out library.png")
@click.option(
    "--by",
    type=click.Choice(("genre", "cluster", "artist")),
    help="What colours stand for. [default: genre, or cluster where most tracks have none]",
)
@click.option("--out", type=out_type, default="map.png", show_default=True, metavar="FILE.png")
@random_state_option
@catalog_option
@json_option
def library_map(by: str | None, out: Path, random_state: int, catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """Draw the library in two dimensions, similar tracks near each other."""
    from recommender.collection.library_map import map_library
    from recommender.engine import Recommender
    from recommender.plots.library_map import draw_map
    from recommender.plots.style import check_target, need_matplotlib, save

    need_matplotlib()
    check_target(out, ".png")
    with Recommender.open(catalog) as recommender:
        found = map_library(recommender, by=by, random_state=random_state)
    save(draw_map(found), out)
    if as_json:
        print_json({"picture": str(out), **found.to_json()})
        return
    click.echo(printable(f"{len(found.ids)} tracks by {found.grouping.kind}: {out}"))


@click.command(epilog="Example: soundalike explore --out report.html && xdg-open report.html")
@click.option("--out", type=out_type, default="report.html", show_default=True, metavar="FILE.html")
@click.option("--title", default="A music library", show_default=True, help="Title of the page.")
@random_state_option
@catalog_option
@json_option
def explore(out: Path, title: str, random_state: int, catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """Write a report of the library: one HTML page that needs nothing else.

    Counts, durations, formats, genres, tempi, tags per genre, a map, how separable genres are,
    outliers, near-duplicates, failures. With --json the figures are printed too.
    """
    from indexer.filesystem import begins_with, replace_file
    from recommender.collection.survey import survey
    from recommender.engine import Recommender
    from recommender.plots.report import write_page
    from recommender.plots.style import check_target

    check_target(out, ".html")
    with Recommender.open(catalog) as recommender:
        found = survey(recommender, catalog, random_state=random_state, report=print_message)
    page = write_page(found, title=title, today=datetime.now(UTC).astimezone().date())
    replace_file(
        out,
        page,
        kind="HTML page",
        is_kind=lambda existing: begins_with(existing, b"<!doctype html>"),
    )
    if as_json:
        print_json({"report": str(out), **found.to_json()})
        return
    click.echo(printable(f"{count_noun(found.totals['tracks'], 'track')}: {out}"))
