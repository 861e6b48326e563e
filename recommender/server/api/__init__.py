"""Routes of the JSON API, a module a family."""

from recommender.server.api import (
    collection,
    genres,
    indexing,
    library_map,
    navidrome,
    operation,
    pictures,
    playlists,
    sessions,
    similar,
    sound,
    tracks,
    words,
)

ROUTERS = (
    tracks.router,
    similar.router,
    sound.router,
    words.router,
    playlists.router,
    collection.router,
    genres.router,
    library_map.router,
    indexing.router,
    pictures.router,
    operation.router,
    navidrome.router,
    sessions.router,
)
"""Every family of routes."""
