"""Commands that change what a catalog holds: index, add, remove."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from indexer.errors import UnknownTrack
from indexer.filesystem import absolute_path
from recommender.commands.options.shared import (
    as_seconds,
    catalog_option,
    count_option,
    json_option,
    limit_options,
    workers_option,
)
from recommender.commands.terminal.output import duration, print_json, print_message
from recommender.commands.terminal.progress import progress_bar
from recommender.commands.terminal.signals import clean_end
from recommender.commands.terminal.tables import print_answer, track_cell

if TYPE_CHECKING:
    from indexer.indexing.executor import Progress
    from indexer.indexing.pipeline import Summary
    from recommender.commands.terminal.progress import ShowProgress
    from recommender.retrieval.answers import Answer


@click.command(
    epilog="Example: soundalike index ~/Music /mnt/share/new --stop-after 2h",
)
@click.argument("paths", nargs=-1)
@catalog_option
@workers_option
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Let the machines of a Dask cluster analyse the files: the address of its scheduler, "
    "such as tcp://host:8786, or its scheduler file.",
)
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    help="Windows analysed per track, each as long as the model's input.  [default: as many as of "
    "the catalog's tracks; in a new catalog as many as make 36 s]",
)
@click.option("--thorough", is_flag=True, help="Analyse all of every track.")
@click.option(
    "--model",
    help="The model to embed with. Another one than the catalog's embeds every track anew, and "
    "answers come from the old vectors until it has embedded them all.",
)
@click.option("--retry-failed", is_flag=True, help="Try files that failed before again.")
@click.option(
    "--empty-is-gone",
    is_flag=True,
    help="Take the tracks of a folder that is empty now for deleted, not for unreachable.",
)
@click.option(
    "--include-hidden",
    is_flag=True,
    help="Scan hidden folders and those for deleted files, too.",
)
@click.option(
    "--reread-tags",
    is_flag=True,
    help="Read the tags of unchanged files again, as after a tagger that keeps times and sizes.",
)
@click.option("--stop-after", callback=as_seconds, help="End cleanly after this time, e.g. 2h.")
@limit_options
@json_option
def index(
    paths: tuple[str, ...],
    catalog: str,
    workers: int | None,
    dask: str | None,
    windows: int | None,
    thorough: bool,  # noqa: FBT001 - click hands flags over by name
    model: str | None,
    retry_failed: bool,  # noqa: FBT001
    empty_is_gone: bool,  # noqa: FBT001
    include_hidden: bool,  # noqa: FBT001
    reread_tags: bool,  # noqa: FBT001
    stop_after: float | None,
    timeout: int,
    memory: int,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Bring the catalog up to date with folders and files, also at https://host/folder/.

    Without PATHS, with every folder indexed before. Unchanged files cost next to nothing, so run
    it as often as you like; an interrupted run goes on where it stopped.
    """
    from indexer.analysis.sandbox import Limits
    from indexer.analysis.track_analysis import ALL_WINDOWS
    from indexer.indexing.pipeline import Options, index_paths
    from indexer.library_on_server import open_library_for_writing

    if thorough and windows is not None:
        raise click.UsageError("--thorough analyses all windows: leave --windows out")
    if dask is not None and workers is not None:
        raise click.UsageError("--workers is for this machine: give `dask worker` its --nthreads")
    options = Options(
        model=model,
        windows=ALL_WINDOWS if thorough else windows,
        workers=workers or 0,
        dask=dask,
        limits=Limits(wall_s=timeout, cpu_s=timeout + 1, memory_bytes=memory << 20),
        retry_failed=retry_failed,
        empty_is_gone=empty_is_gone,
        include_hidden=include_hidden,
        reread_tags=reread_tags,
        stop_after_s=stop_after,
    )
    with clean_end() as signals, progress_bar() as show:
        library = open_library_for_writing(catalog, create=True)
        try:
            summary = index_paths(
                library,
                paths,
                options=options,
                on_progress=lambda progress: _show(progress, show),
                interrupted=lambda: bool(signals),
            )
        finally:
            library.close()
    _print_summary(summary, as_json=as_json)
    if signals:
        print_message(
            f"interrupted with {summary.waiting} files to go: run the same command to go on"
        )
        sys.exit(128 + signals[0])


@click.command(epilog="Example: soundalike add upload.mp3 --key user-42/upload-7")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--key", help="Your own name for the track; for one FILE.")
@catalog_option
@count_option
@limit_options
@json_option
def add(
    files: tuple[str, ...],
    key: str | None,
    catalog: str,
    count: int,
    timeout: int,
    memory: int,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Index new files and print the neighbours of each."""
    from indexer.analysis.sandbox import Limits
    from indexer.indexing.pipeline import Options, index_paths
    from indexer.library_on_server import open_library_for_writing
    from recommender.engine import Recommender

    if key is not None and len(files) != 1:
        raise click.UsageError("--key names one file: give one FILE")
    for file in files:
        if os.path.isdir(file):
            raise click.UsageError(f"{file} is a folder: use `soundalike index`")
    limits = Limits(wall_s=timeout, cpu_s=timeout + 1, memory_bytes=memory << 20)
    paths = [absolute_path(file) for file in files]
    library = open_library_for_writing(catalog, create=True)
    try:
        index_paths(
            library,
            paths,
            options=Options(limits=limits, retry_failed=True),
            keys={} if key is None else {paths[0]: key},
        )
    finally:
        library.close()
    answers: list[Answer] = []
    failed: list[str] = []
    with Recommender.open(catalog) as recommender:
        for path in paths:
            try:
                track = recommender.track(path)
            except UnknownTrack as error:
                failed.append(str(error))
            else:
                answers.append(recommender.similar_to_track(track.id, count))
    if as_json:
        print_json({"answers": [answer.to_json() for answer in answers], "failures": failed})
    else:
        for answer in answers:
            print_answer(answer, as_json=False)
    for failure in failed:
        print_message(failure)
    if failed:
        sys.exit(1)


@click.command(epilog="Example: soundalike remove 'artist - title' 17 /music/unwanted.mp3")
@click.argument("queries", nargs=-1, required=True, metavar="QUERY...")
@catalog_option
@json_option
def remove(queries: tuple[str, ...], catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """Take tracks out of the catalog. Their files are not touched.

    A QUERY is an id, key, path or part of "artist - title". Later runs of `index` pass these files
    over; naming the file itself (`add FILE`) brings the track back under its old id.
    """
    from indexer.catalog import writer
    from indexer.catalog.status import TrackStatus
    from indexer.library_on_server import open_library_for_writing
    from recommender.retrieval.lookup import find_track

    library = open_library_for_writing(catalog)
    try:
        tracks = [find_track(library.catalog, query) for query in queries]
        with library.catalog.alone(), library.catalog.writing() as connection:
            writer.set_status(connection, [track.id for track in tracks], TrackStatus.REMOVED)
    finally:
        library.close()
    if as_json:
        print_json({"removed": [track.id for track in tracks]})
        return
    for track in tracks:
        click.echo(f"removed {track.id}  {track_cell(track)}")


def _print_summary(summary: Summary, *, as_json: bool) -> None:
    for note in summary.notes():
        print_message(note)
    counts = summary.counts()
    if as_json:
        print_json({**counts, "seconds": round(summary.seconds, 3)})
        return
    always = ("new", "changed", "moved", "missing", "failed")
    shown = {name: count for name, count in counts.items() if count or name in always}
    parts = [f"{count} {name.replace('_', ' ')}" for name, count in shown.items()]
    if summary.other_files:
        parts.append(f"{summary.other_files} other files passed over")
    click.echo(f"{', '.join(parts)} in {duration(summary.seconds)}")


def _show(progress: Progress, show: ShowProgress) -> None:
    if progress.total:
        show("indexing", progress.done, progress.total, f", {progress.failed} failed")
    else:
        show("scanning", progress.scanned, 0)
