from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mediafile import Image, ImageType, MediaFile

from indexer.audio.apev2 import read_apev2
from indexer.audio.id3v2 import read_id3v2
from indexer.audio.tags import TaggedLyrics, Tags, read_lyrics, read_tags
from tests import sounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAGS = {
    "title": "Título \u266b",
    "artist": "Somebody",
    "album": "Some album",
    "genre": "Ambient",
    "date": "1999-05-01",
    "track": "7",
}


@pytest.fixture(scope="module")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An MP3 without any tag."""
    path = sounds.write_audio(tmp_path_factory.mktemp("mp3") / "a.mp3", sounds.music(1))
    return path.read_bytes()[45:]


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".mka"])
def test_every_container(tmp_path: Path, suffix: str) -> None:
    path = sounds.write_audio(tmp_path / f"a{suffix}", sounds.music(1), tags=TAGS)
    assert read_tags(path) == Tags(
        title="Título \u266b",
        artist="Somebody",
        album="Some album",
        genre="Ambient",
        year=1999,
        track_number=7,
        artists=("Somebody",),
        genres=("Ambient",),
    )


RECORDING, RELEASE, ARTIST, OTHER = (f"{n:08x}-0000-4000-8000-00000000abcd" for n in range(4))


@pytest.mark.parametrize(
    "suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wma", ".wv", ".aiff", ".wav"]
)
def test_identifiers_as_a_tagger_writes_them(tmp_path: Path, suffix: str) -> None:
    path = sounds.write_audio(tmp_path / f"a{suffix}", sounds.music(1))
    file = MediaFile(path)
    file.update(
        {
            "title": "One",
            "disc": 2,
            "disctotal": 3,
            "isrc": "gb-ayE-68-00011",
            "mb_trackid": RECORDING,
            "mb_albumid": RELEASE,
            "mb_artistid": f"{ARTIST}/{OTHER}",
            "mb_albumartistid": ARTIST,
            "mb_releasetrackid": OTHER,
        }
    )
    picture = sounds.picture(tmp_path / "a.png").read_bytes()
    # APEv2 names a picture by a file, and FFmpeg goes by its ending.
    file.images = [Image(picture, desc="front.png", type=ImageType.front)]
    file.save()
    tags = read_tags(path)
    assert (tags.title, tags.disc_number, tags.isrc) == ("One", 2, "GBAYE6800011")
    assert (tags.musicbrainz_track_id, tags.musicbrainz_album_id) == (RECORDING, RELEASE)
    assert tags.musicbrainz_artist_ids == (ARTIST, OTHER)
    assert tags.musicbrainz_album_artist_ids == (ARTIST,)
    assert tags.has_cover


def test_what_is_no_identifier_is_left_out(tmp_path: Path) -> None:
    path = sounds.write_audio(
        tmp_path / "a.flac",
        sounds.music(1),
        tags={"ISRC": "none", "MUSICBRAINZ_TRACKID": RECORDING[1:], "DISCNUMBER": "A"},
    )
    assert read_tags(path) == Tags()


def test_album_artist(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.mp3", sounds.music(1), tags={"album_artist": "All"})
    assert read_tags(path).album_artist == "All"


def test_no_tags(tmp_path: Path) -> None:
    assert read_tags(sounds.write_audio(tmp_path / "a.wav", sounds.music(1))) == Tags()


def test_nothing_is_raised(tmp_path: Path) -> None:
    mp3 = sounds.write_audio(tmp_path / "a.mp3", sounds.music(1))
    for path in (
        sounds.empty_file(tmp_path / "empty.mp3"),
        sounds.random_bytes(tmp_path / "random.mp3"),
        sounds.text_file(tmp_path / "text.mp3"),
        sounds.picture(tmp_path / "a.png"),
        sounds.cut(tmp_path / "cut.mp3", mp3, keep=15),
        tmp_path / "missing.mp3",
        tmp_path,
    ):
        assert read_tags(path) == Tags()


def raw_mp3(folder: Path, **frames: bytes) -> Path:
    path = folder / "raw.mp3"
    path.write_bytes(sounds.id3v2(frames))
    sound = sounds.write_audio(folder / "sound.mp3", sounds.music(1))
    with path.open("ab") as file:
        file.write(sound.read_bytes())
    return path


def test_bytes_that_are_not_in_the_encoding_they_claim(tmp_path: Path) -> None:
    tags = read_tags(raw_mp3(tmp_path, TIT2=b"\x03caf\xe9 \xff", TPE1=b"\x00caf\xe9"))
    assert tags.title is None or tags.title.startswith("caf")
    assert tags.artist == "café"
    "".join(filter(None, (tags.title, tags.artist))).encode("utf-8")


def test_vorbis_comments_that_are_not_utf8(tmp_path: Path) -> None:
    source = sounds.write_audio(tmp_path / "a.flac", sounds.music(1))
    tags = read_tags(sounds.vorbis_comment_not_utf8(tmp_path / "bad.flac", source))
    assert tags.title == "caféÿ"


def test_lone_surrogates_and_control_characters_are_removed(tmp_path: Path) -> None:
    broken = b"\x01\xff\xfe" + "a\ud800b\tc\x07 \x1b[31md".encode("utf-16-le", "surrogatepass")
    title = read_tags(raw_mp3(tmp_path, TIT2=broken)).title
    assert title is None or title.isprintable()
    assert read_tags(raw_mp3(tmp_path, TIT2=b"\x00  one\ntwo\x07 \x00")).title == "one two"
    assert read_tags(raw_mp3(tmp_path, TIT2=b"\x00   ")).title is None


def test_years(tmp_path: Path) -> None:
    for written in (b"1999", b"1999-05-01", b"01.05.1999", b"19990501"):
        assert read_tags(raw_mp3(tmp_path, TYER=b"\x00" + written)).year == 1999
    for written in (b"99", b"unknown"):
        assert read_tags(raw_mp3(tmp_path, TYER=b"\x00" + written)).year is None


def test_id3v1(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.mp3", sounds.music(1))
    bare = path.read_bytes()[200:]
    path.write_bytes(bare + sounds.id3v1(title=b"Old", genre=17))
    assert (read_tags(path).title, read_tags(path).genre) == ("Old", "Rock")


def test_paths_of_any_bytes(tmp_path: Path) -> None:
    source = sounds.write_audio(tmp_path / "a.mp3", sounds.music(1), tags={"title": "Odd"})
    for name in sounds.odd_names():
        assert read_tags(sounds.copy_as(source, tmp_path, name)).title == "Odd"


def test_numbers_of_genres(tmp_path: Path) -> None:
    for written, genres in (
        *((b"(17)", ("Rock",)), (b"17", ("Rock",))),
        (b"(17)Rock", ("Rock",)),
        (b"Dub", ("Dub",)),
        (b"(17)(18)", ("Rock", "Techno")),
        (b"(4)Eurodisco", ("Eurodisco",)),
        (b"(17)(18)Mine", ("Rock", "Techno", "Mine")),
        (b"((brackets)", ("(brackets)",)),
        (b"17\x008\0Own", ("Rock", "Jazz", "Own")),
        (b"(RX)(250)", ("Remix",)),
        (b"Rock; Jazz", ("Rock", "Jazz")),
    ):
        tags = read_tags(raw_mp3(tmp_path, TCON=b"\0" + written))
        assert (tags.genres, tags.genre) == (genres, "; ".join(genres))


def test_apev2_only(mp3: bytes, tmp_path: Path) -> None:
    items = {"Title": b"Real Title", "Artist": b"Real Artist\0Other", "Year": b"1959"}
    tag = sounds.apev2(items | {"Genre": b"Jazz", "Album Artist": b"All", "Track": b"6/15"})
    expected = Tags(
        title="Real Title",
        artist="Real Artist; Other",
        genre="Jazz",
        year=1959,
        track_number=6,
        album_artist="All",
        artists=("Real Artist", "Other"),
        album_artists=("All",),
        genres=("Jazz",),
    )
    lyrics = b"LYRICSBEGINwordsLYRICSEND"
    for name, content in {
        "end": mp3 + tag,
        "lyrics3": mp3 + tag + lyrics,
        "id3v1": mp3 + tag + sounds.id3v1(title=b"Old", genre=17),
    }.items():
        path = tmp_path / f"{name}.mp3"
        path.write_bytes(content)
        assert read_tags(path) == expected
    assert read_apev2(BytesIO(tag + b"sound"))["title"] == ["Real Title"]


def id3v2(body: bytes, *, version: int, flags: int = 0) -> bytes:
    return b"ID3" + bytes((version, 0, flags)) + synchsafe(len(body)) + body


def synchsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def frame(name: str, content: bytes, *, flags: int = 0, is_synchsafe: bool = False) -> bytes:
    size = synchsafe(len(content)) if is_synchsafe else struct.pack(">I", len(content))
    return name.encode() + size + struct.pack(">H", flags) + content


def utf16(text: str) -> bytes:
    return b"\x01" + text.encode("utf-16")


def unsynchronise(body: bytes) -> bytes:
    return body.replace(b"\xff", b"\xff\0")


BJORK = {"TIT2": utf16("\u0178\xff Title"), "TPE1": utf16("Björk"), "TALB": utf16("Debut")}
PLAIN = b"".join(frame(name, content) for name, content in BJORK.items())
SAFE = b"".join(frame(name, content, is_synchsafe=True) for name, content in BJORK.items())


@pytest.mark.parametrize(
    "tag",
    [
        id3v2(unsynchronise(PLAIN), version=3, flags=0x80),
        id3v2(struct.pack(">IHI", 6, 0, 0) + PLAIN, version=3, flags=0x40),
        id3v2(struct.pack(">IHII", 10, 0x8000, 0, 7) + PLAIN, version=3, flags=0x40),
        id3v2(synchsafe(6) + b"\x01\0" + SAFE, version=4, flags=0x40),
        id3v2(SAFE + bytes(100), version=4),
        id3v2(
            b"".join(
                frame(name, unsynchronise(content), flags=2, is_synchsafe=True)
                for name, content in BJORK.items()
            ),
            version=4,
            flags=0x80,
        ),
        id3v2(
            b"".join(
                frame(name, struct.pack(">I", len(content)) + zlib.compress(content), flags=0x80)
                for name, content in BJORK.items()
            ),
            version=3,
        ),
        id3v2(
            b"".join(
                frame(
                    name,
                    b"g" + synchsafe(len(content)) + zlib.compress(content),
                    flags=0x49,
                    is_synchsafe=True,
                )
                for name, content in BJORK.items()
            ),
            version=4,
        ),
        id3v2(
            b"".join(
                name.encode() + len(content).to_bytes(3, "big") + content
                for name, content in zip(("TT2", "TP1", "TAL"), BJORK.values(), strict=True)
            ),
            version=2,
        ),
    ],
    ids=(
        *("unsynchronised", "extended", "extended with CRC", "extended 2.4", "2.4"),
        *("unsynchronised 2.4", "compressed", "compressed 2.4", "2.2"),
    ),
)
def test_forms_of_id3v2(mp3: bytes, tmp_path: Path, tag: bytes) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(tag + mp3)
    tags = read_tags(path)
    assert (tags.title, tags.artist, tags.album) == ("\u0178\xff Title", "Björk", "Debut")


def test_frames_of_id3v2_4_with_sizes_that_are_not_synchsafe(mp3: bytes, tmp_path: Path) -> None:
    frames = {"TIT2": b"\0" + b"T" * 300, "TPE1": b"\0Artist Ten", "TALB": b"\0Album Ten"}
    path = tmp_path / "a.mp3"
    body = b"".join(frame(name, content) for name, content in frames.items())
    for padding in (b"", bytes(50)):
        path.write_bytes(id3v2(body + padding, version=4) + mp3)
        tags = read_tags(path)
        assert (tags.title, tags.artist, tags.album) == ("T" * 300, "Artist Ten", "Album Ten")


def test_tags_that_follow_each_other_fill_in(mp3: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    first = id3v2(frame("TPE1", b"\0First") + bytes(20), version=3)
    second = id3v2(frame("TPE1", b"\0No") + frame("TIT2", b"\0Second"), version=3)
    path.write_bytes(first + second + mp3)
    assert (read_tags(path).artist, read_tags(path).title) == ("First", "Second")


def test_dates_of_id3v2_in_order_of_preference(tmp_path: Path) -> None:
    assert read_tags(raw_mp3(tmp_path, TORY=b"\x001970", TYER=b"\x001999")).year == 1999
    assert read_tags(raw_mp3(tmp_path, TORY=b"\x001970")).year == 1970


def test_utf8_that_is_said_to_be_latin1(tmp_path: Path) -> None:
    path = raw_mp3(tmp_path, TIT2=b"\0" + "Jóga \u266b".encode(), TPE1=b"\0Bj\xf6rk \x96 x")
    assert (read_tags(path).title, read_tags(path).artist) == ("Jóga \u266b", "Björk \u2013 x")


def test_one_damaged_byte_leaves_the_rest_of_utf8(tmp_path: Path) -> None:
    path = raw_mp3(tmp_path, TIT2=b"\x03\xffran d\xc3\xada", TPE1=b"\x03\xfc\xfc\xd6\xae")
    assert (read_tags(path).title, read_tags(path).artist) == ("ÿran día", "üüÖ®")


def test_genre_of_id3v1_that_was_renamed(mp3: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3 + sounds.id3v1(title=b"Caf\xe9", genre=133))
    assert (read_tags(path).title, read_tags(path).genre) == ("Café", "Afro-Punk")


def test_apev2_goes_before_id3v2_where_it_is_at_home(tmp_path: Path) -> None:
    path = tmp_path / "a.wv"
    front = sounds.id3v2({"TPE1": b"\0Wrong", "TIT2": b"\0Kept"})
    path.write_bytes(front + b"wvpk" + bytes(100) + sounds.apev2({"Artist": b"Right"}))
    assert (read_tags(path).artist, read_tags(path).title) == ("Right", "Kept")


def test_several_values_in_id3v2(mp3: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(
        id3v2(
            frame("TXXX", b"\x03ALBUMARTISTS\0All\0Others")
            + frame("TPE1", b"\x03Artist A\0Artist B")
            + frame("TPE2", b"\x03All & Others")
            + frame("TCON", b"\x03Rock\0Jazz\x0042\0Jazz"),
            version=4,
        )
        + mp3
    )
    tags = read_tags(path)
    assert (tags.artist, tags.artists) == ("Artist A; Artist B", ("Artist A", "Artist B"))
    assert (tags.genre, tags.genres) == ("Rock; Jazz; Soul", ("Rock", "Jazz", "Soul"))
    assert (tags.album_artist, tags.album_artists) == ("All & Others", ("All", "Others"))


def test_artists_of_id3v2_3_are_separated_by_slashes(tmp_path: Path) -> None:
    duet = raw_mp3(tmp_path, TXXX=b"\0ARTISTS\0Beth/Joe", TPE1=b"\0Beth & Joe")
    assert read_tags(duet).artists == ("Beth", "Joe")
    band = raw_mp3(tmp_path, TXXX=b"\0ARTISTS\0AC/DC", TPE1=b"\0AC/DC")
    assert read_tags(band).artists == ("AC/DC",)


def test_id3v2_in_chunks_and_where_dsf_points(tmp_path: Path) -> None:
    tag = sounds.id3v2({"TPE1": b"\0A\0B"})
    size = len(tag)
    path = sounds.write_audio(tmp_path / "a.wav", sounds.music(1))
    path.write_bytes(path.read_bytes() + b"id3 " + struct.pack("<I", size) + tag)
    assert read_tags(path).artists == ("A", "B")
    head = b"DSD " + struct.pack("<QQQ", 28, 0, 40)
    aiff = b"FORM\0\0\0\0AIFFODD \0\0\0\x01x\0ID3 " + struct.pack(">I", size)
    dsdiff = (
        b"FRM8"
        + bytes(8)
        + b"DSD PROP"
        + struct.pack(">Q", 2)
        + b"xxID3 "
        + struct.pack(">Q", size)
    )
    for content in (head + bytes(12) + tag, aiff + tag, dsdiff + tag):
        assert read_id3v2(BytesIO(content)) == {"artist": ["A", "B"]}
    endless = b"RIFF\0\0\0\0WAVE" + b"void\0\0\0\0" * 5000
    assert read_id3v2(BytesIO(endless)) == {}


def flac_with_comments(path: Path, *comments: str) -> Path:
    """A FLAC file of these Vorbis comments, keys in the order given."""
    sounds.vorbis_comment_not_utf8(path, sounds.write_audio(path, sounds.music(1)))
    data = path.read_bytes()
    texts = [comment.encode() for comment in comments]
    block = struct.pack("<I", 0) + struct.pack("<I", len(texts))
    block += b"".join(struct.pack("<I", len(text)) + text for text in texts)
    old = int.from_bytes(data[43:46], "big")
    path.write_bytes(data[:43] + len(block).to_bytes(3, "big") + block + data[46 + old :])
    return path


def test_vorbis_comments(tmp_path: Path) -> None:
    tags = read_tags(
        flac_with_comments(
            tmp_path / "a.flac",
            *("ARTISTS=First", "ARTISTS=Second", "ARTIST=First & Second", "YEAR=1987"),
            *("ALBUM ARTIST=The Album Artist", "GENRE=Rock", "genre=Jazz", "TRACKNUMBER=3/12"),
            *("TITLE=One", "TITLE=Two", "ALBUM=This; that"),
        )
    )
    assert (tags.artist, tags.artists) == ("First & Second", ("First", "Second"))
    assert (tags.album_artist, tags.year, tags.track_number) == ("The Album Artist", 1987, 3)
    assert (tags.genre, tags.genres) == ("Rock; Jazz", ("Rock", "Jazz"))
    assert (tags.title, tags.album) == ("One", "This; that")
    two = flac_with_comments(tmp_path / "b.flac", "ARTIST=A", "ARTIST=B")
    assert (read_tags(two).artist, read_tags(two).artists) == ("A; B", ("A", "B"))


def test_a_tag_in_front_of_flac_gives_way_to_vorbis_comments(tmp_path: Path) -> None:
    path = flac_with_comments(tmp_path / "a.flac", "ARTIST=Right")
    path.write_bytes(sounds.id3v2({"TPE1": b"\0Wrong", "TIT2": b"\0Kept"}) + path.read_bytes())
    assert (read_tags(path).artist, read_tags(path).title) == ("Right", "Kept")


def edit_atom(data: bytes, path: list[bytes], edit: Callable[[bytes], bytes]) -> bytes:
    """MP4 data with the content of one atom edited, and the sizes around it."""
    position, parts = 0, []
    while position < len(data):
        size, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 :][:4]
        content = data[position + 8 : position + size]
        if name == path[0]:
            skipped = 4 if name == b"meta" and len(path) > 1 else 0
            inner = content[skipped:]
            inner = edit_atom(inner, path[1:], edit) if len(path) > 1 else edit(inner)
            content = content[:skipped] + inner
        parts.append(struct.pack(">I", len(content) + 8) + name + content)
        position += size
    return b"".join(parts)


def test_mp4(tmp_path: Path) -> None:
    tags = {"title": "Tagged M4A", "artist": "Art", "genre": "Jazz"}
    path = sounds.write_audio(tmp_path / "a.m4a", sounds.music(1), tags=tags)
    data = path.read_bytes()
    misnamed = tmp_path / "a.mp3"
    misnamed.write_bytes(data)
    without_version = edit_atom(data, [b"moov", b"udta", b"meta"], lambda meta: meta[4:])
    (tmp_path / "quicktime.m4a").write_bytes(without_version)
    for file in (misnamed, tmp_path / "quicktime.m4a"):
        found = read_tags(file)
        assert (found.title, found.artist, found.genre) == ("Tagged M4A", "Art", "Jazz")
    more = struct.pack(">I4sII", 16 + len("More"), b"data", 1, 0) + b"More"
    artist = [b"moov", b"udta", b"meta", b"ilst", b"\xa9ART"]
    path.write_bytes(edit_atom(data, artist, lambda atoms: atoms + more))
    assert (read_tags(path).artist, read_tags(path).artists) == ("Art; More", ("Art", "More"))


def test_several_values_in_wma(tmp_path: Path) -> None:
    source = sounds.write_audio(tmp_path / "a.wma", sounds.music(1), tags={"genre": "Rock"})
    data = source.read_bytes()
    guid = bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850")
    start = data.index(guid)
    size, count = struct.unpack("<QH", data[start + 16 : start + 26])
    added = b""
    for key, value in (
        *(("WM/Genre", "Jazz"), ("WM/Year", "2001")),
        *(("WM/Track", "5"), ("WM/TrackNumber", "6/15")),
    ):
        texts = [f"{text}\0".encode("utf-16-le") for text in (key, value)]
        added += struct.pack("<H", len(texts[0])) + texts[0]
        added += struct.pack("<HH", 0, len(texts[1])) + texts[1]
    whole = struct.unpack("<Q", data[16:24])[0] + len(added)
    head = data[:16] + struct.pack("<Q", whole) + data[24 : start + 16]
    head += struct.pack("<QH", size + len(added), count + 4) + data[start + 26 : start + size]
    source.write_bytes(head + added + data[start + size :])
    tags = read_tags(source)
    assert (tags.genres, tags.year, tags.track_number) == (("Rock", "Jazz"), 2001, 6)


def test_info_of_wav_in_cp1252(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.wav", sounds.music(1))
    info = b"INFO"
    for name, text in ((b"INAM", b"Caf\xe9\0"), (b"IART", b"Bj\xf6rk\0"), (b"IPRT", b"3/12\0")):
        info += name + struct.pack("<I", len(text)) + text + bytes(len(text) % 2)
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info)
    tags = read_tags(path)
    assert (tags.title, tags.artist, tags.track_number) == ("Café", "Björk", 3)


@pytest.mark.parametrize(
    ("stored", "title"),
    [
        ("bad \ud800 sur", "bad \ufffd sur"),
        ("x\udc00y", "x\ufffdy"),
        ("end \ud800", "end \ufffd"),
        ("\ud800 begin", "\ufffd begin"),
    ],
)
def test_half_of_a_utf_16_pair_is_replaced(tmp_path: Path, stored: str, title: str) -> None:
    content = b"\x01\xff\xfe" + stored.encode("utf-16-le", "surrogatepass")
    assert read_tags(raw_mp3(tmp_path, TIT2=content)).title == title


def test_a_suspect_value_gives_way_to_another_reader(mp3: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    broken = frame("TIT2", b"\0\x03\x04") + frame("TPE1", b"\x01\xff\xfe\x00\xd8a\0")
    good = sounds.apev2({"Title": b"Right", "Artist": b"Whole"})
    path.write_bytes(id3v2(broken, version=3) + mp3 + good)
    assert (read_tags(path).title, read_tags(path).artist) == ("Right", "Whole")


def test_damaged_tags_raise_nothing(mp3: bytes) -> None:
    rng = np.random.default_rng(0)
    apev2 = sounds.apev2({"Title": b"t", "Artist": b"a\0b"})
    for tag in (id3v2(SAFE, version=4, flags=0xC0), id3v2(PLAIN, version=3, flags=0xC0), apev2):
        for _ in range(300):
            data = np.frombuffer(tag, np.uint8).copy()
            data[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
            for content in (data.tobytes(), data.tobytes() + mp3[:50]):
                read_id3v2(BytesIO(content))
                read_apev2(BytesIO(content))


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.mp3")
    assert read_tags(tmp_path / "fifo.mp3") == Tags()
    assert read_lyrics(tmp_path / "fifo.mp3") is None


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".opus", ".m4a", ".wma"])
def test_lyrics_of_every_container(tmp_path: Path, suffix: str) -> None:
    words = "[00:01.00]Erste Zeile \u266b\nzweite"
    path = sounds.write_audio(tmp_path / f"a{suffix}", sounds.music(1), tags={"lyrics": words})
    assert read_lyrics(path) == TaggedLyrics(words, None)


def test_lyrics_of_mp3_players(tmp_path: Path) -> None:
    text = "caf\u00e9\nsecond"
    for language, content in (
        ("eng", b"\x03eng\0" + text.encode()),
        ("deu", b"\x00DEUtitle\0" + text.encode("latin-1")),
        (None, b"\x01XXX\xff\xfe\0\0" + text.encode("utf-16")),
        (None, b"\x03\0\0\0\0" + text.encode()),
    ):
        found = read_lyrics(raw_mp3(tmp_path, USLT=content))
        assert found == TaggedLyrics(text, language)


def test_no_lyrics_and_nothing_raised(tmp_path: Path) -> None:
    mp3 = sounds.write_audio(tmp_path / "a.mp3", sounds.music(1))
    for path in (
        mp3,
        raw_mp3(tmp_path, USLT=b"\x03eng\0 \n"),
        raw_mp3(tmp_path, USLT=b"\x01"),
        raw_mp3(tmp_path, SYLT=b"\x00en"),
        sounds.empty_file(tmp_path / "empty.mp3"),
        sounds.random_bytes(tmp_path / "random.flac"),
        sounds.cut(tmp_path / "cut.mp3", mp3, keep=15),
        tmp_path / "missing.mp3",
        tmp_path,
    ):
        assert read_lyrics(path) is None
