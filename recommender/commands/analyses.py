"""Commands that carry analyses between machines as Parquet: analyse, import."""

from __future__ import annotations

import sys

import click

from recommender.commands.options.shared import (
    catalog_option,
    json_option,
    limit_options,
    workers_option,
)
from recommender.commands.terminal.output import print_json, print_message
from recommender.commands.terminal.progress import progress_bar
from recommender.commands.terminal.signals import clean_end


@click.command(
    epilog="Example: soundalike analyse /mnt/music/a --out a.parquet && soundalike import a.parquet"
)
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="The Parquet file to write.",
)
@workers_option
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    help="Windows analysed per track.  [default: as many as make 36 s]",
)
@click.option("--thorough", is_flag=True, help="Analyse all of every track.")
@click.option("--model", help="The model to embed with; it must be the catalog's.")
@click.option(
    "--include-hidden",
    is_flag=True,
    help="Scan hidden folders and those for deleted files, too.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@limit_options
@json_option
def analyse(
    paths: tuple[str, ...],
    out: str,
    workers: int | None,
    windows: int | None,
    thorough: bool,  # noqa: FBT001 - click hands flags over by name
    model: str | None,
    include_hidden: bool,  # noqa: FBT001
    force: bool,  # noqa: FBT001
    timeout: int,
    memory: int,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Analyse folders and files, and write the analyses to FILE instead of a catalog.

    On any machine that sees the files under the same paths as the catalog's; there `soundalike
    import` stores FILE.
    """
    from indexer.analysis.sandbox import Limits
    from indexer.analysis.track_analysis import ALL_WINDOWS
    from indexer.filesystem import display_path
    from indexer.indexing.exporting import export_analyses
    from indexer.indexing.pipeline import Options

    if thorough and windows is not None:
        raise click.UsageError("--thorough analyses all windows: leave --windows out")
    options = Options(
        model=model,
        windows=ALL_WINDOWS if thorough else windows,
        workers=workers or 0,
        limits=Limits(wall_s=timeout, cpu_s=timeout + 1, memory_bytes=memory << 20),
        include_hidden=include_hidden,
    )
    with clean_end() as signals, progress_bar() as show:
        written = export_analyses(
            paths,
            out,
            options=options,
            replace=force,
            on_progress=lambda at: show("analysing", at.done, at.total, f", {at.failed} failed"),
            interrupted=lambda: bool(signals),
        )
    for path, reason in written.unreachable.items():
        print_message(f"{display_path(path)} cannot be reached ({reason}): it is not in {out}")
    counts = {"rows": written.rows, "failed": written.failed, "waiting": written.waiting}
    if as_json:
        print_json({"file": out, **counts})
    else:
        click.echo(f"{out}: {written.rows} files, {written.failed} failed")
    if signals:
        print_message(f"interrupted: {out} lacks {written.waiting} files")
        sys.exit(128 + signals[0])


@click.command("import", epilog="Example: soundalike import analyses.parquet more.parquet")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@catalog_option
@json_option
def import_analyses(files: tuple[str, ...], catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """Store analyses that were made elsewhere: Parquet files, or folders of them.

    The catalog becomes what `soundalike index` would have made of the same files. What is stored
    already changes nothing, so that an interrupted run is started again.
    """
    from indexer.indexing.importing import import_analyses as store
    from indexer.library_on_server import open_library_for_writing

    with clean_end() as signals, progress_bar() as show:
        library = open_library_for_writing(catalog, create=True)
        try:
            imported = store(
                library,
                files,
                on_progress=lambda done, total: show("importing", done, total),
                interrupted=lambda: bool(signals),
            )
        finally:
            library.close()
    counts = imported.counts()
    if as_json:
        print_json(counts)
    else:
        always = ("new", "failed", "unchanged", "refused")
        shown = {name: count for name, count in counts.items() if count or name in always}
        click.echo(", ".join(f"{count} {name}" for name, count in shown.items()))
    if signals:
        print_message(
            f"interrupted with {imported.waiting} rows to go: run the same command to go on"
        )
        sys.exit(128 + signals[0])
