"""Text frames of ID3v2 tags: 2.2, 2.3 and 2.4, at the head of a file or in a chunk of it.

Source: id3.org, "ID3 tag version 2.4.0 - Main Structure" and its predecessors; and what taggers
write against them: sizes in 2.4 that are not synchsafe (iTunes), several values in 2.3.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

from indexer.audio.text_encoding import decode_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

GENRES = """
Blues; Classic Rock; Country; Dance; Disco; Funk; Grunge; Hip-Hop; Jazz; Metal; New Age; Oldies;
Other; Pop; R&B; Rap; Reggae; Rock; Techno; Industrial; Alternative; Ska; Death Metal; Pranks;
Soundtrack; Euro-Techno; Ambient; Trip-Hop; Vocal; Jazz+Funk; Fusion; Trance; Classical;
Instrumental; Acid; House; Game; Sound Clip; Gospel; Noise; AlternRock; Bass; Soul; Punk; Space;
Meditative; Instrumental Pop; Instrumental Rock; Ethnic; Gothic; Darkwave; Techno-Industrial;
Electronic; Pop-Folk; Eurodance; Dream; Southern Rock; Comedy; Cult; Gangsta; Top 40; Christian
Rap; Pop/Funk; Jungle; Native American; Cabaret; New Wave; Psychadelic; Rave; Showtunes; Trailer;
Lo-Fi; Tribal; Acid Punk; Acid Jazz; Polka; Retro; Musical; Rock & Roll; Hard Rock; Folk;
Folk-Rock; National Folk; Swing; Fast Fusion; Bebob; Latin; Revival; Celtic; Bluegrass;
Avantgarde; Gothic Rock; Progressive Rock; Psychedelic Rock; Symphonic Rock; Slow Rock; Big Band;
Chorus; Easy listening; Acoustic; Humour; Speech; Chanson; Opera; Chamber Music; Sonata; Symphony;
Booty Bass; Primus; Porn Groove; Satire; Slow Jam; Club; Tango; Samba; Folklore; Ballad; Power
Ballad; Rhythmic Soul; Freestyle; Duet; Punk Rock; Drum Solo; A capella; Euro-House; Dance Hall;
Goa; Drum & Bass; Club-House; Hardcore Techno; Terror; Indie; BritPop; Afro-Punk; Polsk Punk;
Beat; Christian Gangsta Rap; Heavy Metal; Black Metal; Contemporary Christian; Christian Rock;
Merengue; Salsa; Thrash Metal; Anime; Jpop; Synthpop; Abstract; Art Rock; Baroque; Bhangra; Big
Beat; Breakbeat; Chillout; Downtempo; Dub; EBM; Eclectic; Electro; Electroclash; Emo;
Experimental; Garage; Illbient; Industro-Goth; Jam Band; Krautrock; Leftfield; Lounge; Math Rock;
New Romantic; Nu-Breakz; Post-Punk; Post-Rock; Psytrance; Shoegaze; Space Rock; Trop Rock; World
Music; Neoclassical; Audiobook; Audio Theatre; Neue Deutsche Welle; Podcast; Indie Rock; G-Funk;
Dubstep; Garage Rock; Psybient
"""
"""Names of ID3v1's genres by number, with Winamp's extensions, one after each semicolon."""

_FRAMES = {
    "title": ("TIT2", "TT2"),
    "artist": ("TPE1", "TP1"),
    "album": ("TALB", "TAL"),
    "album_artist": ("TPE2", "TP2"),
    "genre": ("TCON", "TCO"),
    "date": ("TDRC", "TYER", "TYE", "TDRL", "TDOR", "TORY", "TOR"),
    "track": ("TRCK", "TRK"),
    "disc": ("TPOS", "TPA"),
    "isrc": ("TSRC", "TRC"),
}
"""Frames of each field, the preferred one first."""
_GENRE_FRAMES = _FRAMES["genre"]
_USER_FRAMES = ("TXXX", "TXX")
_ID_FRAMES = ("UFID", "UFI")
_LYRICS_FRAMES = ("USLT", "ULT")
_READ_FRAMES = frozenset(
    (*_USER_FRAMES, *_ID_FRAMES, *(name for names in _FRAMES.values() for name in names))
)
_MUSICBRAINZ = b"http://musicbrainz.org"
"""Who gave out the id in a frame of `_ID_FRAMES`: that of a recording."""
# A tag holds covers too; a text does not reach this size unless it is an attack.
_MAX_TAG_BYTES = 32 << 20
_MAX_FRAME_BYTES = 1 << 20
_MAX_CHUNKS = 1000
_MAX_TAGS = 8
_LANGUAGE = re.compile("[a-z]{3}")
_GENRE_NUMBERS = re.compile(r"\((\d{1,3}|RX|CR)\)")


def read_id3v2(file: BinaryIO) -> dict[str, list[str]]:
    """Values of the text frames in a file's ID3v2 tag, by field; empty without such a tag.

    The tag is looked for at the head of the file, in the ID3 chunk of WAV, AIFF and DSDIFF, and
    where DSF points to. Values are as stored: neither stripped nor free of control characters.

    Returns
    -------
    dict of str to list of str
        Keys "title", "artist", "album", "album_artist", "genre", "date", "track", "disc", "isrc",
        "musicbrainz_trackid", and "txxx:" with the description in lower case.
    """
    values: dict[str, list[str]] = {}
    position = _tag_offset(file)
    for _ in range(_MAX_TAGS):
        file.seek(position)
        header = file.read(10)
        if not _is_header(header):
            break
        size = _synchsafe(header[6:])
        # Where several tags follow each other, the later ones fill in.
        values = _read_tag(header, file.read(min(size, _MAX_TAG_BYTES))) | values
        position += 10 + size
    return values


def read_lyrics_language(file: BinaryIO) -> str | None:
    """The language that the lyrics of a file's ID3v2 tag name: three letters, as in ISO 639-2."""
    file.seek(_tag_offset(file))
    header = file.read(10)
    if not _is_header(header):
        return None
    body = file.read(min(_synchsafe(header[6:]), _MAX_TAG_BYTES))
    frames = _tag_frames(header, body, frozenset(_LYRICS_FRAMES))
    named = (content[1:4].decode("latin-1").lower() for _, content in frames)
    return next((one for one in named if _LANGUAGE.fullmatch(one) and one != "xxx"), None)


def _is_header(header: bytes) -> bool:
    return len(header) == 10 and header.startswith(b"ID3") and header[3] in (2, 3, 4)


def _tag_frames(header: bytes, body: bytes, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Identifiers and contents of the frames of a tag that are wanted."""
    version, flags = header[3], header[5]
    if flags & 0x80 and version < 4:
        body = _resynchronise(body)
    if flags & 0x40 and version > 2 and len(body) > 4:
        # The size of the extended header: in 2.3 without itself.
        body = body[_synchsafe(body[:4]) if version == 4 else 4 + _big_endian(body[:4]) :]
    yield from _frames(body, version, wanted, is_unsynchronised=bool(flags & 0x80))


def _read_tag(header: bytes, body: bytes) -> dict[str, list[str]]:
    by_frame: dict[str, list[str]] = {}
    of_user: dict[str, list[str]] = {}
    for name, content in _tag_frames(header, body, _READ_FRAMES):
        if name in _ID_FRAMES:
            owner, _, given = content.partition(b"\0")
            if owner == _MUSICBRAINZ:
                of_user.setdefault("musicbrainz_trackid", []).append(decode_text(given))
            continue
        texts = _texts(content)
        if name in _USER_FRAMES:
            of_user.setdefault(f"txxx:{texts[0].strip().lower()}", []).extend(texts[1:])
        elif name in _GENRE_FRAMES:
            by_frame.setdefault(name, []).extend(g for text in texts for g in _genres(text))
        else:
            by_frame.setdefault(name, []).extend(texts)
    found = {
        field: next((by_frame[name] for name in names if name in by_frame), None)
        for field, names in _FRAMES.items()
    }
    return {field: texts for field, texts in found.items() if texts} | of_user


def tag_end(file: BinaryIO) -> int:
    """Where the ID3v2 tags at the head of a file end; 0 without one."""
    position = 0
    for _ in range(_MAX_TAGS):
        file.seek(position)
        header = file.read(10)
        if not _is_header(header):
            break
        position += 10 + _synchsafe(header[6:])
    return position


def _tag_offset(file: BinaryIO) -> int:
    """Where the tag begins: 0, but for containers that keep it in a chunk."""
    file.seek(0)
    head = file.read(28)
    match head[:4]:
        case b"RIFF" | b"RF64" | b"FORM":
            return _chunk_offset(file, 12, "<I" if head[:1] == b"R" else ">I")
        case b"FRM8":
            return _chunk_offset(file, 16, ">Q")
        case b"DSD " if len(head) == 28:
            offset: int = struct.unpack("<Q", head[20:28])[0]
            return offset if offset < 1 << 62 else 0
    return 0


def _chunk_offset(file: BinaryIO, position: int, size_format: str) -> int:
    """Where the content of the chunk "ID3 " or "id3 " begins, or 0 without one."""
    length = 4 + struct.calcsize(size_format)
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        header = file.read(length)
        if len(header) < length:
            return 0
        if header[:4].upper() == b"ID3 ":
            return position + length
        size: int = struct.unpack(size_format, header[4:])[0]
        position += length + size + size % 2
        if position >= 1 << 62:
            return 0
    return 0


def _frames(
    body: bytes, version: int, wanted: Collection[str], *, is_unsynchronised: bool
) -> Iterator[tuple[str, bytes]]:
    length = 6 if version == 2 else 10
    position = 0
    while (frame := _frame_id(body, position, version)) is not None:
        size = _frame_size(body, position, version)
        content = body[position + length : position + length + size]
        flags = body[position + 9] if version > 2 else 0
        position += length + size
        if size and frame in wanted:
            content = content[:_MAX_FRAME_BYTES]
            unsynchronised = version == 4 and (is_unsynchronised or bool(flags & 2))
            if decoded := _decode_frame(content, version, flags, unsynchronised=unsynchronised):
                yield frame, decoded


def _frame_id(body: bytes, position: int, version: int) -> str | None:
    length = 3 if version == 2 else 4
    name = body[position : position + length]
    is_whole = position + (6 if version == 2 else 10) <= len(body)
    if is_whole and re.fullmatch(rb"[A-Z][A-Z0-9]+ ?", name):
        return name.decode("ascii").strip()
    return None


def _frame_size(body: bytes, position: int, version: int) -> int:
    """Size of a frame's content: as its version has it, unless only the other way leads on."""
    if version == 2:
        return _big_endian(body[position + 3 : position + 6])
    sizes = _possible_sizes(body, position)
    if version == 3:
        sizes.reverse()
    for size in sizes:
        end = position + 10 + size
        if end == len(body) or body[end : end + 1] == b"\0":
            return size
        if _frame_id(body, end, version) and end + 10 + min(_possible_sizes(body, end)) <= len(
            body
        ):
            return size
    return sizes[0]


def _possible_sizes(body: bytes, position: int) -> list[int]:
    """Size of a frame of 2.3 or 2.4, read as synchsafe and as plain number."""
    stored = body[position + 4 : position + 8]
    return [_synchsafe(stored), _big_endian(stored)]


def _decode_frame(content: bytes, version: int, flags: int, *, unsynchronised: bool) -> bytes:
    """A frame's content without unsynchronisation and compression; empty if encrypted."""
    if version == 3:
        compressed, encrypted, grouped = flags & 0x80, flags & 0x40, flags & 0x20
        has_length = compressed
    else:
        compressed, encrypted, grouped = flags & 0x08, flags & 0x04, flags & 0x40
        has_length = flags & 0x01
    if encrypted and version > 2:
        return b""
    if unsynchronised:
        content = _resynchronise(content)
    content = content[(4 if has_length else 0) + (1 if grouped else 0) :]
    if not compressed:
        return content
    try:
        return zlib.decompressobj().decompress(content, _MAX_FRAME_BYTES)
    except zlib.error:
        return b""


def _texts(content: bytes) -> list[str]:
    """Values of a text frame: a byte for the encoding, then texts with NUL between them."""
    encoding, data = content[0], content[1:]
    if encoding == 1:
        if data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            data = b"\xff\xfe" + data
        text = data[: len(data) // 2 * 2].decode("utf-16", "replace")
    elif encoding == 2:
        text = data[: len(data) // 2 * 2].decode("utf-16-be", "replace")
    else:
        # Text marked as Latin-1 is UTF-8 in many files, and CP1252 in more.
        text = decode_text(data)
    return [value.strip("\ufeff") for value in text.rstrip("\0").split("\0")]


def _genres(text: str) -> Iterator[str]:
    """Names of the genres in a TCON value: "17", "(17)", "(17)(18)", "(17)Rock" or a name."""
    names = GENRES.replace("\n", " ").strip().split("; ")
    numbers = []
    while found := _GENRE_NUMBERS.match(text):
        numbers.append(found[1])
        text = text[found.end() :]
    if text.isdecimal() or text in ("RX", "CR"):
        numbers.append(text)
        text = ""
    text = text.removeprefix("(") if text.startswith("((") else text
    special = {"RX": "Remix", "CR": "Cover"}
    found_names = [
        special.get(number) or names[int(number)]
        for number in numbers
        if number in special or int(number) < len(names)
    ]
    # "(17)Rock": the name after the number refines it, and mostly repeats it.
    if text and len(found_names) < 2:
        found_names = []
    yield from found_names
    if text:
        yield text


def _resynchronise(data: bytes) -> bytes:
    return data.replace(b"\xff\x00", b"\xff")


def _synchsafe(data: bytes) -> int:
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value


def _big_endian(data: bytes) -> int:
    return int.from_bytes(data, "big")
