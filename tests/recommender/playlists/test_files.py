from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from indexer.catalog.records import Track
from indexer.errors import InvalidOption
from recommender.playlists import files

NASTY = (
    b"plain.mp3",
    b"with space and , comma.mp3",
    "Bj\N{LATIN SMALL LETTER O WITH DIAERESIS}rk \N{MUSICAL NOTE}.opus".encode(),
    b"#hash.mp3",
    b"sub/#hash.mp3",
    b"two\nlines\r\n#EXTINF:1,lie.mp3",
    b"tab\tand bell\x07.mp3",
    "line\N{LINE SEPARATOR}separator\N{NEXT LINE}.mp3".encode(),
    b"latin-1 \xe9.mp3",
    b" blanks around .mp3 ",
    b"http:/not a site.mp3",
    b"C:track.mp3",
    b"100%25 sure.mp3",
    b"back\\slash.mp3",
)


def track(number: int, path: bytes, **tags: object) -> Track:
    facts: dict[str, object] = dict.fromkeys(Track.__dataclass_fields__)
    facts |= {"id": number, "key": os.fsdecode(os.path.basename(path)), "path": path}
    return Track(**(facts | {"status": "present", "duration_s": 10.4 + number} | tags))


def read_m3u8(data: bytes, folder: bytes) -> list[tuple[int, str, bytes]]:
    """Seconds, label and file of each entry: a player's view, written without the writer's code."""
    entries, label = [], (-1, "")
    for line in data.decode("utf-8").splitlines():
        if line.startswith("#EXTINF:"):
            seconds, _, text = line.removeprefix("#EXTINF:").partition(",")
            label = (int(seconds), text)
        elif line.strip() and not line.startswith("#"):
            place = line.strip()
            uri = place.startswith("file://")
            named = unquote_to_bytes(place[7:]) if uri else place.encode()
            entries.append((*label, os.path.normpath(os.path.join(folder, named))))
            label = (-1, "")
    return entries


@pytest.mark.parametrize("relative", [True, False])
def test_every_name_is_read_back_as_it_is(tmp_path: Path, relative: bool) -> None:
    music = tmp_path / "music"
    tracks = [track(i, os.path.join(os.fsencode(music), tail)) for i, tail in enumerate(NASTY)]
    for one in tracks:
        os.makedirs(os.path.dirname(one.path), exist_ok=True)
        Path(os.fsdecode(one.path)).touch()
    folder = tmp_path / "lists"
    folder.mkdir()
    files.save(tracks, str(folder / "mix.m3u8"), relative=relative)
    found = read_m3u8((folder / "mix.m3u8").read_bytes(), os.fsencode(folder))
    assert [path for _, _, path in found] == [one.path for one in tracks]
    assert [seconds for seconds, _, _ in found] == [round(one.duration_s) for one in tracks]
    assert all(os.path.exists(path) for _, _, path in found)
    assert os.listdir(folder) == ["mix.m3u8"]


def test_paths_are_relative_or_absolute_as_asked(tmp_path: Path) -> None:
    music = os.fsencode(tmp_path / "music" / "a.mp3")
    text = files.write_m3u8([track(1, music)], None, relative_to=tmp_path / "lists")
    assert text.splitlines()[-1] == "../music/a.mp3"
    text = files.write_m3u8([track(1, music)], None, relative_to=None)
    assert text.splitlines()[-1] == os.fsdecode(music)


def test_relative_paths_count_from_where_a_linked_folder_really_is(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er")
    music = tmp_path / "a.mp3"
    music.touch()
    place = tmp_path / "link" / "mix.m3u8"
    files.save([track(1, os.fsencode(music))], str(place), relative=True)
    line = place.read_text().splitlines()[-1]
    assert os.path.exists(f"{tmp_path}/link/{line}")


def test_names_from_tags_cannot_add_lines() -> None:
    evil = track(
        1, b"/a.mp3", artist="A\n/etc/passwd\r\x0b\x1c", title="\N{LINE SEPARATOR}#EXTM3U\ud800 T"
    )
    text = files.write_m3u8([evil], None, relative_to=None, title="my\nlist")
    assert text.splitlines() == [
        "#EXTM3U",
        "#PLAYLIST:my list",
        "#EXTINF:11,A /etc/passwd - #EXTM3U T",
        "/a.mp3",
    ]


def test_json_is_read_back(tmp_path: Path) -> None:
    tracks = [track(3, b"/m/\xff\n.mp3", title="T", artist="A\ud800", album="B")]
    place = tmp_path / "mix.json"
    files.save(tracks, str(place), title="mix")
    read = json.loads(place.read_bytes())
    assert (read["playlist"], read["duration_s"]) == ("mix", 13.4)
    assert read["tracks"][0] == {
        "id": 3,
        "key": tracks[0].key,
        "path": "/m/\\xff\n.mp3",
        "title": "T",
        "artist": "A\ud800",
        "album": "B",
        "duration_s": 13.4,
    }


@pytest.mark.parametrize("name", ["mix.m3u8", "mix.json"])
def test_only_a_playlist_is_overwritten_unless_told(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    one, two = track(1, b"/1.mp3"), track(2, b"/2.mp3")
    files.save([one], str(place))
    place.chmod(0o640)
    files.save([two], str(place))
    assert "2.mp3" in place.read_text()
    assert place.stat().st_mode & 0o777 == 0o640
    for content in (b"#!/bin/sh\n", b'{"tracks": 1}', b"[1]", b"\xff\xfe"):
        place.write_bytes(content)
        with pytest.raises(InvalidOption, match="is no playlist"):
            files.save([one], str(place))
        assert place.read_bytes() == content
    files.save([one], str(place), overwrite=True)
    assert "1.mp3" in place.read_text()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("song.mp3", "ends neither in"),
        ("no such folder/mix.m3u8", "cannot be written"),
        ("folder.m3u8", "is not a file"),
        ("mix.m3u8/inside.m3u8", "cannot be written"),
    ],
)
def test_an_impossible_place_is_refused_in_a_sentence(
    tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / "folder.m3u8").mkdir()
    (tmp_path / "mix.m3u8").write_text("#EXTM3U\n")
    with pytest.raises(InvalidOption, match=sentence):
        files.save([], str(tmp_path / name))
    assert sorted(os.listdir(tmp_path)) == ["folder.m3u8", "mix.m3u8"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.m3u8").touch()
    (tmp_path / "link.m3u8").symlink_to("real.m3u8")
    files.save([track(1, b"/1.mp3")], str(tmp_path / "link.m3u8"))
    assert (tmp_path / "link.m3u8").is_symlink()
    assert "1.mp3" in (tmp_path / "real.m3u8").read_text()
