from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from recommender.__main__ import cli
from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

TAGS = ("piano", "calm", "loud")
OCTETS = {"Content-Type": "application/octet-stream"}
UNITS = {"1": (1.0, 0.1), "2": (0.95, 0.3), "3": (0.7, 0.7), "4": (0.1, 1.0)}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tracks = [
        Planted(
            f"Song {name}",
            {"piano": 0.1 * int(name)},
            genre="Jazz" if int(name) < 4 else "Rock",
            year=1990 + 5 * int(name),
            vector=vector,
            artist=f"Band {name}",
            album="Album",
            tempo_bpm=80 + 10 * int(name),
            duration_s=100.0,
        )
        for name, vector in UNITS.items()
    ]
    return plant(tmp_path_factory.mktemp("api"), TAGS, tracks)


@pytest.fixture(scope="module")
def client(catalog: Path) -> Iterator[TestClient]:
    with client_of(catalog) as opened:
        yield opened


def printed(catalog: Path, *command: str) -> Any:
    done = CliRunner().invoke(cli, [*command, "--catalog", str(catalog), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: one for name, one in value.items() if name not in names}


def test_similar_is_what_the_command_prints(client: TestClient, catalog: Path) -> None:
    found = client.get("similar", params={"like": [1, 2], "dislike": 4, "n": 3, "why": True}).json()
    as_printed = printed(catalog, "similar", "1", "2", "--dislike", "4", "-n", "3", "--why")
    assert found["neighbours"]
    tracks = [one.pop("track") for one in found["neighbours"]]
    assert found == as_printed
    assert [track["album"] for track in tracks] == ["Album"] * len(tracks)


def test_a_filter_and_a_ranking_reach_the_question(client: TestClient) -> None:
    found = client.get("similar", params={"like": 1, "genre": "rock", "year_from": 2000}).json()
    assert [one["id"] for one in found["neighbours"]] == [4]
    assert (
        found["note"]
        == "1 of the 10 asked for: the filter (genre rock, year from 2000) keeps 1 of 4"
    )
    among = client.get("similar", params={"like": 1, "among": [3, 4], "exclude": 3}).json()
    assert [one["id"] for one in among["neighbours"]] == [4]
    capped = client.get("similar", params={"like": 1, "per_album": 1}).json()
    assert [one["id"] for one in capped["neighbours"]] == [2]


def test_find_is_what_the_command_prints(client: TestClient, catalog: Path) -> None:
    found = client.get("words", params={"q": "piano, not loud", "n": 2}).json()
    for hit in found["hits"]:
        hit.pop("track")
    assert found == printed(catalog, "find", "piano, not loud", "-n", "2")


def test_show_is_what_the_command_prints(client: TestClient, catalog: Path) -> None:
    found = client.get("tracks/2").json()
    shown = printed(catalog, "show", "2")
    assert without(found, "tags") == without(shown, "tags", "path")
    assert list(found["tags"].items()) == list(shown["tags"].items())


def test_playlists_are_what_the_commands_print(client: TestClient, catalog: Path) -> None:
    for found, command in (
        (
            client.get("path", params={"start": 1, "end": 4, "steps": 2}),
            ("path", "1", "4", "-n", "2"),
        ),
        (
            client.get("playlist", params={"seed": 1, "total_s": 300}),
            ("playlist", "1", "--total", "300s"),
        ),
    ):
        answer, as_printed = found.json(), printed(catalog, *command)
        assert without(answer, "entries") == without(as_printed, "entries")
        for entry, line in zip(answer["entries"], as_printed["entries"], strict=True):
            assert "path" not in entry
            assert without(line, "path") == {name: entry[name] for name in line if name != "path"}


def test_clusters_are_what_the_command_prints(client: TestClient, catalog: Path) -> None:
    found = client.get("clusters", params={"count": 2})
    assert found.status_code == 200, found.text
    assert found.json() == printed(catalog, "clusters", "--count", "2")


def test_a_station_goes_on_from_the_state_it_gave(client: TestClient) -> None:
    first = client.post("station", json={"seed": 1, "n": 1, "variety": 0}).json()
    assert [one["id"] for one in first["entries"]] == [2]
    later = client.post("station", json={"state": first["state"], "n": 5, "dislike": [4]}).json()
    both = client.post("station", json={"seed": 1, "n": 1, "like": [3, 4], "dislike": [4]})
    assert both.status_code == 422
    assert [one["id"] for one in later["entries"]] == [3]
    assert "nothing is left" in later["note"]
    other = client.post("station", json={"seed": "1", "played": [2], "n": 1}).json()
    assert other["entries"][0]["id"] in (3, 4)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"seed": 1, "unknown": 2},
        {"seed": 0},
        {"seed": 99},
        {"seed": "/etc/passwd"},
        {"seed": 1, "n": 0},
        {"seed": 1, "n": 51},
        {"seed": 1, "tie": 2},
        {"seed": 1, "like": [99]},
        {"seed": 1, "where": {"genre": "jazz"}},
        {"seed": 1, "where": {"year_from": 2000, "year_to": 1990}},
        {"state": {"seed": "/etc/passwd"}},
        {"state": {"format": 1, "seed": [1, 2]}},
        {"state": {"format": 2}},
        {"state": 3},
        [],
    ],
)
def test_a_bad_station_is_refused_in_one_sentence(client: TestClient, body: Any) -> None:
    answer = client.post("station", json=body)
    assert answer.status_code in (404, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "\n" not in answer.json()["detail"]


def test_an_m3u8_holds_the_tracks_that_were_named(client: TestClient) -> None:
    answer = client.get("playlist.m3u8", params={"id": [3, 1], "title": "Über\nus"})
    assert answer.text.splitlines() == [
        "#EXTM3U",
        "#PLAYLIST:Über us",
        "#EXTINF:100,Band 3 - Song 3",
        "0003.mp3",
        "#EXTINF:100,Band 1 - Song 1",
        "0001.mp3",
    ]
    links = client.get("playlist.m3u8", params={"id": 3, "links": True}).text
    assert "http://127.0.0.1/api/v1/tracks/3/audio" in links


def test_a_list_goes_on_page_by_page(client: TestClient) -> None:
    first = client.get("tracks", params={"q": "song", "limit": 3}).json()
    assert (len(first["tracks"]), first["total"]) == (3, 4)
    last = client.get("tracks", params={"q": "song", "limit": 3, "cursor": first["next"]}).json()
    assert ([one["id"] for one in last["tracks"]], last["next"]) == ([4], None)


def test_facets_count_what_would_remain(client: TestClient) -> None:
    found = client.get("facets", params={"genre": "jazz", "q": "song"}).json()
    assert found["total"] == 3
    assert found["genre"] == [{"value": "Jazz", "count": 3}, {"value": "Rock", "count": 1}]
    assert found["decade"] == [{"value": "2000", "count": 2}, {"value": "1990", "count": 1}]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("tracks/0", 422),
        ("tracks/-1", 422),
        ("tracks/99", 404),
        ("tracks/9223372036854775807", 404),
        ("tracks/9223372036854775808", 422),
        ("tracks/one", 422),
        ("tracks?limit=0", 422),
        ("tracks?limit=201", 422),
        ("tracks?cursor=x", 422),
        ("tracks?year_from=2000&year_to=1990", 422),
        ("tracks?tempo_from=nan", 422),
        ("tracks?tempo_from=inf", 422),
        ("tracks?musical_key=H", 422),
        ("tracks?tag=unknown", 422),
        ("similar", 422),
        ("similar?like=99", 404),
        ("similar?like=/etc/passwd", 404),
        ("similar?like=song", 404),
        ("similar?like=1&dislike=1", 422),
        ("similar?like=1&n=1e3", 422),
        ("similar?like=1&strategy=best", 422),
        ("similar?like=1&diversity=nan", 422),
        ("path?start=1&end=1", 422),
        ("path?start=1&end=2&steps=0", 422),
        ("playlist?seed=1&total_s=0", 422),
        ("playlist?seed=1&total_s=nan", 422),
        ("playlist?seed=1&total_s=9&genre=a%0Ab", 422),
        ("words?q=", 422),
        ("words?q=xyzzy", 422),
        ("tracks/1/picture.png", 503),
        ("playlist.m3u8", 422),
        ("none", 404),
    ],
)
def test_a_bad_question_gets_one_sentence(client: TestClient, address: str, status: int) -> None:
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["detail"]
    assert "\n" not in problem["detail"]


def test_no_answer_names_a_folder_of_the_disk(client: TestClient, catalog: Path) -> None:
    folder = str(catalog.parent)
    for address in (
        "tracks",
        "tracks/1",
        "similar?like=1",
        "status",
        "failures",
        "tracks/1/picture.png",
    ):
        text = client.get(address).text
        assert folder not in text
        assert "/music" not in text


def test_a_kept_answer_is_the_same_and_goes_when_the_catalog_changes(tmp_path: Path) -> None:
    from contextlib import closing

    from indexer.catalog import writer
    from indexer.catalog.status import TrackStatus
    from indexer.library import Library

    tracks = [Planted(f"Song {name}", vector=vector) for name, vector in UNITS.items()]
    path = plant(tmp_path, TAGS, tracks)
    with client_of(path) as client:
        answers = [client.get("similar?like=1") for _ in range(3)]
        assert len({answer.content for answer in answers}) == 1
        etag = answers[0].headers["etag"]
        assert client.get("similar?like=1", headers={"If-None-Match": etag}).status_code == 304
        assert client.get("similar?like=1&n=2").headers["etag"] != etag
        with closing(Library.open_for_writing(path)) as library:
            with library.catalog.writing() as connection:
                writer.set_status(connection, [2], TrackStatus.REMOVED)
        later = client.get("similar?like=1", headers={"If-None-Match": etag})
        assert later.status_code == 200
        assert 2 not in [one["id"] for one in later.json()["neighbours"]]


def test_a_catalog_that_is_replaced_is_said(tmp_path: Path) -> None:
    path = plant(tmp_path, TAGS, [Planted(f"Song {name}", vector=v) for name, v in UNITS.items()])
    with client_of(path) as client:
        assert client.get("similar?like=1").status_code == 200
        path.rename(tmp_path / "elsewhere.db")
        answer = client.get("similar?like=1")
        assert answer.status_code == 503
        assert "moved or replaced" in answer.json()["detail"]
        assert str(tmp_path) not in answer.text
        assert client.get("health").status_code == 200


def test_every_operation_has_a_summary_and_an_example(client: TestClient) -> None:
    document = client.get("openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            assert operation.get("description"), (method, path)
            text = json.dumps(operation)
            answered = operation["responses"].get("204")
            refers = "requestBody" in operation
            assert '"example' in text or (answered and refers) or answered, (method, path)


def test_metrics_and_status(client: TestClient) -> None:
    client.get("tracks/1")
    text = client.get("metrics").text
    assert 'soundalike_requests_total{method="GET",status="200"}' in text
    assert "soundalike_tracks 4.0" in text
    status = client.get("status").json()
    assert (status["present"], status["vectors"], status["folders"]) == (4, 4, ["music"])


@pytest.mark.parametrize("media_type", ["application/json", "application/octet-stream"])
def test_a_body_that_is_too_long_is_refused(client: TestClient, media_type: str) -> None:
    long = b'{"seed": 1, "state": {"x": "' + b"y" * (1 << 20) + b'"}}'
    for content in (long, iter([long])):
        answer = client.post("station", content=content, headers={"Content-Type": media_type})
        assert answer.status_code == 413


@pytest.mark.slow
@pytest.mark.parametrize("address", ["compare.png?first=1&second=2", "map.png"])
def test_pictures_are_drawn_beside_the_server(original_catalog: Path, address: str) -> None:
    with client_of(original_catalog) as client:
        answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_words_steer_and_each_row_says_how_far(client: TestClient) -> None:
    plain = client.get("similar", params={"like": 1}).json()
    steered = client.get("similar", params={"like": 1, "more": "piano"}).json()
    assert [one["why"] for one in plain["neighbours"]] == [None] * 3
    for one in steered["neighbours"]:
        (word,) = one["why"]["words"]
        assert word["word"] == "more piano"
    path = client.get("path", params={"start": 1, "end": 4, "steps": 2, "less": "piano"})
    assert next(one["id"] for one in path.json()["entries"]) == 1
    for steering in ({"more": ["piano"]}, {"more": [], "less": ["loud"]}, {"more": []}):
        step = client.post("station", json={"seed": 1, "n": 1, **steering})
        assert step.status_code == 200, step.text
    assert client.post("station", json={"seed": 1, "more": ["xyzzy"]}).status_code == 422
    unknown = client.get("similar", params={"like": 1, "more": "xyzzy"})
    assert unknown.status_code == 422


def test_a_file_is_asked_about_and_not_kept(
    catalog_path: Path, original_songs: Path, tmp_path: Path
) -> None:
    song = original_songs / "album 0" / "02.mp3"
    with client_of(catalog_path) as client:
        found = client.post(
            "similar",
            params={"name": "../../my song.mp3", "n": 3, "why": True},
            content=song.read_bytes(),
            headers=OCTETS,
        )
        assert found.status_code == 200, found.text
        answer = found.json()
        assert answer["seed"] == "my song.mp3"
        assert answer["upload"]["known_id"] == 3
        assert answer["upload"]["title"] == "Song 2"
        assert len(answer["upload"]["tags"]) == 8
        assert 1 <= len(answer["neighbours"]) <= 3
        empty = client.post("genres", content=song.read_bytes(), headers=OCTETS)
        assert empty.status_code == 409
        assert "soundalike genres train" in empty.json()["detail"]
        refused = client.post("similar", content=b"no sound", headers=OCTETS)
        assert (refused.status_code, refused.json()["reason"]) == (422, "not audio")
