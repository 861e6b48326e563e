"""The command that hands a library to other systems: export."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Literal

import click

from recommender.commands.options import catalog_option, json_option
from recommender.commands.output import print_json, say
from recommender.lookup import counted

if TYPE_CHECKING:
    from recommender.cold_start.ids import Key


@click.command(epilog="Example: soundalike export library.parquet")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "npz", "csv"]),
    help="What to write. [default: what FILE ends with]",
)
@click.option(
    "--ids",
    "wanted",
    type=click.File(encoding="utf-8"),
    help="Export only these tracks: a file with an id or a key on each line; - reads stdin.",
)
@click.option(
    "--on-missing",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="What of ids that the catalog does not know.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@catalog_option
@json_option
def export(
    file: str,
    kind: str | None,
    wanted: IO[str] | None,
    on_missing: Literal["raise", "skip"],
    force: bool,  # noqa: FBT001 - click hands flags over by name
    catalog: str,
    as_json: bool,  # noqa: FBT001 - click hands flags over by name
) -> None:
    """Write ids, what is known of tracks, and their vectors to FILE.

    Parquet has the vectors in one column of lists, npz as one array, CSV in columns v0, v1, ...
    A library of any size takes little memory.
    """
    from recommender.cold_start.export import export as write
    from recommender.engine import Recommender

    ids: list[Key] | None = None
    if wanted is not None:
        lines = [line.rstrip("\r\n") for line in wanted]
        named = [line for line in lines if line]
        numbers = all(name.isascii() and name.isdigit() for name in named)
        ids = [int(name) for name in named] if numbers else [*named]
    with Recommender.open(catalog) as sound:
        count = write(sound, file, kind=kind, ids=ids, on_missing=on_missing, replace=force)
        model = sound.model
    skipped = 0 if ids is None else len(ids) - count
    if as_json:
        print_json(
            {"file": file, "tracks": count, "skipped": skipped, "model": model.name,
             "dim": model.dim}
        )  # fmt: skip
        return
    left_out = f", {skipped} unknown left out" if skipped else ""
    say(f"{file}: {counted(count, 'track')}, {model.dim} numbers each ({model.name}){left_out}")
