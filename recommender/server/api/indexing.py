"""Routes for index runs: start, watch, stop; and files that are added to the library."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from indexer.catalog.status import TrackStatus
from recommender.server.api.answers import (
    TRACK,
    Responses,
    TrackFacts,
    example,
    json_response,
    problems,
    track_facts,
)
from recommender.server.context import Context, Server
from recommender.server.error_handlers import private_folders
from recommender.server.indexing.accepted_files import AcceptedFile, AcceptedFiles
from recommender.server.indexing.events import EventStream, indexing_state
from recommender.server.problems import Problem, without_paths
from recommender.server.uploads import analyse, receive, translate_errors

router = APIRouter(tags=["indexing"])

INDEXED_WITHIN_S = 10.0
"""Seconds that a client waits for its file to be indexed before it is told that it is queued."""


class Folder(BaseModel):
    """A folder that can be indexed, by its number."""

    number: int
    name: str


class RunFacts(BaseModel):
    """The index run under way; `total` is 0 while it still looks through the folders."""

    id: str
    folders: list[str]
    started_at: float
    scanned: int
    total: int
    done: int
    failed: int
    seconds: float
    eta_s: float | None


class LastRun(BaseModel):
    """What came of the last index run."""

    ended_at: float
    seconds: float
    outcome: Literal["done", "stopped", "failed"]
    message: str | None
    counts: dict[str, int]


class Indexing(BaseModel):
    """What goes on in the library."""

    state: Literal["idle", "scanning", "running", "stopping"]
    run: RunFacts | None
    last: LastRun | None
    watching: bool
    queued: int
    folders: list[Folder]
    note: str | None


class IndexRequest(BaseModel):
    """Folders to index, by their numbers; none means all."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"folders": [0], "retry_failed": False}}
    )

    folders: Annotated[list[Annotated[int, Field(ge=0, le=10_000)]], Field(max_length=1_000)] = []
    retry_failed: bool = False


class Added(BaseModel):
    """What became of a file that was sent.

    `added`: it is `track`. `known`: its recording was in the library already, as `track`, and the
    file was not kept. `queued`: it is stored, and indexed after the run under way; `id` is what to
    ask for later.
    """

    state: Literal["added", "known", "queued"]
    track: TrackFacts | None
    id: str | None
    note: str | None


_IDLE = {
    "state": "idle",
    "run": None,
    "last": {
        "ended_at": 1.78e9,
        "seconds": 41.5,
        "outcome": "done",
        "message": None,
        "counts": {"new": 48, "changed": 0, "missing": 0, "failed": 1},
    },
    "watching": False,
    "queued": 0,
    "folders": [{"number": 0, "name": "Music"}],
    "note": None,
}
_RUNNING = {
    **_IDLE,
    "state": "scanning",
    "run": {
        "id": "5f3a90c1",
        "folders": ["Music"],
        "started_at": 1.78e9,
        "scanned": 12,
        "total": 0,
        "done": 0,
        "failed": 0,
        "seconds": 0.8,
        "eta_s": None,
    },
    "last": None,
}
_EVENTS: Responses = {
    200: {
        "description": "`indexing`: what GET indexing says, when it changes. `catalog`: the number "
        "of the last change and of tracks, when tracks come or go. `bye`: the server ends.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: catalog\ndata: {"change": 7, "tracks": 48}\n\n',
            }
        },
    }
}
_QUEUED = "it appears when it is indexed"
_ADDED = {"state": "added", "track": TRACK, "id": None, "note": None}
_FILE = {
    "requestBody": {
        "required": True,
        "description": "The file's bytes.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _accepted(value: Any) -> Responses:
    return {202: example(value)[200]}


@router.get("/indexing", summary="What goes on", response_model=Indexing, responses=example(_IDLE))
async def indexing(server: Server) -> Response:
    """The index run under way, what came of the last, and the folders that can be indexed."""
    return json_response(indexing_state(server))


@router.post(
    "/indexing",
    summary="Start an index run",
    status_code=202,
    response_model=Indexing,
    responses=_accepted(_RUNNING) | problems(400, 403, 408, 409, 413, 422),
)
async def start(server: Server, wanted: IndexRequest) -> Response:
    """Look at folders for new, changed and vanished files.

    409 while a run that somebody has asked for is not over.
    """
    folders = server.index_runs.folders
    if not folders:
        raise Problem(403, "no folder may be indexed: start the server with --folder")
    if any(number >= len(folders) for number in wanted.folders):
        raise Problem(422, f"folders: there are {len(folders)}, numbered from 0")
    chosen = [folders[number] for number in wanted.folders] or folders
    if not server.index_runs.ask(chosen, retry_failed=wanted.retry_failed):
        raise Problem(409, "an index run is under way: wait for its end, or stop it")
    return json_response(indexing_state(server), status=202)


@router.delete(
    "/indexing",
    summary="Stop the index run",
    status_code=202,
    response_model=Indexing,
    responses=_accepted(_IDLE),
)
async def stop(server: Server) -> Response:
    """End the run under way when the files in hand are written; without one, nothing happens."""
    server.index_runs.stop()
    return json_response(indexing_state(server), status=202)


@router.get(
    "/indexing/events",
    summary="Be told what goes on",
    status_code=200,
    response_class=EventStream,
    responses=_EVENTS | problems(503),
)
async def events(server: Server) -> Response:
    """Events as they happen, for as long as the client stays; a comment every 15 seconds."""
    return EventStream(server)


@router.post(
    "/tracks",
    summary="Add a file to the library",
    status_code=201,
    response_model=Added,
    responses={
        201: example(_ADDED)[200],
        **_accepted({"state": "queued", "track": None, "id": "0f3a90c1" * 8, "note": None}),
        **example({**_ADDED, "state": "known", "note": "this recording is in the library already"}),
        **problems(400, 403, 408, 409, 413, 422, 503, 507),
    },
    openapi_extra=_FILE,
)
async def add(
    server: Server,
    request: Request,
    name: Annotated[str, Query(max_length=1_000, examples=["song.mp3"])] = "",
    key: Annotated[str | None, Query(min_length=1, max_length=500, examples=["mine"])] = None,
) -> Response:
    """Keep a file in the uploads folder and index it, unless its recording is there already.

    It is analysed first: what cannot be is not kept. What was answered with 201 or 202 outlasts a
    crash of the server.
    """
    files = server.accepted
    if files is None:
        raise Problem(403, "this server takes no files: start it with --uploads FOLDER")
    _require_free_key(server, files, key)
    async with receive(request, files.folder, server.settings.upload, name=name) as part:
        facts = (await analyse(server, part)).facts
        known = server.recommender.track_of_recording(facts.audio_hash)
        if known is not None:
            if key not in (None, known.key):
                raise Problem(409, f"this recording is in the library with the key {known.key}")
            note = "this recording is in the library already: the file was not kept"
            return _answer(200, "known", track=track_facts(known), note=note)
        _require_free_key(server, files, key)
        with translate_errors():
            accepted = await to_thread.run_sync(
                lambda: files.accept(
                    part, container=facts.container, key=key, audio_hash=facts.audio_hash.hex()
                )
            )
    return await _index(server, files, accepted)


@router.get(
    "/uploads/{upload_id}",
    summary="What became of a file that was sent",
    response_model=Added,
    responses=example(_ADDED) | problems(404, 422),
)
async def upload(
    server: Server, upload_id: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
) -> Response:
    """A file that was answered with 202: whether it still waits, or its track.

    404: it waits no longer and is not in the library. GET failures says why, unless it was deleted.
    """
    track = server.recommender.track_of_recording(bytes.fromhex(upload_id))
    if track is not None:
        return _answer(200, "added", track=track_facts(track))
    if server.accepted is not None and server.accepted.find(upload_id):
        return _answer(200, "queued", identity=upload_id, note=_QUEUED)
    raise Problem(404, "the file is not in the library and does not wait: send it again")


async def _index(server: Context, files: AcceptedFiles, accepted: AcceptedFile) -> Response:
    """Index a file that was accepted, and say what came of it within some seconds."""
    path, runs = os.fsencode(accepted.path), server.index_runs
    is_busy = runs.is_running
    runs.add(path, accepted.key)
    if not is_busy:
        with suppress(TimeoutError):
            async with asyncio.timeout(INDEXED_WITHIN_S):
                await runs.wait_for(path)
    if runs.has(path):
        return _answer(202, "queued", identity=accepted.audio_hash, note=_QUEUED)
    track = server.catalog.track_by_path(path)
    if track is not None and track.status == TrackStatus.PRESENT:
        return _answer(201, "added", track=track_facts(track))
    files.discard(accepted)
    failure = server.catalog.failure_of(path)
    why = "the file is gone: send it again" if failure is None else failure.message
    raise Problem(422, without_paths(why, private_folders(server)))


def _require_free_key(server: Context, files: AcceptedFiles, key: str | None) -> None:
    if key is None:
        return
    if server.catalog.track_by_key(key) or any(file.key == key for file in files.pending()):
        raise Problem(409, f"there is a track with the key {key}: choose another one")


def _answer(
    status: int,
    state: str,
    *,
    track: dict[str, Any] | None = None,
    identity: str | None = None,
    note: str | None = None,
) -> Response:
    answer = {"state": state, "track": track, "id": identity, "note": note}
    return json_response(answer, status=status)
