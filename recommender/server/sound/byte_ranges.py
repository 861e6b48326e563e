"""The range of bytes that a request asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.server.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

MOST_RANGES = 8
"""Ranges in one request; one that names more is refused."""
_ONE = re.compile(r"(\d*)-(\d*)")
_HUGE = 10**18


@dataclass(frozen=True)
class ByteRange:
    """Bytes from `start` up to `stop`."""

    start: int
    stop: int


def requested_range(request: Request, *, size: int, etag: str) -> ByteRange | None:
    """The range that a request asks for of so many bytes; None where it is to be given all of them.

    A POST has one too: players send what they ask for as a form.

    All are given, as the standard allows, for several ranges, a header that is malformed, and a
    range of another version of the file (`If-Range`).

    Raises
    ------
    Problem
        416: nothing lies in the range, or there are too many of them.
    """
    header = request.headers.get("range")
    if header is None or request.method not in ("GET", "POST"):
        return None
    if request.headers.get("if-range", etag).strip() != etag:
        return None
    unit, _, ranges = header.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    if ranges.count(",") >= MOST_RANGES:
        raise _not_satisfiable(f"more than {MOST_RANGES} ranges: ask for one", size)
    fit = _ONE.fullmatch(ranges.strip())
    return None if fit is None else _range_of(fit[1], fit[2], size)


def _range_of(first: str, last: str, size: int) -> ByteRange | None:
    if not first and not last:
        return None
    if not first:
        start, stop = max(0, size - _number(last)), size
    else:
        start, stop = _number(first), min(_number(last) + 1, size) if last else size
        if last and _number(last) < start:
            return None
    if start >= size:
        raise _not_satisfiable(f"there are {size} bytes: ask for some of them", size)
    return ByteRange(start, stop)


def _number(digits: str) -> int:
    # Python refuses to read numbers of thousands of digits.
    return int(digits) if len(digits) <= 18 else _HUGE


def _not_satisfiable(detail: str, size: int) -> Problem:
    return Problem(416, detail, headers={"Content-Range": f"bytes */{size}"})
