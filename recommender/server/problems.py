"""Errors as problem documents (RFC 9457), by one table from exception to status."""

from __future__ import annotations

import json
import os
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.responses import Response

from indexer import errors
from indexer.filesystem import display_path, folder_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


_BELOW_QUOTED = r"(?:(?:\\.|(?!\1)[^\\])*/)?"
"""Folders of a path as `repr` writes it, whose opening quote is the first group."""
_BELOW = r"(?:(?:(?!: |['\"](?:[\s.,:;)]|$))[^/\n])+/)*"
"""Folders of a path that is not quoted, up to where it can no longer go on."""


def status_of(error: errors.SoundalikeError) -> int:
    """The status that says why a question failed."""
    return next(STATUS_OF[base] for base in type(error).__mro__ if base in STATUS_OF)


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
        # What a client sent may be quoted in it, with line breaks.
        "detail": " ".join(detail.split()),
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
        Folders that are known, which are cut with those below them; of others what looks like a
        path is cut.
    """
    for folder in sorted(folders, key=len, reverse=True):
        prefix = display_path(folder_prefix(folder))
        for begin in {prefix, repr(prefix)[1:-1]}:
            text = re.sub(rf"(['\"]){re.escape(begin)}{_BELOW_QUOTED}", r"\1", text)
            text = re.sub(f"{re.escape(begin)}{_BELOW}", "", text)
        text = text.replace(display_path(folder), display_path(os.path.basename(folder)))
    return _PATH.sub("", text)
