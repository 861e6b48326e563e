from __future__ import annotations

import os
import signal
import struct
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from recommender.collection.kept_map import (
    MOST_GROUPS,
    encode_map,
    map_path,
    read_map,
    write_map,
)
from recommender.server import map_process
from recommender.server.api.library_map import COLOURS, OTHER_COLOUR
from tests.catalogs import plant
from tests.recommender.collection.test_kept_map import COUNT, planted, set_present, updated
from tests.recommender.server.conftest import client_of

if TYPE_CHECKING:
    from pathlib import Path

    from httpx import Response
    from starlette.testclient import TestClient

    from recommender.server.map_process import MapInBackground

GENRES = ("Rock", "Jazz", "Folk", None)


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return plant(tmp_path, ("loud",), planted(GENRES))


@pytest.fixture(autouse=True)
def without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_process, "PAUSE_S", 0.0)


def ready(client: TestClient) -> Response:
    """The answer with the map, once it is computed and up to the catalog."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if not client.get("map/groups").json()["updating"]:
            return client.get("map")
        time.sleep(0.2)
    raise AssertionError("the map is not computed")


def parse(data: bytes) -> dict[str, Any]:
    """The parts of a map, read as the page reads them."""
    magic, version, count = struct.unpack_from("<8sII", data)
    assert magic == b"SLKMAP01"
    assert len(data) == 16 + 13 * count
    return {
        "version": version,
        "xy": np.frombuffer(data, "<f4", 2 * count, 16).reshape(count, 2),
        "ids": np.frombuffer(data, "<i4", count, 16 + 8 * count),
        "groups": np.frombuffer(data, np.uint8, count, 16 + 12 * count),
    }


def running_map(client: TestClient) -> MapInBackground:
    """The map of the server that a client asks."""
    app: Any = client.app
    while not hasattr(app, "state"):
        app = app._app
    found: MapInBackground = app.state.context.library_map
    return found


@pytest.mark.slow
def test_a_map_is_computed_at_the_first_request_and_kept(catalog: Path) -> None:
    with client_of(catalog) as client:
        first = client.get("map")
        assert (first.status_code, first.json()) == (202, {"state": "computing"})
        assert int(first.headers["retry-after"]) > 0
        waiting = client.get("map/groups").json()
        assert (waiting["state"], waiting["total"]) == ("computing", COUNT)
        assert "being computed" in waiting["note"]
        answer = ready(client)
        found = parse(answer.content)
        assert found["ids"].tolist() == list(range(1, COUNT + 1))
        assert np.abs(found["xy"]).max() == pytest.approx(1, abs=1e-5)
        groups = client.get("map/groups").json()
        etag = answer.headers["etag"]
        same = client.get("map", headers={"If-None-Match": f'"other", {etag}'})
        assert (same.status_code, same.content) == (304, b"")
        assert client.get("map", headers={"If-None-Match": '"other"'}).status_code == 200
    assert groups["version"] == found["version"]
    assert [(one["name"], one["tracks"], one["color"]) for one in groups["groups"]] == [
        ("Folk", 50, COLOURS[0]),
        ("Jazz", 50, COLOURS[1]),
        ("Rock", 50, COLOURS[2]),
        ("other", 50, OTHER_COLOUR),
    ]
    assert sorted(set(found["groups"].tolist())) == [0, 1, 2, 255]
    with client_of(catalog) as client:
        again = client.get("map")
        assert (again.status_code, again.content) == (200, answer.content)


@pytest.mark.slow
def test_the_map_follows_the_catalog_while_it_is_asked(catalog: Path) -> None:
    late = list(range(1, 21))
    set_present(catalog, late, present=False)
    write_map(map_path(catalog), updated(catalog))
    set_present(catalog, late, present=True)
    set_present(catalog, [150, 151], present=False)
    with client_of(catalog) as client:
        before = parse(client.get("map").content)
        assert before["ids"].tolist() == [n for n in range(21, COUNT + 1) if n not in (150, 151)]
        after = parse(ready(client).content)
    assert after["version"] != before["version"]
    assert after["ids"].tolist() == [n for n in range(1, COUNT + 1) if n not in (150, 151)]
    assert np.array_equal(after["xy"][np.isin(after["ids"], before["ids"])], before["xy"])
    kept = read_map(map_path(catalog))
    assert kept is not None
    assert kept.ids.tolist() == after["ids"].tolist()


def test_a_file_that_is_no_good_is_not_shown(catalog: Path) -> None:
    kept = updated(catalog)
    foreign = replace(kept, stamp=replace(kept.stamp, catalog="another"))
    for content in (b"", b"SLKKEPT1 and no more", encode_map(foreign)):
        map_path(catalog).write_bytes(content)
        with client_of(catalog) as client:
            assert client.get("map").status_code == 202
    map_path(catalog).write_bytes(encode_map(kept))
    with client_of(catalog) as client:
        assert client.get("map").status_code == 200


def test_a_process_that_died_is_started_again_and_closing_ends_it(
    catalog: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client_of(catalog) as client:
        client.get("map")
        first = running_map(client)._process
        assert first is not None
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        first.join(30)
        until = time.monotonic() + 30
        second = None
        while second in (None, first) and time.monotonic() < until:
            assert client.get("map").status_code == 202
            second = running_map(client)._process
        assert second not in (None, first)
    assert second is not None
    assert second.exitcode == -signal.SIGKILL
    assert "the map was not computed" in caplog.text


def test_a_library_too_small_for_a_map_says_so(tmp_path: Path) -> None:
    with client_of(plant(tmp_path, ("loud",), planted(("Rock",))[:2])) as client:
        for path in ("map", "map/groups"):
            answer = client.get(path)
            assert answer.status_code == 422
            assert "a map needs at least 3" in answer.json()["detail"]


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def test_colours_are_legible_on_light_and_dark() -> None:
    assert len(COLOURS) == MOST_GROUPS
    for colour in (*COLOURS, OTHER_COLOUR):
        for ground in ("#ffffff", "#121417"):
            lighter, darker = sorted((luminance(colour), luminance(ground)), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 2.9, (colour, ground)
