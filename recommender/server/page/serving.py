"""Serves the page: every file is read, hashed and compressed once, and sent from memory."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from recommender.server.caching import etag_fits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}
"""Types of the files of the page, by suffix; a file of another kind is not served."""
FOR_EVER = "public, max-age=31536000, immutable"
"""Of files below a folder named by their content: another content has another address."""
ASK_EACH_TIME = "no-cache"
_COMPRESSED = frozenset({"css", "html", "js", "svg", "txt"})
_PACKAGE = "recommender.server.page"
_PAGE = "index.html"
_DOCS = "docs.html"
DOCS = "/api/v1/docs"
"""Path of the page that lists the operations of the API."""


@dataclass(frozen=True)
class PageFile:
    """A file as it is sent.

    Attributes
    ----------
    content : bytes
    compressed : bytes or None
        The same with gzip; None where that does not pay.
    media_type : str
    digest : str
        Of the content, in hexadecimal digits.
    """

    content: bytes
    compressed: bytes | None
    media_type: str
    digest: str

    @classmethod
    def of(cls, name: str, content: bytes) -> PageFile:
        """The file of a name, whose suffix is one of `MEDIA_TYPES`."""
        suffix = name.rpartition(".")[2]
        packed = gzip.compress(content, mtime=0) if suffix in _COMPRESSED else None
        return cls(content, packed, MEDIA_TYPES[suffix], hashlib.sha256(content).hexdigest()[:16])

    def answer(self, request: Request, *, cache_control: str) -> Response:
        """The response to a request: 200, or 304 where the client holds this very content."""
        takes_gzip = self.compressed is not None and _accepts_gzip(request)
        etag = f'"{self.digest}{"-gzip" if takes_gzip else ""}"'
        headers = {"ETag": etag, "Cache-Control": cache_control}
        if self.compressed is not None:
            headers["Vary"] = "Accept-Encoding"
        if etag_fits(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        if takes_gzip:
            headers["Content-Encoding"] = "gzip"
        content = self.compressed if takes_gzip else self.content
        return Response(content, media_type=self.media_type, headers=headers)


def page_routes() -> list[Route]:
    """Routes of the page and of the description of the API, and `/static/...` for their files.

    Static files lie in a folder that is named by the content of all of them, so that they may be
    cached for ever, and modules, which import each other by relative names, are never of two
    releases.
    """
    static, version = _static_files()
    folder = f"static/{version}/"
    page = _with_static_at(folder, _PAGE)
    # Addresses are relative, so that the server may be mounted anywhere: this page lies deeper.
    docs = _with_static_at("../" * (DOCS.count("/") - 1) + folder, _DOCS)

    async def send_page(request: Request) -> Response:
        return page.answer(request, cache_control=ASK_EACH_TIME)

    async def send_docs(request: Request) -> Response:
        return docs.answer(request, cache_control=ASK_EACH_TIME)

    async def send_static(request: Request) -> Response:
        file = static.get(request.path_params["name"])
        if file is None or request.path_params["version"] != version:
            return Response("There is no such file: load the page again.", 404)
        return file.answer(request, cache_control=FOR_EVER)

    return [
        Route("/", send_page, name="page"),
        Route(DOCS, send_docs, name="docs"),
        Route("/static/{version}/{name}", send_static, name="static"),
    ]


def _with_static_at(folder: str, name: str) -> PageFile:
    """A page whose static files lie in a folder relative to it."""
    html = (files(_PACKAGE) / name).read_bytes().replace(b'"static/', f'"{folder}'.encode())
    return PageFile.of(name, html)


def _static_files() -> tuple[Mapping[str, PageFile], str]:
    """The files by name, and one digest of them all."""
    found = {
        entry.name: PageFile.of(entry.name, entry.read_bytes())
        for entry in sorted((files(_PACKAGE) / "static").iterdir(), key=lambda entry: entry.name)
        if entry.name.rpartition(".")[2] in MEDIA_TYPES
    }
    digests = "".join(f"{name} {file.digest}\n" for name, file in found.items())
    return found, hashlib.sha256(digests.encode()).hexdigest()[:16]


def _accepts_gzip(request: Request) -> bool:
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, parameters = part.strip().partition(";")
        if coding in ("gzip", "*"):
            return parameters.replace(" ", "").rstrip("0.") != "q="
    return False
