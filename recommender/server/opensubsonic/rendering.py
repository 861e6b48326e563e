"""Answers as JSON or XML: the same content, by the rules of Subsonic's schema.

In XML the scalars of an object are attributes, its objects are elements, and each member of a list
is an element of the list's name. What is called `value` is an element's text, and so are members of
a list that are no objects, and a few scalars of old answers.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

API_VERSION = "1.16.1"
NAMESPACE = "http://subsonic.org/restapi"
FORMATS = ("xml", "json")
AS_ELEMENTS = frozenset(
    {
        *((info, name) for info in ("artistInfo", "artistInfo2") for name in ("biography",)),
        *(
            (info, name)
            for info in ("artistInfo", "artistInfo2", "albumInfo")
            for name in (
                *("notes", "musicBrainzId", "lastFmUrl"),
                *("smallImageUrl", "mediumImageUrl", "largeImageUrl"),
            )
        ),
        ("sonicMatch", "similarity"),
    }
)
"""Scalars that are elements in XML, each with the name of its object."""

ADDED_LISTS = frozenset({"albumArtists", "artists", "genres", "isrc", "roles"})
"""Lists in what Subsonic itself knows, that OpenSubsonic has added to it."""

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write: control characters, lone surrogates, U+FFFE and U+FFFF."""
_IN_ATTRIBUTES = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_IN_TEXT = {"\r": "&#13;"}


def render(
    payload: Mapping[str, Any], fmt: str, *, status: str = "ok", client_version: str = API_VERSION
) -> Response:
    """An answer in a format of `FORMATS`.

    Parameters
    ----------
    payload : mapping
        What the envelope holds, None left out: scalars, mappings and lists of them. Characters that
        cannot be written in XML are replaced by U+FFFD in both formats.
    status : {"ok", "failed"}
    client_version : str
        Which Subsonic a client speaks. OpenSubsonic adds to 1.16; players of before it, such as
        Clementine, stop at an XML element that they do not know, so they get none of its lists.
    """
    envelope = {
        "status": status,
        "version": API_VERSION,
        "type": "soundalike",
        "serverVersion": _server_version(),
        "openSubsonic": True,
        **_cleaned(payload),
    }
    if fmt == "xml" and _is_before_opensubsonic(client_version):
        envelope = _without_added_lists(envelope)
    if fmt == "json":
        text = json.dumps(
            {"subsonic-response": envelope},
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        return Response(text.encode(), media_type="application/json")
    text = '<?xml version="1.0" encoding="UTF-8"?>\n'
    text += "".join(_element("subsonic-response", {"xmlns": NAMESPACE, **envelope}))
    return Response(text.encode(), media_type="application/xml")


def render_error(code: int, message: str, fmt: str) -> Response:
    """Why a request is refused."""
    return render({"error": {"code": code, "message": message}}, fmt, status="failed")


def _is_before_opensubsonic(client_version: str) -> bool:
    numbers = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", client_version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) < (1, 16)


def _without_added_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_added_lists(one)
            for name, one in value.items()
            if not (name in ADDED_LISTS and isinstance(one, list))
        }
    return [_without_added_lists(one) for one in value] if isinstance(value, list) else value


@cache
def _server_version() -> str:
    return version("soundalike")


def writable(text: str) -> str:
    """A text as clients see it: what cannot be written in XML is U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text)


def _cleaned(value: Any) -> Any:
    """A value without None and without characters that cannot be written."""
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, dict):
        return {name: _cleaned(one) for name, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_cleaned(one) for one in value]
    return value


def _element(name: str, value: Any) -> Iterator[str]:
    """An element and all in it."""
    if not isinstance(value, dict):
        yield f"<{name}>{escape(_scalar(value), _IN_TEXT)}</{name}>"
        return
    yield f"<{name}"
    inner = []
    for key, one in value.items():
        if isinstance(one, dict | list) or key == "value" or (name, key) in AS_ELEMENTS:
            inner.append((key, one))
        else:
            yield f' {key}="{escape(_scalar(one), _IN_ATTRIBUTES)}"'
    if not inner:
        yield "/>"
        return
    yield ">"
    for key, one in inner:
        if key == "value":
            yield escape(_scalar(one), _IN_TEXT)
        else:
            for each in one if isinstance(one, list) else [one]:
                yield from _element(key, each)
    yield f"</{name}>"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
