"""What a player is sent of a track: the file as it is stored, a WAV file, or another encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from indexer.audio.encoding import encoding_within
from recommender.server.opensubsonic.entries import suffix_of

if TYPE_CHECKING:
    from indexer.audio.encoding import Codec, Encoding
    from indexer.catalog.records import Track

Sent: TypeAlias = "Literal['stored', 'wav'] | Encoding"

DEFAULT_KBPS: dict[Codec, int] = {"mp3": 192, "opus": 128}
"""Bit rates of players that name none."""
_CODECS: dict[str, Codec] = {"mp3": "mp3", "opus": "opus", "ogg": "opus", "oga": "opus"}
_CONTAINERS = {"mp3": "mp3", "flac": "flac", "opus": "ogg"}
"""Formats that are called by their codec, and the container, as FFmpeg calls it, that they have."""
_OGG = frozenset({"ogg", "oga", "opus"})


def choose_format(
    track: Track,
    size: int,
    *,
    wanted: str,
    most_kbps: int,
    is_from_start: bool = True,
    is_sized: bool = False,
) -> Sent:
    """What a player is sent.

    Parameters
    ----------
    size : int
        Bytes of the file: some containers say nothing of their bit rate.
    wanted : str
        The format that the player names: `raw`, an ending of files, or none. What cannot be made is
        sent as MP3, which all play.
    most_kbps : int
        The bit rate that it takes at most, in kbit/s; 0: any.
    is_from_start : bool
        Whether it wants all of the sound; a file that does not begin there has to be made.
    is_sized : bool
        Whether the size of what is made must be known before.
    """
    wanted = wanted.strip().lower()
    stored_bps = track.bit_rate or 8 * size / max(track.duration_s, 1e-3)
    is_within = not most_kbps or stored_bps <= 1000 * most_kbps
    if wanted == "raw":
        return "stored"
    if is_within and is_from_start:
        if _is_stored_as(track, wanted):
            return "stored"
        if wanted == "wav":
            return "wav"
    codec = _CODECS.get(wanted, "mp3")
    return encoding_within(codec, most_kbps or DEFAULT_KBPS[codec], is_constant=is_sized)


def _is_stored_as(track: Track, wanted: str) -> bool:
    """Whether a file is what a player wants, by its content where the name says a codec."""
    suffix = suffix_of(track)
    container = _CONTAINERS.get(wanted)
    if container is not None:
        return track.codec == wanted and container in track.container.split(",")
    return wanted in ("", suffix, track.codec) or {wanted, suffix} <= _OGG
