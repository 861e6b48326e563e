from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest

from recommender.server.covers import covers
from recommender.server.covers.tiles import AXES, Palette, draw_tile
from tests import sounds
from tests.catalogs import DIM, Planted, plant
from tests.recommender.server.conftest import client_of
from tests.recommender.server.processes import children

if TYPE_CHECKING:
    from tests.recommender.server.conftest import Start


def songs_with_covers(folder: Path, count: int) -> tuple[list[Planted], list[bytes]]:
    """Tracks with a picture each, and without one in every third."""
    song = sounds.write_audio(folder / "song.mp3", sounds.music(1.5)).read_bytes()
    picture = sounds.picture(folder / "picture.jpg").read_bytes()
    tracks, pictures = [], []
    for number in range(count):
        path = folder / f"{number}.mp3"
        path.write_bytes(song)
        pictures.append(b"" if number % 3 == 2 else picture + bytes([number]))
        if pictures[-1]:
            sounds.add_cover(path, (3, pictures[-1]))
        tracks.append(Planted(f"Song {number}", path=path, recording=number + 1, duration_s=90))
    return tracks, pictures


def test_a_picture_is_handed_on_and_a_tile_drawn_where_there_is_none(tmp_path: Path) -> None:
    tracks, pictures = songs_with_covers(tmp_path, 3)
    with client_of(plant(tmp_path, ["piano"], tracks)) as client:
        first, second, third = (client.get(f"tracks/{n}/cover") for n in (1, 2, 3))
        assert (first.content, second.content) == (pictures[0], pictures[1])
        assert first.headers["content-type"] == "image/jpeg"
        assert third.headers["content-type"] == "image/svg+xml"
        assert third.content == client.get("tracks/3/cover").content
        for number, answer in enumerate((first, second, third), start=1):
            assert answer.headers["cache-control"].startswith("private, max-age=")
            again = {"If-None-Match": answer.headers["etag"]}
            assert client.get(f"tracks/{number}/cover", headers=again).status_code == 304
        # A file with a new picture, and one that is gone.
        sounds.add_cover(tracks[2].path, (3, pictures[0]))
        tracks[0].path.unlink()
        assert client.get("tracks/3/cover").content == pictures[0]
        assert client.get("tracks/1/cover").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    "data", [b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"<html>", b"\xff\xd8"]
)
def test_markup_in_tags_is_not_sent(tmp_path: Path, data: bytes) -> None:
    path = sounds.write_audio(tmp_path / "a.mp3", sounds.music(2))
    sounds.add_cover(path, (3, data))
    with client_of(plant(tmp_path, ["piano"], [Planted("Song", path=path)])) as client:
        answer = client.get("tracks/1/cover")
    assert answer.status_code == 200
    assert data not in answer.content
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.slow
def test_fifty_covers_at_once_take_one_worker(tmp_path: Path, server: Start) -> None:
    tracks, pictures = songs_with_covers(tmp_path, 50)
    catalog = plant(tmp_path, ["piano"], tracks)
    with server(catalog) as running, httpx.Client(base_url=running.api, timeout=60) as client:
        before = len(children(running.process.pid))
        with ThreadPoolExecutor(50) as threads:
            found = list(threads.map(lambda n: client.get(f"tracks/{n}/cover"), range(1, 51)))
        # The worker, and the process that multiprocessing keeps beside workers.
        assert len(children(running.process.pid)) - before <= 2
    assert [answer.content for answer, wanted in zip(found, pictures, strict=True) if wanted] == [
        wanted for wanted in pictures if wanted
    ]


def test_memory_for_covers_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks, pictures = songs_with_covers(tmp_path, 12)
    monkeypatch.setattr(covers, "KEPT_BYTES", 4000)
    kept = []
    remember = covers.Covers._keep

    def keep(self: covers.Covers, *arguments: object) -> None:
        remember(self, *arguments)
        kept.append((self._bytes, len(self._kept)))

    monkeypatch.setattr(covers.Covers, "_keep", keep)
    with client_of(plant(tmp_path, ["piano"], tracks)) as client:
        for number in (*range(1, 13), *range(1, 13)):
            answer = client.get(f"tracks/{number}/cover")
            if pictures[number - 1]:
                assert answer.content == pictures[number - 1]
    assert all(size <= 4000 and entries > 0 for size, entries in kept)
    assert len(kept) > 12


def test_tracks_that_sound_alike_have_tiles_alike() -> None:
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(10, 64))
    vectors = np.concatenate([one + 0.3 * rng.normal(size=(20, 64)) for one in centres])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    palette = Palette.of(vectors.astype(np.float32))
    colours = np.array([colours_of(draw_tile(palette.coordinates(one))) for one in vectors])
    groups = colours.reshape(10, 20, -1)
    within = np.linalg.norm(groups - groups.mean(axis=1, keepdims=True), axis=2).mean()
    between = np.linalg.norm(colours - colours.mean(axis=0), axis=1).mean()
    assert within < between / 3


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("count", [1, 2, 50])
def test_a_tile_is_a_small_picture_of_shapes_alone(scale: float, count: int) -> None:
    vectors = np.random.default_rng(count).normal(size=(count, DIM)).astype(np.float32)
    coordinates = Palette.of(vectors).coordinates(vectors[0] * np.float32(scale))
    assert coordinates.shape == (AXES,)
    tile = draw_tile(coordinates)
    assert len(tile) < 2000
    names = {element.tag.rpartition("}")[2] for element in ET.fromstring(tile).iter()}  # noqa: S314 - ours
    assert names <= {
        "svg",
        "defs",
        "linearGradient",
        "radialGradient",
        "stop",
        "rect",
        "circle",
        "g",
    }
    assert "nan" not in tile
    assert "style" not in tile


def test_a_catalog_without_vectors_has_tiles_still(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.mp3", sounds.music(2))
    with client_of(plant(tmp_path, ["piano"], [Planted("Only", path=path)])) as client:
        assert client.get("tracks/1/cover").headers["content-type"] == "image/svg+xml"


def colours_of(tile: str) -> list[int]:
    """Red, green and blue of the colours of a tile, in their order."""
    found = re.findall(r"#([0-9a-f]{6})", tile)
    return [value for colour in found for value in bytes.fromhex(colour)]
