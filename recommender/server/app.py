"""The application: routes, guards, errors."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI

from recommender.server.api import ROUTERS
from recommender.server.api.answers import problems
from recommender.server.audiomuse.routing import audiomuse_routes
from recommender.server.caching import AnswerCache
from recommender.server.context import warm_up
from recommender.server.error_handlers import add_problem_handlers
from recommender.server.indexing.background import indexing_in_background
from recommender.server.metrics import CountRequests
from recommender.server.opensubsonic.routing import rest_routes
from recommender.server.page.serving import page_routes
from recommender.server.safety.bodies import BodyLimit
from recommender.server.safety.framing import FramingGuard
from recommender.server.safety.headers import SecurityHeaders
from recommender.server.safety.hosts import HostGuard, SameSiteGuard
from recommender.server.safety.log import RequestLog
from recommender.server.safety.rate_limit import RateLimit
from recommender.server.safety.tokens import TokenGuard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from recommender.server.context import Context

API = "/api/v1"
REFUSALS = (401, 403, 421, 429, 431)
"""What the guards answer before a route sees a request."""
UPLOADS = tuple(f"{API}/{name}" for name in ("similar", "genres", "tracks"))
"""Routes that take files."""


def create_app(context: Context) -> FastAPI:
    """The routes of a server, without the guards that `guarded` puts before them."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.get_running_loop().run_in_executor(None, warm_up, context)
        async with indexing_in_background(context):
            yield
        await warming

    app = FastAPI(
        lifespan=lifespan,
        title="soundalike",
        summary="What sounds like this? Answers from sound alone.",
        version=version("soundalike"),
        openapi_url=f"{API}/openapi.json",
        # FastAPI's own pages of documentation load scripts from elsewhere.
        docs_url=None,
        responses=problems(*REFUSALS),
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    for router in ROUTERS:
        app.include_router(router, prefix=API)
    app.router.routes.extend(rest_routes(context))
    app.router.routes.extend(audiomuse_routes(context))
    app.router.routes.extend(page_routes())
    add_problem_handlers(app)
    return app


def guarded(app: ASGIApp, context: Context) -> ASGIApp:
    """An application behind its guards, the first one asked last in this list."""
    settings = context.settings
    app = AnswerCache(BodyLimit(app, streamed=UPLOADS), catalog=context.catalog)
    if settings.token is not None:
        app = TokenGuard(app, token=settings.token)
    app = SameSiteGuard(app)
    if settings.requests_per_s:
        app = RateLimit(app, per_s=settings.requests_per_s)
    app = FramingGuard(HostGuard(app, hosts=settings.allowed_hosts))
    return CountRequests(RequestLog(SecurityHeaders(app)), metrics=context.metrics)
