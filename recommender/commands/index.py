"""Commands that change what a catalog holds: index, add, remove."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from indexer.errors import UnknownTrack
from indexer.filesystem import display_path
from recommender.commands.options import (
    as_seconds,
    catalog_option,
    count_option,
    json_option,
    limit_options,
    workers_option,
)
from recommender.commands.output import duration, print_answer, print_json, say
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.indexing.pipeline import Summary
    from indexer.indexing.run import Progress
    from recommender.retrieval.answers import Answer


@click.command(
    epilog="Example: soundalike index ~/Music /mnt/share/new --stop-after 2h",
)
@click.argument("paths", nargs=-1)
@catalog_option
@workers_option
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    help="Windows heard per track, each as long as the model hears at once.  [default: as many as "
    "the catalog's tracks were heard through; in a new one, as make 36 s]",
)
@click.option("--thorough", is_flag=True, help="Hear all of every track.")
@click.option(
    "--model",
    help="The model to embed with. Another one than the catalog's hears everything again beside "
    "the old vectors, and takes over when it is done.",
)
@click.option("--retry-failed", is_flag=True, help="Try files again that failed before.")
@click.option("--empty-is-gone", is_flag=True, help="An empty folder has really lost its tracks.")
@click.option("--stop-after", callback=as_seconds, help="End cleanly after this time, e.g. 2h.")
@limit_options
@json_option
def index(
    paths: tuple[str, ...],
    catalog: str,
    workers: int | None,
    windows: int | None,
    thorough: bool,  # noqa: FBT001 - click hands flags over by name
    model: str | None,
    retry_failed: bool,  # noqa: FBT001
    empty_is_gone: bool,  # noqa: FBT001
    stop_after: float | None,
    timeout: int,
    memory: int,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Bring the catalog up to date with folders and files.

    Without PATHS, with every folder indexed before. Unchanged files cost next to nothing, so run
    it as often as you like; an interrupted run goes on where it stopped.
    """
    from indexer.analysis.sandbox import Limits
    from indexer.analysis.track_analysis import ALL_WINDOWS
    from indexer.indexing.pipeline import Options, index_paths
    from indexer.library import Library

    if thorough and windows is not None:
        raise click.UsageError("--thorough hears all windows: leave --windows out")
    options = Options(
        model=model,
        windows=ALL_WINDOWS if thorough else windows,
        workers=workers or 0,
        limits=Limits(wall_s=timeout, cpu_s=timeout + 1, memory_bytes=memory << 20),
        retry_failed=retry_failed,
        empty_is_gone=empty_is_gone,
        stop_after_s=stop_after,
    )
    with _signals() as signals, _progress() as on_progress:
        library = Library.open_for_writing(catalog, create=True)
        try:
            summary = index_paths(
                library,
                paths,
                options=options,
                on_progress=on_progress,
                interrupted=lambda: bool(signals),
            )
        finally:
            library.close()
    _tell(summary, as_json=as_json)
    if signals:
        say(f"interrupted with {summary.waiting} files to go: run the same command to go on")
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
    """Index new files and print the neighbours of each at once."""
    from indexer.analysis.sandbox import Limits
    from indexer.indexing.pipeline import Options, index_paths
    from indexer.library import Library
    from recommender.engine import Recommender

    if key is not None and len(files) != 1:
        raise click.UsageError("--key names one file: give one FILE")
    for file in files:
        if os.path.isdir(file):
            raise click.UsageError(f"{file} is a folder: use `soundalike index`")
    limits = Limits(wall_s=timeout, cpu_s=timeout + 1, memory_bytes=memory << 20)
    paths = [os.path.abspath(os.fsencode(file)) for file in files]
    library = Library.open_for_writing(catalog, create=True)
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
        say(failure)
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
    from indexer.library import Library
    from recommender.retrieval.lookup import describe, find_track

    library = Library.open_for_writing(catalog)
    try:
        tracks = [find_track(library.catalog, query) for query in queries]
        with library.catalog.writing() as connection:
            writer.set_status(connection, [track.id for track in tracks], TrackStatus.REMOVED)
        library.refresh()
    finally:
        library.close()
    if as_json:
        print_json({"removed": [track.id for track in tracks]})
        return
    for track in tracks:
        click.echo(f"removed {describe(track)}")


def _tell(summary: Summary, *, as_json: bool) -> None:
    for place, count in summary.left_alone.items():
        name = display_path(place)
        why = summary.unreachable.get(place)
        state = (
            f"cannot be reached ({why})" if why else "is empty (--empty-is-gone if it really is)"
        )
        left = "is left as it is" if count == 1 else "are left as they are"
        say(f"{name} {state}: its {count_noun(count, 'track')} {left}")
    if summary.other_windows is not None:
        heard = summary.other_windows or "all"
        say(f"tracks that were indexed before keep the {heard} windows they were heard through")
    said = {str(kind): summary.stored[kind] for kind in summary.stored}
    counts = {
        "new": said.get("new", 0),
        "changed": said.get("changed", 0),
        "moved": said.get("moved", 0),
        "retagged": said.get("retagged", 0),
        "returned": said.get("returned", 0),
        "described": said.get("described", 0),
        "missing": summary.missing,
        "failed": summary.failed,
        "unchanged": summary.unchanged + said.get("touched", 0),
        "failed before": summary.failed_before,
        "waiting": summary.waiting,
    }
    if as_json:
        named = {name.replace(" ", "_"): count for name, count in counts.items()}
        print_json({**named, "seconds": round(summary.seconds, 3)})
        return
    always = ("new", "changed", "moved", "missing", "failed")
    told = [f"{count} {name}" for name, count in counts.items() if count or name in always]
    if summary.other_files:
        told.append(f"{summary.other_files} other files passed over")
    click.echo(f"{', '.join(told)} in {duration(summary.seconds)}")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the first Ctrl-C or SIGTERM for a clean end; a second one ends at once."""
    caught: list[int] = []

    def note(number: int, _frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        say("stopping when the files in hand are written; once more stops at once")

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr with done, failed, rate and time left; nothing where it is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        scanning = bar.add_task("scanning", total=None, counts="")
        indexing = bar.add_task("indexing", total=None, counts="", visible=False)

        def show(progress: Progress) -> None:
            if not progress.total:
                bar.update(scanning, counts=f"{progress.scanned} files")
                return
            speed = bar.tasks[indexing].speed
            rate = f", {speed:.1f} tracks/s" if speed else ""
            bar.update(scanning, visible=False)
            bar.update(
                indexing,
                visible=True,
                completed=progress.done,
                total=progress.total,
                counts=f"{progress.done} of {progress.total}, {progress.failed} failed{rate}",
            )

        yield show
