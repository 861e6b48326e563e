"""Routes on the whole library: clusters, duplicates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from recommender.collection.clusters import Clusters
from recommender.server.api.answers import (
    TrackFacts,
    example,
    json_response,
    problems,
    track_facts,
)
from recommender.server.context import Server

router = APIRouter(tags=["collection"])


class ClusterTag(BaseModel):
    """A tag that sets a cluster apart."""

    tag: str
    probability: float
    lift: float


class CentralTrack(BaseModel):
    """A track near the middle of a cluster."""

    id: int
    name: str
    cosine: float


class ClusterFacts(BaseModel):
    """Tracks that sound alike, most central first."""

    number: int
    name: str
    tags: list[ClusterTag]
    moods: list[ClusterTag]
    central: list[CentralTrack]
    ids: list[int]


class ClustersAnswer(BaseModel):
    """The clusters of a library, largest first."""

    method: str
    clusters: list[ClusterFacts]
    noise: list[int]
    silhouette: float | None


class DuplicateGroup(BaseModel):
    """Tracks that may be one recording or takes of one piece."""

    cosine: float
    tracks: list[TrackFacts]


class DuplicatesAnswer(BaseModel):
    """Groups of near-duplicates, nearest first, as the catalog alone tells them."""

    groups: list[DuplicateGroup]
    note: str | None


@router.get(
    "/clusters",
    summary="Clusters that sound alike",
    response_model=ClustersAnswer,
    responses=example(
        {
            "method": "kmeans",
            "clusters": [
                {
                    "number": 1,
                    "name": "piano, calm",
                    "tags": [{"tag": "piano", "probability": 0.61, "lift": 4.2}],
                    "moods": [],
                    "central": [{"id": 17, "name": "Miles Davis - So What", "cosine": 0.93}],
                    "ids": [17, 18],
                }
            ],
            "noise": [],
            "silhouette": 0.21,
        }
    )
    | problems(422, 503),
)
async def clusters(
    server: Server,
    method: Literal["kmeans", "hdbscan"] = "kmeans",
    count: Annotated[int | None, Query(ge=1, le=200)] = None,
    random_state: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """Groups of tracks named by their most distinctive tags, as `soundalike clusters --json`."""
    found = await server.slow_work.run(
        _clusters, server.catalog.address, method, count, random_state
    )
    return json_response(found.to_json(), keep=True)


def _clusters(catalog: str, method: str, count: int | None, random_state: int) -> Clusters:
    from recommender.collection.clusters import find_clusters
    from recommender.engine import Recommender

    with Recommender.open(catalog) as recommender:
        return find_clusters(recommender, method=method, count=count, random_state=random_state)


@router.get(
    "/duplicates",
    summary="Near-duplicates",
    response_model=DuplicatesAnswer,
    responses=example({"groups": [], "note": None}) | problems(422, 503),
)
async def duplicates(server: Server) -> Response:
    """Tracks that are near-duplicates by embedding, duration and name; nothing is decoded.

    `soundalike duplicates` also aligns the sound of both files and says which are sure.
    """
    groups = await server.slow_work.run(_duplicates, server.catalog.address)
    return json_response(
        {
            "groups": groups,
            "note": None if groups else "no two tracks are near-duplicates of each other",
        },
        keep=True,
    )


def _duplicates(catalog: str) -> list[dict[str, Any]]:
    from recommender.collection.duplicates import find_duplicates
    from recommender.engine import Recommender

    with Recommender.open(catalog) as recommender:
        found = find_duplicates(recommender, most_files=0, workers=1)
    groups = [
        {
            "cosine": max((one.cosine for one in group.evidence), default=1.0),
            "tracks": [track_facts(track) for track in group.tracks],
        }
        for group in found.groups
    ]
    return sorted(groups, key=lambda group: -group["cosine"])
