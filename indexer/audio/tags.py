"""Tags of a file: title, artists, album, identifiers, merged from several readers.

No single reader with a fitting licence reads every kind of tag, so each fills in the fields that
the one before it left out. In order of precedence, by the container's own kind of tag:

- Vorbis comments: FFmpeg, ID3v2, APEv2, tinytag.
- MP4, ASF: FFmpeg with the lists of tinytag, as FFmpeg gives one value of several; ID3v2, APEv2.
- WavPack, Monkey's Audio, Musepack, TAK, OptimFROG: APEv2, ID3v2, FFmpeg.
- All else: ID3v2, APEv2, FFmpeg (ID3v1, RIFF INFO, Matroska ...), tinytag.

ID3v2 and APEv2 have readers here (several values, unsynchronised and compressed frames, sizes by
iTunes), which FFmpeg and tinytag both read in part.

A value with replacement or control characters is suspect: the next reader is asked for that field,
and believed unless it has only what stands before such a character, as FFmpeg does that ends there.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from tinytag import TinyTag, TinyTagException

from indexer.audio.apev2 import read_apev2
from indexer.audio.container import read_metadata
from indexer.audio.id3v2 import read_id3v2, read_lyrics_language, tag_end
from indexer.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import BinaryIO

    Values = Mapping[str, Sequence[str]]
    Reading = dict[str, Sequence[str]]

    from indexer.audio.opening import AnyPath

# Longer ones are comments in the wrong field, or damage.
_LONGEST = 500
_YEAR = re.compile(r"(?<!\d)[12]\d{3}(?!\d)|(?<!\d)[12]\d{3}(?=\d{4}(?!\d))")
_NUMBER = re.compile(r"\d{1,5}")
_MBID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])")
_ISRC = re.compile(r"(?<![A-Z0-9])[A-Z]{2}[A-Z0-9]{3}[0-9]{7}(?![A-Z0-9])")
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"
_MP4 = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_VORBIS_COMMENTS = (b"fLaC", b"OggS")
_APEV2 = (b"wvpk", b"MAC ", b"MP+", b"MPCK", b"tBaK", b"OFR ")
_KEY_PREFIX = re.compile(r"wm/|txxx:|com\.apple\.quicktime\.")
_NOT_IN_KEY = re.compile(r"[^a-z]")
# FFmpeg writes lyrics into an MP3 as a field of its own that it calls USLT.
_LYRICS = ("lyrics", "unsyncedlyrics", "unsynced lyrics", "uslt")
_FIELDS = {
    "title": ("title",),
    "artist": ("artist", "author"),
    "artists": ("artists",),
    "album": ("album",),
    "album_artist": ("albumartist",),
    "album_artists": ("albumartists",),
    "genre": ("genre",),
    "date": ("date", "year", "releasedate", "originaldate", "originalyear"),
    "track": ("track", "tracknumber"),
    "disc": ("disc", "discnumber", "disk", "partofset"),
    "isrc": ("isrc",),
    "musicbrainz_track_id": ("musicbrainztrackid",),
    "musicbrainz_album_id": ("musicbrainzalbumid",),
    "musicbrainz_artist_ids": ("musicbrainzartistid",),
    "musicbrainz_album_artist_ids": ("musicbrainzalbumartistid",),
}
"""Fields, and the keys that taggers write for them, without prefix, spaces and punctuation."""
_LISTS = (
    *("artist", "artists", "album_artist", "album_artists", "genre"),
    *("musicbrainz_artist_ids", "musicbrainz_album_artist_ids"),
)
_JOINT = "; "
_RENAMED_GENRES = {"Negerpunk": "Afro-Punk"}
"""What Winamp has renamed since FFmpeg took its list of genres."""


@dataclass(frozen=True)
class Tags:
    """Tags of one file; None, or an empty tuple, where the file has none that can be read.

    Attributes
    ----------
    title, artist, album, album_artist, genre : str or None
        For display; several artists or genres are joined by "; ".
    year, track_number, disc_number : int or None
    isrc : str or None
        International Standard Recording Code: 12 characters, without hyphens.
    musicbrainz_track_id, musicbrainz_album_id : str or None
        MusicBrainz's ids of the recording, which taggers call that of the track, and the release.
    musicbrainz_artist_ids, musicbrainz_album_artist_ids : tuple of str
        MusicBrainz's ids of the artists.
    has_cover : bool
        Whether the file holds a picture that can be shown.
    artists, album_artists, genres : tuple of str
        The single values; a tag ARTISTS has them where ARTIST is "First & Second".
    """

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    genre: str | None = None
    year: int | None = None
    track_number: int | None = None
    disc_number: int | None = None
    isrc: str | None = None
    musicbrainz_track_id: str | None = None
    musicbrainz_album_id: str | None = None
    musicbrainz_artist_ids: tuple[str, ...] = ()
    musicbrainz_album_artist_ids: tuple[str, ...] = ()
    has_cover: bool = False
    artists: tuple[str, ...] = ()
    album_artists: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaggedLyrics:
    """Lyrics in a file's tags, as stored, perhaps with LRC's times in them.

    Attributes
    ----------
    text : str
    language : str or None
        Three letters, as in ISO 639-2; None where the tags name none.
    """

    text: str
    language: str | None


def read_tags(path: AnyPath) -> Tags:
    """Tags of a file.

    Tags that are broken or in an unknown format are left out; nothing is raised for them, nor for
    a file that cannot be opened.

    Returns
    -------
    Tags
        Strings are stripped and free of control characters and lone surrogates.
    """
    name = os.fsencode(path)
    try:
        with open(name, "rb", opener=_open_without_waiting) as file:
            id3v2, apev2 = _by_field(read_id3v2(file)), _by_field(read_apev2(file))
            tinytag = _by_field(_read_tinytag(file))
            magic = _magic(file)
    except (OSError, ValueError):
        return Tags()
    values, has_cover = _read_ffmpeg(name)
    ffmpeg = _by_field(values)
    if magic.startswith(_ASF) or magic[4:8] in _MP4:
        readings = [_with_lists(ffmpeg, tinytag), id3v2, apev2]
    elif magic.startswith(_VORBIS_COMMENTS):
        readings = [_with_first(ffmpeg, tinytag), id3v2, apev2, tinytag]
    elif magic.startswith(_APEV2):
        readings = [apev2, id3v2, ffmpeg]
    else:
        readings = [id3v2, apev2, ffmpeg, tinytag]
    return replace(_merge(readings), has_cover=has_cover)


def read_lyrics(path: AnyPath) -> TaggedLyrics | None:
    """Lyrics in a file's tags.

    Only tinytag reads here, which is Python and takes no more memory than the file is long: FFmpeg
    would have to run in a worker. It knows the lyrics of MP3, MP4, FLAC, Ogg, Opus and WMA, and
    does not tell their language.

    Returns
    -------
    TaggedLyrics or None
        None where there are none, or where the file cannot be read; nothing is raised for it.
    """
    try:
        with open(os.fsencode(path), "rb", opener=_open_without_waiting) as file:
            found = TinyTag.get(file_obj=file, duration=False)
            language = read_lyrics_language(file)
    except (TinyTagException, OSError, ValueError, MemoryError):
        return None
    texts = (str(text) for field in _LYRICS for text in found.other.get(field, []))
    return next((TaggedLyrics(text, language) for text in texts if text.strip()), None)


def _open_without_waiting(path: str, flags: int) -> int:
    # Without O_NONBLOCK the opening of a FIFO waits for a writer.
    return os.open(path, flags | os.O_NONBLOCK)


def _magic(file: BinaryIO) -> bytes:
    """The first bytes behind an ID3v2 tag in front."""
    file.seek(tag_end(file))
    return file.read(16)


def _read_ffmpeg(path: bytes) -> tuple[dict[str, list[str]], bool]:
    try:
        found, has_cover = read_metadata(path)
    except AnalysisError:
        return {}, False
    return {key: [_RENAMED_GENRES.get(value, value)] for key, value in found.items()}, has_cover


def _read_tinytag(file: BinaryIO) -> dict[str, list[str]]:
    file.seek(0)
    try:
        # Given the file and not its name, tinytag goes by what is in it.
        found = TinyTag.get(file_obj=file, duration=False).as_dict()
    except (TinyTagException, ValueError, MemoryError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, list)}


def _by_field(values: Values) -> Reading:
    """Values under the names of `_FIELDS`, split where a list is joined."""
    keys: dict[str, Sequence[str]] = {}
    # Of keys that mean the same, one without prefix counts, and of several the first.
    for key in sorted(values, key=lambda key: bool(_KEY_PREFIX.match(key.lower()))):
        keys.setdefault(_plain_key(key), values[key])
    reading: Reading = {}
    for field, names in _FIELDS.items():
        texts = next((keys[name] for name in names if name in keys), ())
        parts = [part for text in texts for part in text.split("\0")]
        if field in _LISTS:
            # FFmpeg joins repeated Vorbis comments by semicolons, and so do many taggers.
            parts = [part for text in parts for part in text.split(";")]
        if parts := [part for part in parts if _clean(part)]:
            reading[field] = parts if field in _LISTS else parts[:1]
    return reading


def _plain_key(key: str) -> str:
    return _NOT_IN_KEY.sub("", _KEY_PREFIX.sub("", key.lower(), count=1))


def _with_lists(ffmpeg: Reading, tinytag: Reading) -> Reading:
    """FFmpeg's reading, with the further values that tinytag has found.

    tinytag takes ARTISTS for more of ARTIST, and FFmpeg keeps one value of each.
    """
    reading = dict(tinytag) | ffmpeg
    for field in ("artist", "album_artist", "genre"):
        values = tinytag.get(field, ())
        if singles := ffmpeg.get(f"{field}s"):
            further = [text for text in values if text not in ffmpeg.get(field, ())]
            reading[f"{field}s"] = [*singles, *further]
        elif len(values) > 1:
            reading[field] = values
    return reading


def _with_first(ffmpeg: Reading, tinytag: Reading) -> Reading:
    """FFmpeg's reading, with the first of several titles or albums, which it joins."""
    reading = dict(ffmpeg)
    for field in ("title", "album"):
        first = "".join(tinytag.get(field, ()))
        if first and "".join(ffmpeg.get(field, ())).startswith(f"{first};"):
            reading[field] = [first]
    return reading


def _merge(readings: Sequence[Reading]) -> Tags:
    title, album, date, track, disc = (
        next(iter(_first(readings, field)[0]), None)
        for field in ("title", "album", "date", "track", "disc")
    )
    artist, artists = _names(readings, "artist", "artists")
    album_artist, album_artists = _names(readings, "album_artist", "album_artists")
    (genres,) = _first(readings, "genre")
    return Tags(
        title=title,
        artist=artist,
        album=album,
        album_artist=album_artist,
        genre=_JOINT.join(genres) or None,
        year=_number(_YEAR, date),
        track_number=_number(_NUMBER, track) or None,
        disc_number=_number(_NUMBER, disc) or None,
        isrc=_isrc(readings),
        musicbrainz_track_id=next(iter(_mbids(readings, "musicbrainz_track_id")), None),
        musicbrainz_album_id=next(iter(_mbids(readings, "musicbrainz_album_id")), None),
        musicbrainz_artist_ids=_mbids(readings, "musicbrainz_artist_ids"),
        musicbrainz_album_artist_ids=_mbids(readings, "musicbrainz_album_artist_ids"),
        artists=artists,
        album_artists=album_artists,
        genres=genres,
    )


def _names(readings: Sequence[Reading], *fields: str) -> tuple[str | None, tuple[str, ...]]:
    """Artists for display, and the single ones."""
    credit, artists = _first(readings, *fields)
    display = _JOINT.join(credit or artists)
    if len(artists) == 1 and artists[0] not in display:
        # ID3v2.3 has no other way to list several.
        artists = tuple(name for part in artists[0].split("/") if (name := _clean(part)))
    return display or None, artists or credit


def _mbids(readings: Iterable[Reading], field: str) -> tuple[str, ...]:
    """MusicBrainz's ids in a field, however taggers separate several."""
    (texts,) = _first(readings, field)
    return tuple(dict.fromkeys(_MBID.findall(" ".join(texts).lower())))


def _isrc(readings: Iterable[Reading]) -> str | None:
    (texts,) = _first(readings, "isrc")
    found = _ISRC.search(" ".join(texts).upper().replace("-", ""))
    return found[0] if found else None


def _first(readings: Iterable[Reading], *fields: str) -> list[tuple[str, ...]]:
    """Clean values of `fields` by the first reader that has any and none that is suspect."""
    found = [reading for reading in readings if any(reading.get(field) for field in fields)]
    trusted = (
        reading
        for reading in found
        if not any(_is_suspect(text) for field in fields for text in reading.get(field, ()))
        and not any(_is_cut_short(reading, found[0], field) for field in fields)
    )
    best = next(trusted, found[0] if found else {})
    return [
        tuple(dict.fromkeys(_clean(text) for text in best.get(field, ()) if _clean(text)))
        for field in fields
    ]


def _is_suspect(text: str) -> bool:
    """Whether a text holds traces of a wrong reading: replacement or control characters."""
    return any(
        letter == "\ufffd"
        or (unicodedata.category(letter) in ("Cc", "Cs") and not letter.isspace())
        for letter in text
    )


def _is_cut_short(reading: Reading, other: Reading, field: str) -> bool:
    """Whether one reader has of a field only what another has before a suspect character."""
    whole = other.get(field, ())
    before = ["".join(takewhile(lambda one: not _is_suspect(one), text)) for text in whole]
    found = [_clean(text) for text in reading.get(field, ())]
    return before != list(whole) and found == [one for text in before if (one := _clean(text))]


def _clean(text: str) -> str:
    text = "".join(
        " " if unicodedata.category(letter) == "Cc" else letter
        for letter in text[:_LONGEST]
        if unicodedata.category(letter) != "Cs"
    )
    return " ".join(text.strip("\ufeff").split())


def _number(pattern: re.Pattern[str], text: str | None) -> int | None:
    found = pattern.search(text) if text else None
    return int(found.group()) if found else None
