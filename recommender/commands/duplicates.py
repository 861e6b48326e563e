"""The command that lists near-duplicates: duplicates."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from indexer.filesystem import display_path
from recommender.commands.options.shared import catalog_option, json_option, workers_option
from recommender.commands.terminal.output import duration, print_json, print_message
from recommender.commands.terminal.progress import progress_bar
from recommender.commands.terminal.tables import print_table, track_cell
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.collection.duplicates import Duplicates, Evidence, Group


@click.command(epilog="Example: soundalike duplicates --sure --json > duplicates.json")
@click.option(
    "--sure",
    is_flag=True,
    help="Only copies of one recording, not likely takes and mixes of one piece.",
)
@click.option(
    "--max-files",
    type=click.IntRange(0),
    default=20_000,
    show_default=True,
    help="Files to decode and align at most, those of the closest pairs first.",
)
@workers_option
@catalog_option
@json_option
def duplicates(
    sure: bool,  # noqa: FBT001 - click hands flags over by name
    max_files: int,
    workers: int | None,
    catalog: str,
    as_json: bool,  # noqa: FBT001
) -> None:
    """List near-duplicates in groups, with the evidence; nothing is changed or deleted.

    Sure ones are one recording: copied, encoded again, cut, louder or softer. Likely ones are
    other takes and mixes. Candidate pairs come from the catalog; then their files are decoded and
    aligned.
    """
    from recommender.collection.duplicates import find_duplicates
    from recommender.engine import Recommender

    with Recommender.open(catalog) as recommender, progress_bar() as show:
        found = find_duplicates(
            recommender,
            most_files=max_files,
            workers=workers or 0,
            on_progress=lambda done, total: show("aligning", done, total),
        )
    groups = [group for group in found.groups if group.sure or not sure]
    for track, why in found.failures:
        print_message(f"track {track.id} was not decoded: {why}")
    # Who asks for none has chosen so.
    if found.not_decoded and max_files:
        print_message(
            f"{count_noun(found.not_decoded, 'candidate file')} more not decoded: "
            f"raise --max-files to {found.decoded + len(found.failures) + found.not_decoded}"
        )
    if as_json:
        print_json(_as_json(found, groups))
        return
    counts = [sum(group.sure for group in groups), sum(not group.sure for group in groups)]
    kinds = f"{counts[0]} sure" if sure else f"{counts[0]} sure, {counts[1]} likely"
    groups_of_all = "group" if sum(counts) == 1 else "groups"
    click.echo(
        f"{kinds} {groups_of_all} among {count_noun(found.tracks, 'track')}, "
        f"{count_noun(found.decoded, 'file')} decoded"
    )
    if groups:
        click.echo()
        print_table(
            ("group", "kind", "id", "duration", "cosine", "aligned", "shift", "track"),
            [row for number, group in enumerate(groups, 1) for row in _rows(number, group)],
        )


def _rows(number: int, group: Group) -> Iterator[tuple[object, ...]]:
    """A line for each track, with what links it best to those above it."""
    above: set[int] = set()
    for track in group.tracks:
        links = [
            one
            for one in group.evidence
            if {one.first, one.second} - {track.id} <= above and track.id in (one.first, one.second)
        ]
        best = max(links, key=_strength, default=None)
        above.add(track.id)
        yield (
            number if len(above) == 1 else "",
            ("sure" if group.sure else "likely") if len(above) == 1 else "",
            track.id,
            duration(track.duration_s),
            "" if best is None else f"{best.cosine:.3f}",
            "" if best is None else _alignment_cell(best),
            "" if best is None or best.alignment is None else f"{best.alignment.lag_s:+.1f} s",
            track_cell(track),
        )


def _strength(one: Evidence) -> tuple[bool, float, float]:
    return (
        one.same_audio,
        -1.0 if one.alignment is None else one.alignment.correlation,
        one.cosine,
    )


def _alignment_cell(one: Evidence) -> str:
    if one.same_audio:
        return "same audio"
    return "not decoded" if one.alignment is None else f"{one.alignment.correlation:.2f}"


def _as_json(found: Duplicates, groups: list[Group]) -> dict[str, object]:
    return {
        "tracks": found.tracks,
        "candidates": found.candidates,
        "decoded": found.decoded,
        "not_decoded": found.not_decoded,
        "groups": [
            {
                "sure": group.sure,
                "tracks": [
                    {
                        "id": track.id,
                        "key": track.key,
                        "path": display_path(track.path),
                        "artist": track.artist,
                        "title": track.title,
                        "duration_s": track.duration_s,
                    }
                    for track in group.tracks
                ],
                "evidence": [asdict(one) for one in group.evidence],
            }
            for group in groups
        ],
        "failures": [
            {"id": track.id, "path": display_path(track.path), "message": why}
            for track, why in found.failures
        ],
    }
