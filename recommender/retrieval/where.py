"""Which tracks may be answers: a `Where`, the filter that every question takes.

All fields must hold; of several values of one field any does. Text is compared without case and
accents. What the catalog does not know of a track, such as its year, fits no filter on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from indexer.errors import InvalidOption
from indexer.features.key import parse_musical_key
from recommender.retrieval.lookup import whole_number

_RANGES = {"year": "year", "duration_s": "duration in seconds", "tempo": "tempo in BPM"}
_TEXTS = ("artist", "album", "genre", "musical_key")


@dataclass(frozen=True, kw_only=True)
class Where:
    """Which tracks may be answers.

    Attributes
    ----------
    artist, album : tuple of str
        Whole names; an artist is a track's artist or its album artist.
    genre : tuple of str
        The file's own genre tag, or one of several in it that ; / or , separates.
    year, duration_s, tempo : tuple of two numbers or None
        Least and most, both included; None leaves that side open. Tempo is in beats a minute.
    musical_key : tuple of str
        "A minor", "Am", "Bb" (major), "F# major".
    tags : tuple of (str, float or None)
        Tags of the model with the probability that each must reach, all of them; None: what the
        strongest tenth of the library reaches. Some tags are never likely, however well they fit.
    added_since : float, optional
        Unix time at which a track came into the catalog, or later.
    among, exclude : tuple of ids or keys
        The only tracks, and those that may not be. What is not in the catalog is left out.

    Raises
    ------
    InvalidOption
        A value makes no sense.
    """

    artist: tuple[str, ...] = ()
    album: tuple[str, ...] = ()
    genre: tuple[str, ...] = ()
    year: tuple[int | None, int | None] | None = None
    duration_s: tuple[float | None, float | None] | None = None
    tempo: tuple[float | None, float | None] | None = None
    musical_key: tuple[str, ...] = ()
    tags: tuple[tuple[str, float | None], ...] = ()
    added_since: float | None = None
    among: tuple[int | str, ...] | None = None
    exclude: tuple[int | str, ...] = ()

    def __post_init__(self) -> None:
        for name in _TEXTS:
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        for name, label in _RANGES.items():
            object.__setattr__(self, name, _range(label, getattr(self, name)))
        for name in ("among", "exclude"):
            object.__setattr__(self, name, _tracks(name, getattr(self, name)))
        object.__setattr__(self, "tags", tuple(_tag_level(pair) for pair in self.tags))
        for text in self.musical_key:
            if parse_musical_key(text) is None:
                raise InvalidOption(
                    f'{text!r} is no musical key: write "A minor", "Am", "Bb" or "F# major"'
                )
        since = self.added_since
        if since is not None and not (isinstance(since, int | float) and math.isfinite(since)):
            raise InvalidOption(f"added since {since!r} is no time: give seconds of Unix")

    def __str__(self) -> str:
        """The filter in words, such as "genre jazz, year 1990 to 1999"."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        parts = [
            f"{name.replace('_', ' ')} {' or '.join(values)}"
            for name, values in texts.items()
            if values
        ]
        ranges = {name.removesuffix("_s"): getattr(self, name) for name in _RANGES}
        parts += [f"{name} {_span(*bounds)}" for name, bounds in ranges.items() if bounds]
        parts += [
            f"the tenth with most {tag}" if level is None else f"tag {tag} at least {level:g}"
            for tag, level in self.tags
        ]
        if self.added_since is not None:
            parts.append("added since then")
        if self.among is not None:
            parts.append(f"{len(self.among)} named")
        if self.exclude:
            parts.append(f"without {len(self.exclude)} named")
        return ", ".join(parts)


def _texts(name: str, values: Any) -> tuple[str, ...]:
    if isinstance(values, str | bytes):
        raise InvalidOption(f"{name} {values!r} is one text: give a list of texts")
    texts = tuple(values)
    for text in texts:
        if not isinstance(text, str):
            raise InvalidOption(f"{name} {text!r} is no text")
    return texts


def _tracks(name: str, values: Any) -> tuple[int | str, ...] | None:
    if isinstance(values, str | bytes):
        raise InvalidOption(f"{name} {values!r} is one text: give a list of ids or keys")
    if values is None:
        return None
    return tuple(v if isinstance(v, str) else whole_number(v, "a track's id") for v in values)


def _range(name: str, bounds: Any) -> tuple[float | None, float | None] | None:
    if bounds is None:
        return None
    try:
        low, high = bounds
        not_a_number = any(bound is not None and math.isnan(bound) for bound in (low, high))
        descending = low is not None and high is not None and low > high
    except (TypeError, ValueError) as error:
        raise InvalidOption(f"the {name} {bounds!r} is no range: give (least, most)") from error
    if not_a_number:
        raise InvalidOption(f"the {name} of a filter is not a number")
    if descending:
        raise InvalidOption(f"no {name} lies from {low:g} to {high:g}: give the least first")
    return low, high


def _tag_level(pair: Any) -> tuple[str, float | None]:
    try:
        tag, level = pair
        outside = level is not None and not 0.0 <= level <= 1.0
        number = None if level is None else float(level)
    except (TypeError, ValueError) as error:
        raise InvalidOption(f"{pair!r} is no tag with a level: give (tag, probability)") from error
    if outside:
        raise InvalidOption(f"the level {level} of tag {tag} is no probability: 0 to 1")
    return str(tag), number


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return "known" if high is None else f"up to {high:g}"
    return f"from {low:g}" if high is None else f"{low:g} to {high:g}"


EVERYTHING = Where()
"""A filter that keeps all tracks."""
