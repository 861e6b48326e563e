"""The routes: what plugins for AudioMuse-AI ask, with its names, defaults and statuses.

Errors are `{"error": "..."}`, with 400 for what is missing in a request and 404 for a song that is
not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from indexer.errors import SoundalikeError, UnknownTrack
from recommender.players.paths import path_of_at_most
from recommender.players.similarity import similarities
from recommender.retrieval.lookup import require_present
from recommender.retrieval.ranking import PLAIN, Ranking
from recommender.retrieval.song_matching import SongDescription
from recommender.server.api.answers import json_response
from recommender.server.audiomuse.rows import track_row, track_rows
from recommender.server.error_handlers import private_folders
from recommender.server.problems import status_of, without_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from indexer.catalog.records import Track
    from recommender.players.song_ids.id_map import IdMap
    from recommender.server.context import Context

MOST = 500
"""Tracks of an answer."""
LONGEST_TEXT = 500
FARTHEST = 10_000
"""Tracks of a search that pages reach."""
PER_ARTIST = Ranking(per_artist=3)
"""What AudioMuse-AI calls `eliminate_duplicates`."""
PATH_SONGS = 25
OTHER_SEEDS = ("mood", "centroid_index", "anchor_id")
OTHER_ENDS = ("start_mood", "end_mood", "start_anchor", "end_anchor")


class _Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def audiomuse_routes(context: Context) -> list[Route]:
    """The routes, outside of our own API and its document."""
    answers = {
        "health": _health,
        "active_tasks": _active_tasks,
        "search_tracks": _search_tracks,
        "similar_tracks": _similar_tracks,
        "find_path": _find_path,
        "track": _track,
    }
    return [
        Route(f"/api/{name}", _answering(context, answer), include_in_schema=False)
        for name, answer in answers.items()
    ]


def _answering(
    context: Context, answer: Callable[[Context, Mapping[str, str]], Any]
) -> Callable[[Request], Response]:
    """A function that answers requests, which the server calls in a thread."""

    def respond(request: Request) -> Response:
        try:
            return json_response(answer(context, request.query_params))
        except _Refused as refused:
            return json_response({"error": str(refused)}, status=refused.status)
        except SoundalikeError as error:
            said = without_paths(str(error), private_folders(context))
            return json_response({"error": said}, status=status_of(error))

    return respond


def _health(_context: Context, _query: Mapping[str, str]) -> Any:
    return {"status": "ok"}


def _active_tasks(_context: Context, _query: Mapping[str, str]) -> Any:
    """None: index runs are begun and watched elsewhere. Plugins test their connection by this."""
    return {}


def _search_tracks(context: Context, query: Mapping[str, str]) -> Any:
    text = query.get("search_query") or f"{query.get('artist', '')} {query.get('title', '')}"
    start = max(0, _number(query, "start", 0))
    end = _number(query, "end", start + 20)
    wanted = min(end - start, MOST)
    is_empty = not text.strip() or wanted < 1 or start >= FARTHEST
    if is_empty or not len(context.recommender):
        return []
    ids = context.song_ids.present()
    found = context.recommender.browse(text[:LONGEST_TEXT], start + wanted, where=ids.where)
    return [
        track_row(track, item_id)
        for track in found.tracks[start:]
        if (item_id := ids.song_id(track.id)) is not None
    ]


def _similar_tracks(context: Context, query: Mapping[str, str]) -> Any:
    ids = context.song_ids.present()
    seeds = _seeds(context, query, ids)
    count = min(max(1, _number(query, "n", 10)), MOST)
    ranking = PER_ARTIST if _flag(query, "eliminate_duplicates", default=True) else PLAIN
    answer = context.recommender.similar_to_tracks(
        [seed.id for seed in seeds], n=count, where=ids.where, ranking=ranking
    )
    tracks = context.recommender.tracks([one.id for one in answer])
    distances = _distances(context, [one.cosine for one in answer])
    rows = track_rows(zip(tracks, distances, strict=True), ids)
    if not rows:
        raise _Refused(404, "no other track is known here")
    return rows


def _seeds(context: Context, query: Mapping[str, str], ids: IdMap) -> list[Track]:
    if query.get("item_id"):
        return [_track_of(context, query["item_id"], ids)]
    title, artist = query.get("title"), query.get("artist")
    if title and artist:
        song = SongDescription(title=title[:LONGEST_TEXT], artists=(artist[:LONGEST_TEXT],))
        found = context.recommender.matching_tracks(song)
        if not found:
            raise _Refused(404, "no track here has this title and artist")
        return found
    if any(query.get(name) for name in OTHER_SEEDS):
        raise _Refused(400, "moods and anchors are not known here: name an item_id")
    raise _Refused(400, "name an item_id, or title and artist")


def _find_path(context: Context, query: Mapping[str, str]) -> Any:
    if any(query.get(name) for name in OTHER_ENDS):
        raise _Refused(400, "moods and anchors are not known here: both ends are songs")
    names = query.get("start_song_id"), query.get("end_song_id")
    if not all(names):
        raise _Refused(400, "name start_song_id and end_song_id")
    ids = context.song_ids.present()
    start, end = (_track_of(context, name or "", ids) for name in names)
    if start.id == end.id:
        raise _Refused(400, "start and end are the same song")
    count = max(2, _number(query, "max_steps", PATH_SONGS))
    path = path_of_at_most(context.recommender, start, end, count, where=ids.where)
    distances = [0.0, *_distances(context, [entry.to_seed for entry in path[1:]])]
    rows = track_rows(zip(path.tracks, distances, strict=True), ids)
    steps = [entry.to_previous for entry in path if entry.to_previous is not None]
    return {"path": rows, "total_distance": sum(_distances(context, steps))}


def _distances(context: Context, cosines: Sequence[float]) -> list[float]:
    """0 the same, 1 the most different."""
    return [1.0 - score for score in similarities(context.recommender, cosines)]


def _track(context: Context, query: Mapping[str, str]) -> Any:
    item_id = query.get("item_id")
    if not item_id:
        raise _Refused(400, "name an item_id")
    ids = context.song_ids.present()
    return track_row(_track_of(context, item_id, ids), ids.as_imported(item_id))


def _track_of(context: Context, item_id: str, ids: IdMap) -> Track:
    """The present track that an id of the asking server names."""
    track_id = ids.track_id(item_id)
    try:
        return require_present(context.recommender.track(-1 if track_id is None else track_id))
    except UnknownTrack as error:
        raise _Refused(
            404, "no track here has this item_id: `soundalike import-ids` reads the ids of a server"
        ) from error


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of a query; the default where there is none, as AudioMuse-AI takes it."""
    try:
        return int(query.get(name, "")[:20])
    except ValueError:
        return default


def _flag(query: Mapping[str, str], name: str, *, default: bool) -> bool:
    given = query.get(name)
    return default if given is None else given.lower() == "true"
