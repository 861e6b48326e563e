"""Routes of the map: coordinates of all tracks as bytes, and what their groups are."""

from __future__ import annotations

import struct
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from recommender.collection.kept_map import NO_GROUP, KeptMap
from recommender.server.api.answers import example, problems
from recommender.server.caching import etag_fits
from recommender.server.context import Server

router = APIRouter(tags=["map"])

MAGIC = b"SLKMAP01"
HEADER = struct.Struct("<8sII")
"""Magic bytes, version, number of tracks."""
COLOURS = (
    "#436fde",
    "#de7a16",
    "#4ea664",
    "#d32c21",
    "#bc7ad3",
    "#167a00",
    "#b143b1",
    "#7a5985",
)
"""Colours of the groups: of a contrast of 3 to white and to near-black, and as far apart for people
who see fewer colours as those of Okabe & Ito (2008) are."""
OTHER_COLOUR = "#80878f"
RETRY_S = 2


class Group(BaseModel):
    """A genre or cluster; `x` and `y` are where its tracks lie closest, null where it has none."""

    name: str
    tracks: int
    x: float | None
    y: float | None
    color: str = Field(examples=["#436fde"])


class Groups(BaseModel):
    """What the numbers of groups in `map` mean: positions in `groups`, the last one 255."""

    by: Literal["genre", "cluster"] | None
    groups: list[Group]
    total: int
    version: int | None
    state: Literal["ready", "computing"]
    updating: bool = Field(description="Whether a newer map is being computed.")
    note: str | None


@router.get(
    "/map",
    summary="Coordinates of all tracks",
    response_class=Response,
    responses={
        200: {
            "description": "Little endian: bytes SLKMAP01, uint32 version, uint32 n, n pairs of "
            "float32 x and y from -1 to 1, n int32 track ids, n uint8 groups (255: in none).",
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "SLKMAP01...",
                }
            },
        },
        202: {
            "description": "It is being computed: ask again.",
            "content": {"application/json": {"example": {"state": "computing"}}},
        },
        304: {"description": "The client has it."},
        **problems(422, 503),
    },
)
def library_map(
    server: Server, if_none_match: Annotated[str | None, Header(max_length=1_000)] = None
) -> Response:
    """The map that the page draws; tracks that sound alike lie near each other."""
    found = server.library_map.current()
    if found is None:
        return JSONResponse({"state": "computing"}, 202, {"Retry-After": str(RETRY_S)})
    headers = {"ETag": f'"{found.version:08x}"', "Cache-Control": "private, no-cache"}
    if etag_fits(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(pack(found), headers=headers, media_type="application/octet-stream")


GROUPS = {
    "by": "genre",
    "groups": [{"name": "Jazz", "tracks": 412, "x": -0.4, "y": 0.1, "color": COLOURS[0]}],
    "total": 412,
    "version": 3735928559,
    "state": "ready",
    "updating": False,
    "note": None,
}
"""An answer, for the OpenAPI document."""


@router.get(
    "/map/groups", summary="Groups of the map", responses=example(GROUPS) | problems(422, 503)
)
def groups(server: Server) -> Groups:
    """Names, sizes, centres and colours of the groups that tracks of the map belong to."""
    found = server.library_map.current()
    if found is None:
        return Groups(
            by=None,
            groups=[],
            total=len(server.recommender),
            version=None,
            state="computing",
            updating=True,
            note="The map is being computed; a large library takes a minute or two.",
        )
    return Groups(
        by=found.groups.by,
        groups=[Group(**one) for one in describe(found)],
        total=len(found.ids),
        version=found.version,
        state="ready",
        updating=server.library_map.is_updating,
        note=None,
    )


def pack(found: KeptMap) -> bytes:
    """A map in the format of `GET map`."""
    return b"".join(
        (
            HEADER.pack(MAGIC, found.version, len(found.ids)),
            found.xy.astype("<f4").tobytes(),
            found.ids.astype("<i4").tobytes(),
            found.groups.of_track.tobytes(),
        )
    )


def describe(found: KeptMap) -> list[dict[str, Any]]:
    """The groups of a map, and last those tracks that are in none of them, if there are any."""
    sizes = np.bincount(found.groups.of_track, minlength=NO_GROUP + 1).tolist()
    described: list[dict[str, Any]] = []
    for number, name in enumerate(found.groups.names):
        x, y = found.centre(number) if sizes[number] else (None, None)
        described.append(
            {"name": name, "tracks": sizes[number], "x": x, "y": y, "color": COLOURS[number]}
        )
    if sizes[NO_GROUP]:
        other = {"name": "other", "tracks": sizes[NO_GROUP], "color": OTHER_COLOUR}
        described.append({**other, "x": None, "y": None})
    return described
