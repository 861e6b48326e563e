"""The command that clusters a library: clusters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recommender.commands.options.shared import catalog_option, json_option, random_state_option
from recommender.commands.terminal.output import print_json, print_message
from recommender.commands.terminal.tables import print_table
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from recommender.collection.clusters import Cluster, Clusters

TAGS = 3
CENTRAL = 3


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
        _print(found)


def _print(found: Clusters) -> None:
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
