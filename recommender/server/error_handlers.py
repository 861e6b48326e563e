"""What the server answers when a question raises: problem documents by the table of `problems`."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from indexer import errors
from recommender.server.problems import Problem, problem_response, status_of, without_paths

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

    from recommender.server.context import Context

log = logging.getLogger(__name__)


def private_folders(context: Context) -> list[bytes]:
    """Folders whose paths no answer may give away."""
    settings = context.settings
    own = [context.catalog.path.parent, context.uploads]
    own += [] if settings.uploads is None else [settings.uploads]
    try:
        indexed = context.recommender.folders()
    except errors.CatalogError:
        indexed = []  # What is to be said may be that the catalog's server has gone away.
    return [*(bytes(folder) for folder in own), *settings.folders, *indexed]


def add_problem_handlers(app: FastAPI) -> None:
    """Let an app answer every exception with a problem document."""

    def of_soundalike(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.SoundalikeError)  # noqa: S101 - what it is registered for
        context: Context = request.app.state.context
        members: dict[str, Any] = {}
        if isinstance(error, errors.AmbiguousTrack):
            members["candidates"] = list(error.candidates)
        if isinstance(error, errors.AnalysisError):
            members |= {"stage": error.stage, "reason": error.reason}
        folders = private_folders(context)
        members = json.loads(without_paths(json.dumps(members, ensure_ascii=False), folders))
        return problem_response(
            status_of(error),
            without_paths(str(error), folders),
            kind=f"soundalike:{_dashed(type(error).__name__)}",
            **members,
        )

    def of_problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - what it is registered for
        return problem_response(error.status, error.detail, headers=error.headers)

    def of_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        # FastAPI's own sentence of a body that it cannot parse gives no remedy.
        is_unread = isinstance(error.__cause__, UnicodeDecodeError | RecursionError)
        detail = "the body is no plain JSON in UTF-8: mend it" if is_unread else str(error.detail)
        return problem_response(error.status_code, detail, headers=error.headers)

    def of_validation(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return problem_response(
            422, f"{name}: {first['msg']}", kind="soundalike:invalid-parameter", parameter=name
        )

    def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem_response(500, "the server failed; its log says why")

    app.add_exception_handler(errors.SoundalikeError, of_soundalike)
    app.add_exception_handler(Problem, of_problem)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(Exception, unforeseen)


def _dashed(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
