from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer.audio.cover_art import LARGEST_PICTURE, read_cover
from tests import sounds

FRONT, BACK = 3, 4


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return sounds.picture(tmp_path_factory.mktemp("pictures") / "a.jpg").read_bytes()


@pytest.fixture(scope="module")
def png(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return sounds.picture(tmp_path_factory.mktemp("pictures") / "a.png").read_bytes()


def song(path: Path, **options: object) -> Path:
    return sounds.write_audio(path, sounds.music(2), **options)


def cover_of(path: Path) -> tuple[str, bytes] | None:
    found = read_cover(path)
    return None if found is None else (found.media_type, found.data)


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".flac", ".m4a", ".wv"])
def test_a_cover_in_tags_is_handed_on_byte_for_byte(
    tmp_path: Path, jpeg: bytes, suffix: str
) -> None:
    path = sounds.add_cover(song(tmp_path / f"a{suffix}"), (FRONT, jpeg))
    assert cover_of(path) == ("image/jpeg", jpeg)


def test_a_cover_in_vorbis_comments(tmp_path: Path, jpeg: bytes) -> None:
    path = song(tmp_path / "a.opus", tags=sounds.opus_cover(jpeg))
    assert cover_of(path) == ("image/jpeg", jpeg)


def test_the_front_is_taken_before_the_back(tmp_path: Path, jpeg: bytes, png: bytes) -> None:
    for suffix in (".mp3", ".flac"):
        path = sounds.add_cover(song(tmp_path / f"a{suffix}"), (BACK, jpeg), (FRONT, png))
        assert cover_of(path) == ("image/png", png)


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("image/jpeg", b"<html><script>alert(1)</script>"),
        ("image/png", b"<svg/>"),
        ("text/html", b"<html>"),
        ("image/jpeg", b""),
        ("-->", b"http://127.0.0.1/cover.jpg"),
    ],
)
def test_what_is_no_picture_is_no_cover(tmp_path: Path, media_type: str, data: bytes) -> None:
    for suffix in (".mp3", ".flac"):
        path = song(tmp_path / f"a{suffix}")
        assert cover_of(sounds.add_cover(path, (FRONT, data), media_type=media_type)) is None


def test_a_picture_beside_the_file_serves_where_there_is_none_in_it(
    tmp_path: Path, jpeg: bytes, png: bytes
) -> None:
    path = song(tmp_path / "a.ogg")
    assert cover_of(path) is None
    (tmp_path / "Folder.png").write_bytes(png)
    assert cover_of(path) == ("image/png", png)
    (tmp_path / "cover.jpg").write_bytes(jpeg)
    assert cover_of(path) == ("image/jpeg", jpeg)
    (tmp_path / "a.ogg").write_bytes(b"not audio")
    assert cover_of(path) == ("image/jpeg", jpeg)


def test_what_lies_beside_the_file_is_not_followed_nor_waited_for(
    tmp_path: Path, jpeg: bytes
) -> None:
    path = song(tmp_path / "a.ogg")
    (tmp_path / "secret").write_bytes(jpeg)
    (tmp_path / "cover.jpg").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "folder.jpg")
    (tmp_path / "front.jpg").mkdir()
    with (tmp_path / "album.jpg").open("wb") as large:
        large.write(jpeg)
        large.truncate(LARGEST_PICTURE + 1)
    assert cover_of(path) is None


def test_a_picture_too_large_is_left_out(tmp_path: Path) -> None:
    assert cover_of(sounds.write_large_cover(tmp_path / "a.m4a", size=LARGEST_PICTURE + 1)) is None
