"""Commands that ask: similar, show."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from indexer.filesystem import display_path
from recommender.commands.filter_options import ranking_options, where_options
from recommender.commands.find import lyrics_options, with_lyrics
from recommender.commands.options import catalog_option, count_option, json_option
from recommender.commands.output import duration, print_answer, print_json, print_table, printable

if TYPE_CHECKING:
    from recommender.retrieval.ranking import Ranking
    from recommender.retrieval.where import Where

TOP_TAGS = 8


@click.command(epilog="Example: soundalike similar 'so what' 17 --dislike 4 --genre jazz --why")
@click.argument("queries", nargs=-1, required=True, metavar="QUERY...")
@click.option("--dislike", multiple=True, metavar="QUERY", help="Not like this; can be repeated.")
@click.option(
    "--strategy",
    type=click.Choice(["average", "best-score"]),
    default="average",
    show_default=True,
    help="Of several QUERYs: what lies between them all, or what is nearest to any.",
)
@catalog_option
@count_option
@ranking_options
@where_options
@lyrics_options
@click.option("--why", is_flag=True, help="Say what each has in common with QUERY.")
@click.option(
    "--why-windows",
    is_flag=True,
    help="Say so, and which seconds of both sound most alike: hears the tracks again.",
)
@click.option("--include-same", is_flag=True, help="Also the seed itself and its other encodings.")
@json_option
def similar(
    queries: tuple[str, ...],
    dislike: tuple[str, ...],
    strategy: str,
    catalog: str,
    count: int,
    where: Where,
    ranking: Ranking,
    lyrics_weight: float,
    text_model: str | None,
    why: bool,  # noqa: FBT001 - click hands flags over by name
    why_windows: bool,  # noqa: FBT001
    include_same: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Print the tracks that sound most like QUERY, or like several of them.

    QUERY is a catalog id, a key, the path of a file in the catalog or of any other file, or a part
    of "artist - title". The score is the share of random pairs of the catalog that are less alike.
    """
    from recommender.engine import Recommender
    from recommender.text.fusion import POOL

    with Recommender.open(catalog) as recommender:
        answer = recommender.similar_to_tracks(
            queries,
            dislike,
            max(count, POOL) if lyrics_weight else count,
            strategy="average" if strategy == "average" else "best_score",
            where=where,
            ranking=ranking,
            include_same=include_same,
            why="windows" if why_windows else why,
        )
        if lyrics_weight:
            answer = with_lyrics(
                recommender,
                catalog,
                answer,
                queries,
                weight=lyrics_weight,
                text_model=text_model,
                n=count,
            )
        print_answer(answer, as_json=as_json)


@click.command(epilog="Example: soundalike show 17 --json")
@click.argument("query")
@catalog_option
@json_option
def show(query: str, catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """Print all that is known of one track, and its strongest tags."""
    from recommender.engine import Recommender

    with Recommender.open(catalog) as recommender:
        track = recommender.track(query)
        tags = recommender.tags(track.id)[:TOP_TAGS]
    known = asdict(track)
    known["path"] = display_path(track.path)
    if as_json:
        print_json({**known, "tags": dict(tags)})
        return
    del known["recording_id"]
    known["duration_s"] = duration(track.duration_s)
    width = max(len(name) for name in known)
    for name, value in known.items():
        if value is not None:
            label = name.removesuffix("_s").replace("_", " ")
            click.echo(f"{label.ljust(width)}  {printable(str(value))}")
    click.echo()
    print_table(("probability", "tag"), [(f"{value:.2f}", tag) for tag, value in tags])
