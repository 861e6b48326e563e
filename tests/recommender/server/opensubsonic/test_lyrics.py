from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from recommender.text.lyric_lines import parse_lyrics
from tests import sounds
from tests.catalogs import Planted, plant
from tests.recommender.server.opensubsonic.library import NS
from tests.recommender.server.opensubsonic.songs import rest_of_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.recommender.server.opensubsonic.library import Rest

LRC = """[ar:Nobody]
[offset:+250]
[00:01.5]First <00:02.00>line
[01:02.345][00:03.00]Again
[00:05:50]
no time
[1:00:00.10]Late
"""


@pytest.fixture(scope="module")
def lyrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """Songs with lyrics: 1 in an .lrc and in tags, 2 in tags, 3 in a .txt, 4 without; 5 as 2."""
    folder = tmp_path_factory.mktemp("lyrics")
    tagged = {"lyrics": "Oh <la> & la\n\nOh yes\n"}
    paths = [
        sounds.write_audio(folder / name, sounds.music(1.5, seed=seed), tags=tags)
        for seed, (name, tags) in enumerate(
            {"1.flac": tagged, "2.flac": tagged, "3.mp3": {}, "4.mp3": {}, "5.mp3": {}}.items()
        )
    ]
    (folder / "1.lrc").write_text(LRC)
    (folder / "3.txt").write_bytes("\ufeff[Chorus]\nÜber alles hinweg\n".encode())
    paths[4].write_bytes(
        sounds.id3v2({"USLT": b"\0deu\0[00:01.00]In a tag"}) + paths[4].read_bytes()
    )
    tracks = [
        Planted(f"Song {n}", artist="Band", path=path) for n, path in enumerate(paths, start=1)
    ]
    with rest_of_catalog(plant(folder, ["calm"], tracks)) as found:
        yield found


def structured(rest: Rest, number: int) -> dict[str, object]:
    (found,) = rest.ok("getLyricsBySongId", id=f"tr-{number}")["lyricsList"]["structuredLyrics"]
    return found


def test_times_of_an_lrc_file(lyrics: Rest) -> None:
    found = structured(lyrics, 1)
    assert found == {
        "displayArtist": "Band",
        "displayTitle": "Song 1",
        "lang": "und",
        "synced": True,
        "offset": 250,
        "line": [
            {"start": 1500, "value": "First line"},
            {"start": 3000, "value": "Again"},
            {"start": 5500, "value": ""},
            {"start": 62_345, "value": "Again"},
            {"start": 3_600_100, "value": "Late"},
        ],
    }
    answer = lyrics.xml("getLyricsBySongId", id="tr-1")
    lines = answer.findall(f"{NS}lyricsList/{NS}structuredLyrics/{NS}line")
    assert [(line.attrib["start"], line.text or "") for line in lines][:2] == [
        ("1500", "First line"), ("3000", "Again"),
    ]  # fmt: skip


def test_lyrics_without_times(lyrics: Rest) -> None:
    tagged = structured(lyrics, 2)
    assert (tagged["synced"], tagged["line"]) == (
        False, [{"value": "Oh <la> & la"}, {"value": ""}, {"value": "Oh yes"}],
    )  # fmt: skip
    assert [one["value"] for one in structured(lyrics, 3)["line"]] == [
        "[Chorus]", "Über alles hinweg",
    ]  # fmt: skip
    timed = structured(lyrics, 5)
    assert (timed["synced"], timed["line"]) == (True, [{"start": 1000, "value": "In a tag"}])
    assert (tagged["lang"], timed["lang"]) == ("und", "deu")


def test_no_lyrics_and_no_song(lyrics: Rest) -> None:
    assert lyrics.ok("getLyricsBySongId", id="tr-4")["lyricsList"] == {"structuredLyrics": []}
    assert lyrics.error("getLyricsBySongId", id="tr-99") == 70
    assert lyrics.error("getLyricsBySongId") == 10


def test_lyrics_by_name(lyrics: Rest) -> None:
    found = lyrics.ok("getLyrics", artist="BAND", title="song 2")["lyrics"]
    assert found == {"artist": "Band", "title": "Song 2", "value": "Oh <la> & la\n\nOh yes"}
    assert lyrics.ok("getLyrics", title="Song 2")["lyrics"] == found
    for name in ({}, {"title": "Song"}, {"title": "Song 2", "artist": "Else"}, {"artist": "Band"}):
        assert lyrics.ok("getLyrics", **name)["lyrics"] == {"value": ""}, name


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n \n", []),
        ("[ti:only headings]\n[length: 3:00]", []),
        (
            "[AR: Ann]\n[Intro: Bob]\nla\n[Chorus: Ann & Bob]",
            [("[Intro: Bob]", None), ("la", None), ("[Chorus: Ann & Bob]", None)],
        ),
        ("[Intro: Bob]\n[00:01]la", [("la", 1000)]),
        ("[99:99.99]x", [("x", 6_039_990)]),
        ("[0:1]x", [("x", 1000)]),
        ("[00:02]b\n[00:01]a", [("a", 1000), ("b", 2000)]),
        ("[00:aa]x", [("[00:aa]x", None)]),
        ("a\x0bb", [("a", None), ("b", None)]),
        ("[offset:9" + "9" * 50 + "]\n[00:01]x", [("x", 1000)]),
    ],
)
def test_odd_texts(text: str, lines: list[tuple[str, int | None]]) -> None:
    assert [(one.text, one.start_ms) for one in parse_lyrics(text).lines] == lines


@pytest.mark.parametrize(
    ("named", "language"), [("de", "de"), (" EN-gb", "en"), ("", None), ("German", None)]
)
def test_an_lrc_file_can_name_its_language(named: str, language: str | None) -> None:
    assert parse_lyrics(f"[la:{named}]\n[00:01]x").language == language
