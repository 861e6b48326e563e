"""Commands on a whole library: clusters, duplicates, evaluate."""

from __future__ import annotations

import re
import shutil
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexer.filesystem import display_path
from recommender.commands.options.shared import (
    catalog_option,
    json_option,
    random_state_option,
    workers_option,
)
from recommender.commands.terminal.output import duration, print_json, print_message, printable
from recommender.commands.terminal.progress import progress_bar
from recommender.commands.terminal.tables import print_table, track_cell
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.collection.clusters import Cluster, Clusters
    from recommender.collection.duplicates import Duplicates, Evidence, Group
    from recommender.evaluation.library_check import Finding

TAGS = 3
CENTRAL = 3
LONGEST_LINE = 92
"""Characters; fewer on a narrower terminal."""


@click.command(epilog="Example: soundalike clusters --count 12 --playlists ~/Music/clusters")
@catalog_option
@click.option(
    "--method",
    type=click.Choice(("kmeans", "hdbscan")),
    default="kmeans",
    show_default=True,
    help="k-means assigns every track; HDBSCAN leaves out those between the clusters.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    help="How many clusters k-means makes. [default: as many as have the best silhouette]",
)
@random_state_option
@click.option(
    "--playlists",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write each cluster as an M3U8 into this folder, most central tracks first.",
)
@json_option
def clusters(
    catalog: str,
    method: str,
    count: int | None,
    random_state: int,
    playlists: Path | None,
    as_json: bool,  # noqa: FBT001 - click hands flags over by name
) -> None:
    """Sort the library into clusters that sound alike, named by their most distinctive tags."""
    from recommender.collection.clusters import find_clusters
    from recommender.engine import Recommender

    with Recommender.open(catalog) as recommender:
        found = find_clusters(recommender, method=method, count=count, random_state=random_state)
        if playlists:
            from recommender.playlists.files import write_m3u8

            playlists.mkdir(parents=True, exist_ok=True)
            for cluster in found.clusters:
                write_m3u8(
                    recommender.tracks(cluster.ids),
                    playlists / _file_name(cluster),
                    relative_to=None,
                    title=cluster.name,
                )
            print_message(f"{len(found.clusters)} playlists in {playlists}")
    if as_json:
        print_json(found.to_json())
    else:
        _print_clusters(found)


def _print_clusters(found: Clusters) -> None:
    print_table(
        ("", "cluster", "tracks", "tags (lift)", "most central"),
        [
            (
                one.number,
                one.name,
                len(one.ids),
                ", ".join(f"{tag.tag} {tag.lift:.1f}" for tag in one.tags[:TAGS]),
                "; ".join(track.name for track in one.central[:CENTRAL]),
            )
            for one in found.clusters
        ],
    )
    if found.method == "hdbscan":
        verb = "is" if len(found.noise) == 1 else "are"
        click.echo(f"{count_noun(len(found.noise), 'track')} {verb} between the clusters")
    if found.silhouette is not None:
        click.echo(f"silhouette {found.silhouette:.2f} (1: far apart, 0: they touch)")


def _file_name(cluster: Cluster) -> str:
    words = re.sub(r"[^\w &'.,+-]", "_", cluster.name)
    return f"{cluster.number:02} {words}.m3u8"


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


@click.command(epilog="Example: soundalike evaluate --sample 50")
@catalog_option
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Tracks to decode and degrade, some seconds each; 0 for none.",
)
@random_state_option
@json_option
def evaluate(
    catalog: str,
    sample: int,
    random_state: int,
    as_json: bool,  # noqa: FBT001 - click hands flags over by name
) -> None:
    """Check the answers on your own music, without labels.

    Parts and new encodings of a sample of tracks are looked up. The neighbours of all tracks are
    counted: how many share an album or an artist, which tracks are in most answers, which in none.
    """
    from recommender.engine import Recommender
    from recommender.evaluation.library_check import check_library

    with Recommender.open(catalog) as recommender, progress_bar() as progress:
        findings = check_library(
            recommender, sample=sample, random_state=random_state, progress=progress
        )
        model, tracks = recommender.model.name, len(recommender)
    if as_json:
        plain = {one.key: {**one.figures, **_words(one)} for one in findings}
        print_json(
            {
                "catalog": catalog,
                "model": model,
                "tracks": tracks,
                "random_state": random_state,
                "findings": plain,
            }
        )
        return
    click.echo(f"{tracks} tracks, model {printable(model)}")
    for finding in findings:
        _print_finding(finding)
    unusual = [finding.title for finding in findings if finding.is_typical is False]
    verdict = f"unusual: {', '.join(unusual)}" if unusual else "nothing unusual"
    click.echo(f"\n{verdict}")


def _words(finding: Finding) -> dict[str, object]:
    words = asdict(finding)
    return {name: words[name] for name in ("title", "value", "meaning", "is_typical")}


def _print_finding(finding: Finding) -> None:
    width = min(LONGEST_LINE, shutil.get_terminal_size((LONGEST_LINE, 24)).columns)
    mark = "!" if finding.is_typical is False else " "
    click.echo()
    click.echo(f"{mark} {finding.title}: {printable(finding.value)}")
    click.echo(
        textwrap.fill(
            printable(finding.meaning), width, initial_indent="    ", subsequent_indent="    "
        )
    )
