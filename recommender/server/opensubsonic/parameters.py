"""Parameters of a request: of its address, and of its body where that is a form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from recommender.retrieval.lookup import is_id
from recommender.server.opensubsonic.library_tree import SONG
from recommender.server.opensubsonic.refusals import GENERIC, MISSING_PARAMETER, NOT_FOUND, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

MOST_FIELDS = 10_000
FORM = "application/x-www-form-urlencoded"
_WHOLE = re.compile(r"[+-]?[0-9]{1,400}")


@dataclass(frozen=True, eq=False)
class Parameters:
    """What a request asks.

    Attributes
    ----------
    values : mapping of str to tuple of str
        Each parameter with all its values, in their order.
    request : Request
        For its method and headers.
    """

    values: Mapping[str, tuple[str, ...]]
    request: Request

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a parameter that may be repeated."""
        return self.values.get(name, ())

    def text(self, name: str, default: str = "") -> str:
        """The value of a parameter, the first if it is repeated."""
        return self.values.get(name, (default,))[0]

    def required(self, name: str) -> str:
        """The value of a parameter that must be there.

        Raises
        ------
        Refused
        """
        found = self.text(name)
        if not found:
            raise Refused(MISSING_PARAMETER, f"the parameter {name!r} is missing")
        return found

    def whole(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        """A whole number; one beyond the limits is taken for the limit.

        Raises
        ------
        Refused
            It is no whole number.
        """
        text = self.text(name).strip()
        if not text:
            return default
        if not _WHOLE.fullmatch(text):
            raise Refused(GENERIC, f"{name} is a whole number, not {text[:40]!r}")
        return min(max(int(text), least), most)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Whether a parameter says yes."""
        return {"true": True, "1": True, "false": False, "0": False}.get(
            self.text(name).strip().lower(), default
        )

    def track_id(self, name: str = "id") -> int:
        """The id of the track that a song's id means.

        Raises
        ------
        Refused
        """
        return track_id_of(self.required(name))


def track_id_of(song_id: str) -> int:
    """The id of the track that a song's id means, which need not be there.

    Raises
    ------
    Refused
    """
    number = song_id.removeprefix(SONG)
    if number == song_id or not is_id(number):
        raise Refused(NOT_FOUND, f"no song has the id {song_id[:80]!r}")
    return int(number)


async def read_parameters(request: Request) -> Parameters:
    """The parameters in a request's address and form.

    Raises
    ------
    Refused
        There are too many.
    """
    sources = [request.scope["query_string"].decode("latin-1")]
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind == FORM:
        sources.append((await request.body()).decode("latin-1"))
    values: dict[str, list[str]] = {}
    for source in sources:
        try:
            # Bytes that are not UTF-8 are replaced, as in tags.
            pairs = parse_qsl(
                source, keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS
            )
        except ValueError as error:
            message = f"a request may have {MOST_FIELDS:,} parameters: ask in several"
            raise Refused(GENERIC, message) from error
        for name, value in pairs:
            values.setdefault(name, []).append(value)
    return Parameters({name: tuple(given) for name, given in values.items()}, request)
