"""Endpoints of the server itself: ping, getLicense, getOpenSubsonicExtensions, tokenInfo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recommender.server.opensubsonic.authentication import USER

if TYPE_CHECKING:
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

EXTENSIONS = ("apiKeyAuthentication", "formPost", "sonicSimilarity")
"""Extensions of the protocol, all in their first version."""
MUSIC_FOLDER = {"id": 1, "name": "Music"}
"""The one folder: all that is in the catalog."""


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


ENDPOINTS = {
    "ping": ping,
    "getLicense": get_license,
    "getOpenSubsonicExtensions": get_extensions,
    "tokenInfo": token_info,
    "getMusicFolders": get_music_folders,
}
