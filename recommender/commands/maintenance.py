"""Commands for the state of a catalog: status, failures, verify, rebuild."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from indexer.filesystem import display_path
from recommender.commands.options.shared import catalog_option, json_option
from recommender.commands.terminal.output import duration, print_json, print_message, printable
from recommender.commands.terminal.tables import print_table


@click.command(epilog="Example: soundalike status --json")
@catalog_option
@json_option
def status(catalog: str, as_json: bool) -> None:  # noqa: FBT001 - click hands flags over by name
    """Print what the catalog holds: tracks, model, folders, failures."""
    from indexer.library_on_server import open_library

    library = open_library(catalog)
    try:
        counts = library.catalog.counts()
        model = library.catalog.active_model()
        seconds = library.catalog.played_seconds()
        state: dict[str, object] = {
            "catalog": catalog,
            **counts,
            "duration_s": round(seconds, 3),
            "model": None if model is None else model.name,
            "fingerprint": None if model is None else model.fingerprint,
            "windows": None if model is None else (model.windows or "all"),
            "vectors": 0 if library.index is None else len(library.index),
            "folders": [display_path(root) for root in library.catalog.roots()],
        }
    finally:
        library.close()
    if as_json:
        print_json(state)
        return
    del state["duration_s"]
    state["duration"] = duration(seconds)
    for name, value in state.items():
        text = ", ".join(value) if isinstance(value, list) else str(value)
        click.echo(f"{name.ljust(12)} {printable(text)}")


@click.command(epilog="Example: soundalike failures")
@catalog_option
@json_option
def failures(catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """List the files that could not be indexed, and why."""
    from indexer.catalog.reader import Catalog

    opened = Catalog.open_for_reading(catalog)
    found = opened.failures()
    opened.close()
    if as_json:
        print_json({"failures": [{**asdict(one), "path": display_path(one.path)} for one in found]})
    elif not found:
        click.echo("no failures")
    else:
        print_table(
            ("reason", "stage", "tries", "message"),
            [(one.reason, one.stage, one.tries, one.message) for one in found],
        )


@click.command(epilog="Example: soundalike verify --catalog music.db")
@catalog_option
@json_option
def verify(catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """Check the catalog and what is made from it against each other; exit 1 on any fault."""
    from indexer.library_on_server import open_library

    library = open_library(catalog)
    try:
        report = library.verify()
    finally:
        library.close()
    if as_json:
        print_json({"sound": report.sound, **asdict(report)})
    elif report.sound:
        click.echo(f"{catalog} is sound")
    for line in report.damage:
        print_message(f"{catalog}: {line}: restore a copy, or move it away and index again")
    faults = [*(f"{catalog}: {line}" for line in report.titles)]
    faults += [fault for fault in (report.facets_file, report.index_file) if fault]
    for fault in faults:
        print_message(f"{fault}: `soundalike rebuild` builds it again")
    for text, ids in (
        ("tracks are not in the index", report.not_in_index),
        ("vectors of the index are not in the catalog", report.not_in_catalog),
        ("vectors of the index differ from the catalog", report.other_vector),
    ):
        if ids:
            some = ", ".join(map(str, ids[:5]))
            print_message(
                f"{len(ids)} {text} (ids {some} ...): `soundalike rebuild` builds it again"
            )
    if not report.sound:
        sys.exit(1)


@click.command(epilog="Example: soundalike rebuild")
@catalog_option
@json_option
def rebuild(catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """Build the vector index and all else that is made from the catalog again."""
    from indexer.library_on_server import open_library_for_writing

    library = open_library_for_writing(catalog)
    try:
        count = library.rebuild()
    finally:
        library.close()
    if as_json:
        print_json({"vectors": count})
    else:
        click.echo(f"{count} vectors in the index")
