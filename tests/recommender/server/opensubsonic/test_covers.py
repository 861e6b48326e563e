"""Pictures under `/rest`: in what players can show, and no larger than they ask for."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from tests import sounds
from tests.catalogs import Planted, plant
from tests.recommender.server.opensubsonic.songs import rest_of_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.recommender.server.opensubsonic.library import Rest

KINDS = {"image/jpeg": "jpeg_pipe", "image/png": "png_pipe", "image/webp": "webp_pipe"}
WIDTH, HEIGHT = 400, 300


def gradient() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 255 // WIDTH, y * 255 // HEIGHT, 0 * x + 90], axis=2).astype(np.uint8)


def encode(codec: str, pixels: str) -> bytes:
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.framerate = WIDTH, HEIGHT, pixels, 1
    if "j" in pixels:
        context.color_range = 2
    frame = av.VideoFrame.from_ndarray(gradient(), format="rgb24").reformat(format=pixels)
    return b"".join(bytes(one) for one in (*context.encode(frame), *context.encode(None)))


def decode(data: bytes, media_type: str) -> NDArray[np.uint8]:
    with av.open(io.BytesIO(data), format=KINDS[media_type]) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


PICTURES = {
    "jpeg": (encode("mjpeg", "yuvj420p"), "image/jpeg", "image/jpeg"),
    "png": (encode("png", "rgb24"), "image/png", "image/jpeg"),
    "see-through": (encode("png", "rgba"), "image/png", "image/png"),
    "webp": (encode("libwebp", "yuv420p"), "image/webp", "image/jpeg"),
}
"""Pictures with the media type that they have and the one that smaller ones get."""
DAMAGED = b"\xff\xd8\xff" + bytes(500)


@pytest.fixture(scope="module")
def covers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """Songs 1 to 4 with pictures; 5 without; 6 beside a picture."""
    folder = tmp_path_factory.mktemp("covers")
    tracks = []
    beside = folder / "beside"
    beside.mkdir()
    (beside / "cover.jpg").write_bytes(PICTURES["jpeg"][0])
    for number in range(1, 7):
        path = (beside if number == 6 else folder) / f"{number}.mp3"
        sounds.write_audio(path, sounds.music(1.5, seed=number))
        if number <= 4:
            sounds.add_cover(path, (3, list(PICTURES.values())[number - 1][0]))
        tracks.append(
            Planted(f"Song {number}", path=path, artist=f"Artist {number}", album=f"Album {number}")
        )
    catalog = plant(folder, ["piano"], tracks)
    (folder / "music").mkdir(exist_ok=True)
    (folder / "music" / "list.m3u").write_text("../1.mp3\n../5.mp3\n")
    with rest_of_catalog(catalog) as found:
        yield found


def cover(rest: Rest, item: str, **parameters: object) -> tuple[bytes, str]:
    answer = rest.get("getCoverArt", id=item, apiKey=rest.secret, **parameters)
    assert answer.status_code == 200
    return answer.content, answer.headers["content-type"]


@pytest.mark.parametrize("number", range(1, 5))
def test_a_picture_is_as_it_is_stored_or_made_smaller(covers: Rest, number: int) -> None:
    data, stored, smaller = list(PICTURES.values())[number - 1]
    assert cover(covers, f"tr-{number}") == (data, stored)
    assert cover(covers, f"tr-{number}", size=WIDTH) == (data, stored)
    assert cover(covers, f"tr-{number}", size=2**31) == (data, stored)
    small, kind = cover(covers, f"tr-{number}", size=100)
    assert kind == smaller
    pixels = decode(small, kind)
    assert pixels.shape == (75, 100, 3)
    expected = gradient().reshape(75, 4, 100, 4, 3).mean(axis=(1, 3))
    assert np.abs(pixels - expected).mean() < 3


def test_a_song_without_a_picture_has_a_tile_that_players_can_show(covers: Rest) -> None:
    for size, side in ((None, 600), (64, 64), (1, 16), (0, 600), (-3, 600), (2**31, 2048)):
        data, kind = cover(covers, "tr-5", **({} if size is None else {"size": size}))
        assert kind == "image/png"
        pixels = decode(data, kind)
        assert pixels.shape == (side, side, 3)
        # A gradient behind light bars.
        assert pixels.std() > 10
    # The same picture as on the page, whose middle is a bar.
    svg = covers.client.get("http://127.0.0.1/api/v1/tracks/5/cover").text
    colour = svg.split('stop-color="#')[1][:6]
    corner = decode(cover(covers, "tr-5", size=500)[0], "image/png")[0, 0]
    assert np.abs(corner - np.array(list(bytes.fromhex(colour)), float)).max() < 60


def test_albums_and_artists_have_the_picture_of_a_song(covers: Rest) -> None:
    song = covers.ok("getSong", id="tr-1")["song"]
    for item in (song["albumId"], song["artistId"], song["coverArt"]):
        assert cover(covers, item)[0] == PICTURES["jpeg"][0]
    beside = covers.ok("getSong", id="tr-6")["song"]
    assert cover(covers, beside["albumId"])[0] == PICTURES["jpeg"][0]
    for item in ("tr-99", "al-none", "ar-none", "x", "tr--1"):
        assert covers.error("getCoverArt", id=item) == 70
    assert covers.error("getCoverArt") == 10
    assert covers.error("getCoverArt", id="tr-1", size="huge") == 0


def test_playlists_have_the_picture_of_a_song(covers: Rest) -> None:
    found = {one["name"]: one for one in covers.ok("getPlaylists")["playlists"]["playlist"]}
    for item in (found["list"]["id"], found["list"]["coverArt"], "st-1"):
        # Some players put "pl-" before the id of every playlist.
        for asked in (item, f"pl-{item}"):
            assert cover(covers, asked)[0] == PICTURES["jpeg"][0], asked
    for item in ("pl-", "pl-none", "pl-pl-none", "st-99", "pl-st-99", "st-", "pl-tr-1"):
        assert covers.error("getCoverArt", id=item) == 70, item


def test_a_tile_takes_the_place_of_a_picture_that_cannot_be_made_smaller(
    tmp_path: Path,
) -> None:
    png, see_through, webp = (PICTURES[name][0] for name in ("png", "see-through", "webp"))
    # A PNG whose head says that it is 30,000 by 30,000: too many pixels to decode.
    side = (30_000).to_bytes(4)
    head = b"IHDR" + side + side + png[24:29]
    bomb = png[:12] + head + zlib.crc32(head).to_bytes(4) + png[33:]
    broken = [DAMAGED, DAMAGED[:10], png[:8], see_through[:500], webp[:40], bomb]
    tracks = []
    for number, data in enumerate(broken, start=1):
        path = sounds.write_audio(tmp_path / f"{number}.mp3", sounds.music(1.5, seed=number))
        sounds.add_cover(path, (3, data))
        tracks.append(Planted(f"Song {number}", path=path))
    with rest_of_catalog(plant(tmp_path, ["piano"], tracks)) as rest:
        for number, data in enumerate(broken, start=1):
            tile, kind = cover(rest, f"tr-{number}", size=50)
            assert decode(tile, kind).shape == (50, 50, 3), number
            # As it is stored, nothing is decoded here.
            assert cover(rest, f"tr-{number}")[0] == data


def test_a_client_that_has_the_picture_is_not_sent_it_again(covers: Rest) -> None:
    first = covers.get("getCoverArt", id="tr-1", size=50, apiKey=covers.secret)
    again = covers.client.get(first.url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = covers.get("getCoverArt", id="tr-1", size=60, apiKey=covers.secret)
    assert other.headers["etag"] != first.headers["etag"]
