"""Errors as problem documents (RFC 9457), by one table from exception to status."""

from __future__ import annotations

import json
import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from indexer import errors
from indexer.filesystem import display_path, folder_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI, Request

    from recommender.server.context import Context

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS_OF: dict[type[Exception], int] = {
    errors.UnknownTrack: 404,
    errors.AmbiguousTrack: 409,
    errors.NoClassifier: 409,
    errors.QueryError: 422,
    errors.AnalysisError: 422,
    errors.CatalogLocked: 409,
    errors.CatalogFull: 507,
    errors.ExtraMissing: 501,
    errors.WorkersFailed: 503,
    errors.ModelError: 503,
    errors.SoundalikeError: 503,
}
"""Status of each exception, the nearest of its bases first."""

_PATH = re.compile(r"(?<![\w./~-])/(?:[^\s/'\"`;,:()]+/)*(?=[^\s/'\"`;,:()])")


class Problem(Exception):
    """A request that is refused by the server itself.

    Parameters
    ----------
    status : int
    detail : str
        One sentence for a person, with the remedy.
    headers : dict of str, optional
        Of the response.
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def problem_response(
    status: int,
    detail: str,
    *,
    kind: str = "about:blank",
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """A problem document as a response; `members` are what else it says."""
    document = {
        "type": kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
    }
    # Lone surrogates of odd tags and names are no UTF-8.
    body = json.dumps(document, ensure_ascii=True).encode()
    return Response(body, status, dict(headers or {}), MEDIA_TYPE)


def without_paths(text: str, folders: Iterable[bytes] = ()) -> str:
    """A sentence without folders of this machine's disk; names of files stay.

    Parameters
    ----------
    folders : paths
        Folders that are known; of others what looks like a path is cut.
    """
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(display_path(folder_prefix(folder)), "")
    return _PATH.sub("", text)


def private_folders(context: Context) -> list[bytes]:
    """Folders whose paths no answer may give away."""
    settings = context.settings
    own = [settings.catalog.resolve().parent, context.uploads]
    own += [] if settings.uploads is None else [settings.uploads]
    return [*(bytes(folder) for folder in own), *settings.folders, *context.recommender.folders()]


def add_problem_handlers(app: FastAPI) -> None:
    """Let an app answer every exception with a problem document."""

    def of_soundalike(request: Request, error: Exception) -> Response:
        kind = next(base for base in type(error).__mro__ if base in STATUS_OF)
        context: Context = request.app.state.context
        members: dict[str, Any] = {}
        if isinstance(error, errors.AmbiguousTrack):
            members["candidates"] = list(error.candidates)
        if isinstance(error, errors.AnalysisError):
            members |= {"stage": error.stage, "reason": error.reason}
        folders = private_folders(context)
        members = json.loads(without_paths(json.dumps(members), folders))
        return problem_response(
            STATUS_OF[kind],
            without_paths(str(error), folders),
            kind=f"soundalike:{_dashed(type(error).__name__)}",
            **members,
        )

    def of_problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - what it is registered for
        return problem_response(error.status, error.detail, headers=error.headers)

    def of_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return problem_response(error.status_code, str(error.detail), headers=error.headers)

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
