"""From a request under `/rest` to the function that answers it, and back in its format."""

from __future__ import annotations

import logging
from functools import cache
from http import HTTPStatus
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from indexer.errors import InvalidOption
from recommender.server.error_handlers import private_folders
from recommender.server.opensubsonic.authentication import USER, Logins, players_secret_path
from recommender.server.opensubsonic.endpoints import ENDPOINTS, PUBLIC
from recommender.server.opensubsonic.kept_playlists import KeptPlaylists
from recommender.server.opensubsonic.marks import KeptMarks
from recommender.server.opensubsonic.parameters import read_parameters
from recommender.server.opensubsonic.refusals import GENERIC, NOT_FOUND, Refused, refusal_code
from recommender.server.opensubsonic.rendering import FORMATS, render, render_error
from recommender.server.opensubsonic.server import KeptTree, RestServer
from recommender.server.problems import Problem, without_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from recommender.server.context import Context
    from recommender.server.opensubsonic.parameters import Parameters

PREFIX = "/rest"
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}
"""What a browser is answered that asks whether a player which is a page may send a request."""
log = logging.getLogger(__name__)


def players_login(context: Context) -> str:
    """One sentence on how players log in, or on why they cannot."""
    if isinstance(context.players_secret, InvalidOption):
        return str(context.players_secret)
    path = context.settings.players_secret or players_secret_path(context.recommender.path)
    return f"players log in as {USER}, with the password in {path}"


def rest_routes(context: Context) -> list[Route]:
    """The route of all endpoints; where no secret can be kept, it refuses every request."""

    @cache
    def opened() -> tuple[RestServer, Logins]:
        secret = context.players_secret
        if isinstance(secret, InvalidOption):
            message = "players cannot log in at this server: it says why when it starts"
            raise Refused(GENERIC, message)
        asked = context.recommender
        server = RestServer(context, KeptTree(asked), KeptMarks(asked), KeptPlaylists(asked))
        return server, Logins(secret)

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=PREFLIGHT)
        return await _answer(request, context, opened)

    methods = ["GET", "HEAD", "POST", "OPTIONS"]
    return [Route(f"{PREFIX}/{{name}}", answer, methods=methods, include_in_schema=False)]


async def _answer(
    request: Request, context: Context, opened: Callable[[], tuple[RestServer, Logins]]
) -> Response:
    """The answer to a request, errors of ours as the protocol says them."""
    fmt = "xml"
    try:
        parameters = await read_parameters(request)
        fmt = _format(parameters)
        found = await _found(parameters, *opened())
    except HTTPException:
        raise
    except Problem as problem:
        if problem.headers:  # What HTTP itself tells a client: to come again, which ranges are.
            raise
        is_gone = problem.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
        return render_error(NOT_FOUND if is_gone else GENERIC, problem.detail, fmt)
    except Exception as error:
        code = refusal_code(error)
        if code is None:
            log.exception("%s %s failed", request.method, request.url.path)
            return render_error(GENERIC, "the server failed; its log says why", fmt)
        return render_error(code, without_paths(str(error), private_folders(context)), fmt)
    if isinstance(found, Response):
        return found
    return render(found, fmt, client_version=parameters.text("v"))


async def _found(
    parameters: Parameters, server: RestServer, logins: Logins
) -> Mapping[str, Any] | Response:
    """What an endpoint answers to who may ask; one that is no coroutine runs in a thread.

    Raises
    ------
    Refused
    """
    request = parameters.request
    name = request.path_params["name"].removesuffix(".view")
    if name not in PUBLIC:
        logins.require(parameters, request.client.host if request.client else "")
    endpoint = ENDPOINTS.get(name)
    if endpoint is None:
        raise Refused(GENERIC, f"soundalike has no {name[:40]!r}")
    found: Mapping[str, Any] | Response
    if iscoroutinefunction(endpoint):
        found = await endpoint(server, parameters)
    else:
        found = await to_thread.run_sync(endpoint, server, parameters)
    return found


def _format(parameters: Parameters) -> str:
    """The format of the answer.

    Raises
    ------
    Refused
    """
    fmt = parameters.text("f", "xml").lower() or "xml"
    if fmt not in FORMATS:
        raise Refused(GENERIC, f"the format is xml or json, not {fmt[:20]!r}")
    return fmt
