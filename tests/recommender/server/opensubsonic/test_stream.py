"""Sound under `/rest`: stored files, and other encodings of them, decoded again and compared."""

from __future__ import annotations

import io
import os
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests import sounds
from tests.catalogs import Planted, plant
from tests.recommender.server.opensubsonic.library import NS, parse_xml
from tests.recommender.server.opensubsonic.songs import (
    NAMES,
    SECONDS,
    decode,
    original,
    rest_of_catalog,
    spectrum,
    write_songs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.recommender.server.opensubsonic.library import Rest

KINDS = {"mp3": "audio/mpeg", "opus": "audio/ogg"}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_songs(tmp_path_factory.mktemp("songs"))


@pytest.fixture(scope="module")
def songs(catalog: Path) -> Iterator[Rest]:
    with rest_of_catalog(catalog) as found:
        yield found


def stream(rest: Rest, number: int, **parameters: object) -> httpx.Response:
    return rest.get("stream", id=f"tr-{number}", apiKey=rest.secret, f="json", **parameters)


@pytest.mark.parametrize("number", range(1, len(NAMES) + 1))
def test_without_a_limit_the_file_is_sent_as_it_is_stored(
    songs: Rest, catalog: Path, number: int
) -> None:
    path = catalog.parent / NAMES[number - 1]
    for parameters in ({}, {"format": "raw", "maxBitRate": 1}, {"format": path.suffix[1:]}):
        answer = stream(songs, number, **parameters)
        assert answer.status_code == 200
        assert answer.content == path.read_bytes()
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-type"].startswith("audio/")
    stored = songs.get("download", id=f"tr-{number}", apiKey=songs.secret)
    assert stored.content == path.read_bytes()
    assert stored.headers["content-disposition"].startswith("attachment")
    assert path.suffix in stored.headers["content-disposition"]


def test_ranges_of_a_stored_file_by_get_and_by_a_form(songs: Rest, catalog: Path) -> None:
    whole = (catalog.parent / NAMES[6]).read_bytes()
    headers = {"Range": "bytes=100-199"}
    asked = {"id": "tr-7", "apiKey": songs.secret}
    url = "http://127.0.0.1/rest/stream.view"
    for answer in (
        songs.client.get(url, params=asked, headers=headers),
        songs.client.post(url, data=asked, headers=headers),
    ):
        assert answer.status_code == 206
        assert answer.content == whole[100:200]
        assert answer.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    beyond = songs.client.get(url, params=asked, headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416
    head = songs.client.head(url, params=asked)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(whole)))


@pytest.mark.parametrize("number", range(1, len(NAMES) + 1))
@pytest.mark.parametrize("codec", KINDS)
def test_a_transcode_is_the_same_sound(songs: Rest, number: int, codec: str) -> None:
    answer = stream(songs, number, format=codec, maxBitRate=96)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == KINDS[codec]
    assert answer.headers["accept-ranges"] == "none"
    assert "content-length" not in answer.headers
    assert len(answer.content) == pytest.approx(SECONDS * 96_000 / 8, rel=0.1)
    samples, rate = decode(answer.content)
    stored, stored_rate = decode(stream(songs, number).content)
    # Some encoders say nothing of what they added at the end.
    assert len(samples) / rate == pytest.approx(len(stored) / stored_rate, abs=0.05)
    assert SECONDS - 0.01 <= len(samples) / rate <= SECONDS + 0.15
    times = round(20 * SECONDS) - 1
    expected, found = spectrum(stored, stored_rate)[:times], spectrum(samples, rate)[:times]
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.95
    loudness = 20 * np.log10(np.std(samples) / np.std(original(number)))
    assert abs(loudness) < 1.5


@pytest.mark.parametrize("codec", KINDS)
def test_a_transcode_begins_where_it_is_asked_to(songs: Rest, codec: str) -> None:
    sound = original(2)
    for offset in (1, 4, 6):
        samples, rate = decode(stream(songs, 2, format=codec, timeOffset=offset).content)
        assert len(samples) / rate == pytest.approx(SECONDS - offset, abs=0.01)
        expected = spectrum(sound[offset * 44_100 :], 44_100)
        found = spectrum(samples, rate)
        assert np.corrcoef(expected[:15].ravel(), found[:15].ravel())[0, 1] > 0.95
    # Beyond the end there is next to nothing.
    samples, rate = decode(stream(songs, 2, format=codec, timeOffset=10**9).content)
    assert len(samples) / rate == pytest.approx(0.1, abs=0.01)
    # A file of which only a part is wanted cannot be sent as it is.
    assert stream(songs, 2, timeOffset=3).headers["content-type"] == "audio/mpeg"
    assert stream(songs, 2, timeOffset=3, format="raw").headers["content-type"] == "audio/flac"


@pytest.mark.parametrize("codec", KINDS)
@pytest.mark.parametrize("offset", [0, 5])
def test_an_estimated_length_is_kept(songs: Rest, codec: str, offset: int) -> None:
    parameters = {"format": codec, "maxBitRate": 64, "timeOffset": offset}
    answer = stream(songs, 3, estimateContentLength="true", **parameters)
    assert int(answer.headers["content-length"]) == len(answer.content)
    samples, rate = decode(answer.content)
    assert len(samples) / rate == pytest.approx(SECONDS - offset, abs=0.01)


@pytest.mark.parametrize("is_sized", [False, True])
def test_a_head_of_a_transcode_says_what_a_get_does(songs: Rest, *, is_sized: bool) -> None:
    asked = {"id": "tr-3", "format": "mp3", "maxBitRate": 64, "estimateContentLength": is_sized}
    url = "http://127.0.0.1/rest/stream"
    head, whole = (
        songs.client.request(method, url, params={**asked, "apiKey": songs.secret})
        for method in ("HEAD", "GET")
    )
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "accept-ranges"):
        assert head.headers.get(name) == whole.headers.get(name), name


def test_what_a_player_asks_for_is_what_it_gets(songs: Rest) -> None:
    for number, parameters, kind in (
        # A limit that the file keeps, one that it does not.
        (1, {"maxBitRate": 128}, "audio/mpeg"),
        (2, {"maxBitRate": 320}, "audio/mpeg"),
        (5, {"format": "ogg", "maxBitRate": 100_000}, "audio/ogg"),
        (4, {"format": "opus"}, "audio/ogg"),
        (6, {"format": "aac"}, "audio/mp4"),
        (2, {"format": "aac"}, "audio/mpeg"),
        (2, {"format": "flv"}, "audio/mpeg"),
        (2, {"format": "MP3"}, "audio/mpeg"),
        (2, {"format": "wav"}, "audio/wav"),
        (2, {"maxBitRate": -5}, "audio/flac"),
        (2, {"maxBitRate": 2**31}, "audio/flac"),
    ):
        answer = stream(songs, number, **parameters)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind, parameters
    as_wav = stream(songs, 2, format="wav")
    with wave.open(io.BytesIO(as_wav.content)) as reader:
        assert reader.getnframes() == SECONDS * 44_100
    assert stream(songs, 1, maxBitRate=128).headers["accept-ranges"] == "bytes"
    assert stream(songs, 2, maxBitRate="fast").json()["subsonic-response"]["error"]["code"] == 0


@pytest.mark.parametrize("song", ["", "1", "tr-0", "tr-99", "tr--1", "tr-9999999999999", "al-1"])
def test_what_is_no_song_is_refused(songs: Rest, song: str) -> None:
    for name in ("stream", "download"):
        assert songs.error(name, id=song, format="mp3") == (70 if song else 10)


def test_files_that_vanished_or_became_another_sound(tmp_path: Path) -> None:
    (tmp_path / "loft").mkdir()
    names = [f"loft/{letter}.flac" for letter in "abcdefg"]
    catalog = write_songs(tmp_path, names)
    files = [tmp_path / name for name in names]
    with rest_of_catalog(catalog) as rest:
        assert stream(rest, 2, format="mp3").status_code == 200
        for file in (files[0], *files[3:6]):
            file.unlink()
        sounds.write_audio(files[1], sounds.music(SECONDS, seed=99))
        sounds.random_bytes(files[2])
        files[3].mkdir()
        os.mkfifo(files[4])
        files[5].symlink_to(tmp_path / "loft" / "gone.flac")
        files[6].write_bytes(b"")
        for number, code in enumerate((70, 0, 0, 0, 0, 0, 0), start=1):
            for name, asked in (("stream", "mp3"), ("stream", "raw"), ("download", "")):
                # As the protocol has it: XML in a whole answer, also where sound was wanted.
                answer = rest.get(name, id=f"tr-{number}", format=asked, apiKey=rest.secret)
                assert answer.status_code == 200, (number, name, asked)
                error = parse_xml(answer.content).find(f"{NS}error")
                assert error is not None
                assert error.attrib["code"] == str(code), (number, name, asked)
                assert "loft" not in answer.text, (number, name, asked)
        page = rest.client.get("http://127.0.0.1/api/v1/tracks/7/audio")
        assert page.status_code >= 400
        assert "loft" not in page.text


def test_a_name_that_is_wrong_does_not_say_the_format(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.m4a", sounds.music(2)).rename(tmp_path / "a.mp3")
    with rest_of_catalog(plant(tmp_path, ["piano"], [Planted("a", path=path)])) as rest:
        assert stream(rest, 1, format="mp3").content.startswith(b"\xff\xfb")
        assert stream(rest, 1, format="aac").content == path.read_bytes()


@pytest.mark.parametrize("name", ["a.mp3", "a.flac"])
def test_a_file_that_is_damaged_in_the_middle_is_sent_to_its_end(tmp_path: Path, name: str) -> None:
    path = sounds.write_audio(tmp_path / f"whole-{name}", sounds.music(SECONDS, seed=1))
    sounds.change_bytes(tmp_path / name, path, [0.5, 0.51, 0.52])
    path.unlink()
    catalog = plant(tmp_path, ["piano"], [Planted("a", path=tmp_path / name)])
    with rest_of_catalog(catalog) as rest:
        samples, rate = decode(stream(rest, 1, format="opus").content)
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.15)
    expected, found = spectrum(original(1), 44_100), spectrum(samples, rate)
    for part in (slice(0, 50), slice(90, 135)):
        assert np.corrcoef(expected[part].ravel(), found[part].ravel())[0, 1] > 0.9
