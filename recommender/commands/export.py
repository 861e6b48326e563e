"""The command that writes a library as a file for other systems: export."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Literal

import click

from recommender.commands.options.shared import catalog_option, json_option
from recommender.commands.terminal.output import print_json, print_message
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from recommender.engine import Recommender


@click.command(epilog="Example: soundalike export library.parquet")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "npz", "csv"]),
    help="Format of FILE. [default: by its ending]",
)
@click.option(
    "--ids",
    "wanted",
    type=click.File("rb"),
    help="Export only these tracks: a file with an id or a key on each line; - reads stdin.",
)
@click.option(
    "--on-missing",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="What to do with ids that the catalog does not know.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@catalog_option
@json_option
def export(
    file: str,
    kind: str | None,
    wanted: IO[bytes] | None,
    on_missing: Literal["raise", "skip"],
    force: bool,  # noqa: FBT001 - click hands flags over by name
    catalog: str,
    as_json: bool,  # noqa: FBT001 - click hands flags over by name
) -> None:
    """Write ids, metadata and embeddings of the tracks to FILE.

    Parquet has the embeddings in one column of lists, npz as one array, CSV in columns v0, v1, ...
    Written block by block: a library of any size takes little memory.
    """
    from indexer.errors import InvalidOption
    from recommender.collection.export import export as write
    from recommender.engine import Recommender

    if file == "-":
        raise InvalidOption("export writes to a file, not to stdout: name one, as library.csv")
    lines = None if wanted is None else _read_lines(wanted)
    with Recommender.open(catalog) as sound:
        ids = None if lines is None else _find_ids(sound, lines, on_missing=on_missing)
        count = write(sound, file, kind=kind, ids=ids, replace=force)
        model = sound.model
    skipped = 0 if lines is None else len(lines) - count
    if as_json:
        print_json(
            {"file": file, "tracks": count, "skipped": skipped, "model": model.name,
             "dim": model.dim}
        )  # fmt: skip
        return
    left_out = f", {skipped} unknown left out" if skipped else ""
    print_message(
        f"{file}: {count_noun(count, 'track')}, {model.dim} dimensions ({model.name}){left_out}"
    )


def _read_lines(file: IO[bytes]) -> list[str]:
    """The lines of a text that are not blank.

    Raises
    ------
    InvalidOption
        The file is not UTF-8.
    """
    from indexer.errors import InvalidOption

    try:
        # Programs of Windows begin a text with a byte order mark.
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidOption(
            f"--ids takes a text in UTF-8 with an id or a key on each line: {error}"
        ) from error
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def _find_ids(
    sound: Recommender, lines: list[str], *, on_missing: Literal["raise", "skip"]
) -> list[int]:
    """Ids of the tracks that lines name by key or, where no track has that key, by id.

    Raises
    ------
    UnknownTrack
        A line names no track, and `on_missing` is "raise".
    """
    from indexer.errors import UnknownTrack
    from recommender.cold_start.validation import list_some
    from recommender.retrieval.lookup import is_id

    bare = [line.strip() for line in lines]
    keys = sound.ids_of_keys(list({*lines, *bare}))
    present = set(sound.ids().tolist())
    found, unknown = [], []
    for line, name in zip(lines, bare, strict=True):
        number = keys.get(line, keys.get(name, int(name) if is_id(name) else None))
        if number is not None and number in present:
            found.append(number)
        else:
            unknown.append(name)
    if unknown and on_missing == "raise":
        raise UnknownTrack(f"the catalog has no track {list_some(map(repr, unknown))}")
    return found
