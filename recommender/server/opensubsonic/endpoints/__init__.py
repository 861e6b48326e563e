"""Endpoints, a module a family.

Each is a function of the server and the request's parameters to what the answer's envelope holds,
or to a whole response; one that is a coroutine runs in the event loop, others in threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recommender.server.opensubsonic.endpoints import (
    absent,
    annotation,
    browsing,
    covers,
    lists,
    lyrics,
    media,
    playlists,
    radio,
    searching,
    system,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINTS: dict[str, Callable[..., Any]] = {
    **system.ENDPOINTS,
    **browsing.ENDPOINTS,
    **lists.ENDPOINTS,
    **searching.ENDPOINTS,
    **radio.ENDPOINTS,
    **media.ENDPOINTS,
    **annotation.ENDPOINTS,
    **covers.ENDPOINTS,
    **lyrics.ENDPOINTS,
    **absent.ENDPOINTS,
    **playlists.ENDPOINTS,
}
"""Every endpoint by its name."""
PUBLIC = frozenset({"getOpenSubsonicExtensions"})
"""Those that answer who has not logged in."""
