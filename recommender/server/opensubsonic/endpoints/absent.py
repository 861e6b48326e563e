"""Endpoints of what this server has none of: podcasts, web radio, bookmarks, videos, play queues.

Clients that copy a whole server, such as Music Assistant, ask for these too and stop at an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recommender.server.opensubsonic.authentication import USER
from recommender.server.opensubsonic.entries import time_text
from recommender.server.opensubsonic.refusals import NOT_FOUND, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

LISTS = {
    "getBookmarks": ("bookmarks", "bookmark"),
    "getInternetRadioStations": ("internetRadioStations", "internetRadioStation"),
    "getNewestPodcasts": ("newestPodcasts", "episode"),
    "getShares": ("shares", "share"),
    "getVideos": ("videos", "video"),
}
"""What an answer holds, and what that is a list of."""


def get_podcasts(_server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """No podcasts; one that is named is not found."""
    if parameters.text("id"):
        raise Refused(NOT_FOUND, "soundalike has no podcasts")
    return {"podcasts": {"channel": []}}


def get_play_queue(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """An empty play queue, since none is kept: players ask for it when they start."""
    queue = {"username": USER, "changed": time_text(0), "changedBy": "", "entry": []}
    return {"playQueue": queue}


def _nothing(holds: str, of: str) -> Callable[[RestServer, Parameters], dict[str, Any]]:
    """An endpoint whose list is empty."""

    def answer(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
        return {holds: {of: []}}

    return answer


ENDPOINTS = {
    "getPlayQueue": get_play_queue,
    "getPodcasts": get_podcasts,
    **{name: _nothing(holds, of) for name, (holds, of) in LISTS.items()},
}
