"""Commands that ask: similar, show."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from indexer.paths import shown
from recommender.commands.options import catalog_option, count_option, json_option
from recommender.commands.output import duration, print_answer, print_json, print_table, printable

TOP_TAGS = 8


@click.command(epilog="Example: soundalike similar ~/Downloads/upload.mp3 -n 5")
@click.argument("query")
@catalog_option
@count_option
@click.option("--include-same", is_flag=True, help="Also the seed itself and its other encodings.")
@json_option
def similar(
    query: str,
    catalog: str,
    count: int,
    include_same: bool,  # noqa: FBT001 - click hands flags over by name
    as_json: bool,  # noqa: FBT001
) -> None:
    """Print the tracks that sound most like QUERY.

    QUERY is a catalog id, a key, the path of a file in the catalog or of any other file, or a part
    of "artist - title".
    """
    from recommender.engine import Recommender

    with Recommender.open(catalog) as recommender:
        if os.path.isfile(query) and not recommender.knows(query):
            answer = recommender.similar_to_file(query, count, include_same=include_same)
        else:
            answer = recommender.similar_to_track(query, count, include_same=include_same)
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
    known["path"] = shown(track.path)
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
