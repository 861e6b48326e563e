"""What browsers play as it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from indexer.catalog.records import Track


@dataclass(frozen=True)
class _Format:
    """A container as FFmpeg calls it, its codecs, and how browsers call both."""

    container: str
    codecs: tuple[str, ...]
    name: str
    media_type: str


_FORMATS = (
    _Format("mp3", ("mp3",), "mp3", "audio/mpeg"),
    _Format("mp4", ("aac",), "aac", "audio/mp4"),
    _Format("aac", ("aac",), "aac", "audio/aac"),
    _Format("flac", ("flac",), "flac", "audio/flac"),
    _Format("ogg", ("vorbis",), "ogg", "audio/ogg"),
    _Format("ogg", ("opus",), "opus", "audio/ogg"),
    _Format("wav", ("pcm_s16le", "pcm_u8"), "wav", "audio/wav"),
)
PLAYS = tuple(dict.fromkeys(one.name for one in _FORMATS))
"""Names of formats in the query parameter `plays`."""


def stored_type(track: Track, plays: Collection[str] = PLAYS) -> str | None:
    """Media type of a track that a browser which plays these formats takes as it is stored.

    None where it has to be decoded for it.
    """
    containers = track.container.split(",")
    for one in _FORMATS:
        if one.container in containers and track.codec in one.codecs and one.name in plays:
            return one.media_type
    return None
