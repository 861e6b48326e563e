"""Endpoints of the server itself: what it is, who may ask, whether it indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recommender.server.opensubsonic.authentication import USER
from recommender.server.opensubsonic.refusals import NOT_ALLOWED, Refused

if TYPE_CHECKING:
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

EXTENSIONS = (
    "apiKeyAuthentication",
    "formPost",
    "songLyrics",
    "sonicSimilarity",
    "topSongsByArtistId",
    "transcodeOffset",
)
"""Extensions of the protocol, all in their first version."""
MUSIC_FOLDER = {"id": 1, "name": "Music"}
"""The one folder: all that is in the catalog."""
ALLOWED = ("download", "stream")
ROLES = (
    *("admin", "settings", "download", "upload", "playlist", "coverArt", "comment", "podcast"),
    *("stream", "jukebox", "share", "videoConversion"),
)
"""What the protocol allows users or not."""


def ping(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """Say that the login is right."""
    return {}


def get_license(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """Say that no licence is needed."""
    return {"license": {"valid": True}}


def get_extensions(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """Extensions of the protocol that this server has."""
    return {"openSubsonicExtensions": [{"name": name, "versions": [1]} for name in EXTENSIONS]}


def token_info(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """The user to whom the key belongs."""
    return {"tokenInfo": {"username": USER}}


def get_music_folders(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """The one folder of this library."""
    return {"musicFolders": {"musicFolder": [MUSIC_FOLDER]}}


def get_user(_server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """What the one user may do: listen."""
    name = parameters.required("username")
    if name != USER:
        raise Refused(NOT_ALLOWED, f"the one user is {USER}")
    return {"user": _user()}


def get_users(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """The one user."""
    return {"users": {"user": [_user()]}}


def get_scan_status(server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """Whether tracks are being indexed, and how many there are."""
    scanning = server.context.index_runs.is_running
    return {"scanStatus": {"scanning": scanning, "count": len(server.tree.songs)}}


def _user() -> dict[str, Any]:
    return {
        "username": USER,
        **{f"{role}Role": role in ALLOWED for role in ROLES},
        "scrobblingEnabled": False,
        "folder": [MUSIC_FOLDER["id"]],
    }


ENDPOINTS = {
    "ping": ping,
    "getLicense": get_license,
    "getOpenSubsonicExtensions": get_extensions,
    "tokenInfo": token_info,
    "getMusicFolders": get_music_folders,
    "getUser": get_user,
    "getUsers": get_users,
    "getScanStatus": get_scan_status,
}
