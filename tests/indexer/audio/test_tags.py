from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.audio.tags import Tags, read_lyrics, read_tags
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path

TAGS = {
    "title": "Título \u266b",
    "artist": "Somebody",
    "album": "Some album",
    "genre": "Ambient",
    "date": "1999-05-01",
    "track": "7",
}


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
    )


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
    assert tags.title is not None
    assert tags.title.startswith("caf")


def test_lone_surrogates_and_control_characters_are_removed(tmp_path: Path) -> None:
    broken = b"\x01\xff\xfe" + "a\ud800b\tc\x07 \x1b[31md".encode("utf-16-le", "surrogatepass")
    title = read_tags(raw_mp3(tmp_path, TIT2=broken)).title
    assert title is None or title.isprintable()
    assert read_tags(raw_mp3(tmp_path, TIT2=b"\x00  one\ntwo\x07 \x00")).title == "one two"
    assert read_tags(raw_mp3(tmp_path, TIT2=b"\x00   ")).title is None


@pytest.mark.parametrize(
    ("written", "genre"),
    [(b"(17)", "Rock"), (b"17", "Rock"), (b"(17)Rock", "Rock"), (b"Dub", "Dub")],
)
def test_numbers_of_genres(tmp_path: Path, written: bytes, genre: str) -> None:
    assert read_tags(raw_mp3(tmp_path, TCON=b"\x00" + written)).genre == genre


@pytest.mark.parametrize(
    ("written", "year"),
    [
        (b"1999", 1999),
        (b"1999-05-01", 1999),
        (b"01.05.1999", 1999),
        (b"19990501", 1999),
        (b"99", None),
        (b"unknown", None),
    ],
)
def test_years(tmp_path: Path, written: bytes, year: int | None) -> None:
    assert read_tags(raw_mp3(tmp_path, TYER=b"\x00" + written)).year == year


def test_id3v1(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.mp3", sounds.music(1))
    bare = path.read_bytes()[200:]
    path.write_bytes(bare + sounds.id3v1(title=b"Old", genre=17))
    assert (read_tags(path).title, read_tags(path).genre) == ("Old", "Rock")


def test_paths_of_any_bytes(tmp_path: Path) -> None:
    source = sounds.write_audio(tmp_path / "a.mp3", sounds.music(1), tags={"title": "Odd"})
    for name in sounds.odd_names():
        assert read_tags(sounds.place(source, tmp_path, name)).title == "Odd"


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".opus", ".m4a", ".wma"])
def test_lyrics_of_every_container(tmp_path: Path, suffix: str) -> None:
    words = "[00:01.00]Erste Zeile \u266b\nzweite"
    path = sounds.write_audio(tmp_path / f"a{suffix}", sounds.music(1), tags={"lyrics": words})
    assert read_lyrics(path) == words


def test_lyrics_of_mp3_players(tmp_path: Path) -> None:
    text = "caf\u00e9\nsecond"
    for content in (
        b"\x03eng\0" + text.encode(),
        b"\x00engtitle\0" + text.encode("latin-1"),
        b"\x01eng\xff\xfe\0\0" + text.encode("utf-16"),
    ):
        assert read_lyrics(raw_mp3(tmp_path, USLT=content)) == text


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
