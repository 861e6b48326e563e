"""What plugins for AudioMuse-AI ask, by the ids of their servers and by our own."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from indexer.catalog.reader import Catalog
from recommender.players.song_ids.id_map import id_map_path, write_id_map
from tests.catalogs import Planted, drop_embeddings, plant
from tests.recommender.server.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

API = "http://127.0.0.1/api/"
SONGS = 30
ARTISTS = ("Ada", "Béla", "Cid", "Dot")
WITHOUT_ID = (7, 12)
"""Tracks that the other server lacks."""
TOKEN = "a token of sixteen letters"  # noqa: S105


def song_id(track: int) -> str:
    """An id as Ampache gives it to clients of Subsonic."""
    return f"so-{1000 + track}"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    songs = [
        Planted(
            f"Song {number}",
            artist=ARTISTS[number % 4] if number > 1 else None,
            album=f"Album {number % 5}" if number > 1 else None,
            album_artist="Many" if number % 2 else None,
            duration_s=100.0 + number,
        )
        for number in range(1, SONGS + 1)
    ]
    return plant(tmp_path_factory.mktemp("audiomuse"), ("calm",), songs)


@pytest.fixture(scope="module")
def own(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server to which no ids were imported."""
    songs = [Planted(f"Song {n}", artist=f"Band {n}", duration_s=100.0 + n) for n in range(1, 9)]
    with client_of(plant(tmp_path_factory.mktemp("own"), ("calm",), songs)) as client:
        yield client


@pytest.fixture(scope="module")
def client(catalog: Path) -> Iterator[TestClient]:
    opened = Catalog.open_for_reading(catalog)
    ids = {song_id(n): n for n in range(1, SONGS + 1) if n not in WITHOUT_ID}
    # The same song twice on the other server: the first one stands for it.
    ids["so-2000"] = 3
    write_id_map(id_map_path(catalog), ids, catalog_uuid=opened.uuid)
    opened.close()
    with client_of(catalog) as found:
        yield found


def get(client: TestClient, path: str, **query: Any) -> Any:
    response = client.get(f"{API}{path}", params=query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def test_what_plugins_test_their_connection_by(client: TestClient) -> None:
    assert get(client, "health") == {"status": "ok"}
    assert get(client, "active_tasks") == {}
    # The plugin of Jellyfin asks for the page.
    assert client.get(API.removesuffix("api/")).status_code == 200


def test_similar_tracks_by_id(client: TestClient) -> None:
    rows = get(client, "similar_tracks", item_id=song_id(9), n=50, eliminate_duplicates="false")
    found = [row["item_id"] for row in rows]
    assert set(found) == {song_id(n) for n in range(1, SONGS + 1) if n not in (9, *WITHOUT_ID)}
    distances = [row["distance"] for row in rows]
    assert distances == sorted(distances)
    assert all(0.0 <= distance <= 1.0 for distance in distances)
    assert {"item_id", "title", "author", "album", "album_artist", "distance"} == rows[0].keys()
    own = client.get("similar", params={"like": 9, "n": 50}).json()["neighbours"]
    assert found == [song_id(one["id"]) for one in own if one["id"] not in WITHOUT_ID]
    assert rows == get(
        client, "similar_tracks", item_id=song_id(9), n=50, eliminate_duplicates=False
    )


def test_songs_of_one_artist_are_few_unless_asked_for(client: TestClient) -> None:
    for query in ({}, {"eliminate_duplicates": "true"}, {"eliminate_duplicates": "TRUE"}):
        rows = get(client, "similar_tracks", item_id=song_id(9), n=100, **query)
        artists = [row["author"] for row in rows]
        assert max(map(artists.count, set(artists))) == 3
    # What AudioMuse-AI's own options mean has no counterpart here.
    further = {"radius_similarity": "true", "mood_similarity": "false", "server": "x"}
    assert len(get(client, "similar_tracks", item_id=song_id(9), n=4, **further)) == 4


def test_similar_tracks_by_title_and_artist(client: TestClient) -> None:
    by_names = get(client, "similar_tracks", title="SONG 9", artist="bela", n=5)
    assert by_names == get(client, "similar_tracks", item_id=song_id(9), n=5)
    # A seed that the other server lacks is a seed all the same.
    assert len(get(client, "similar_tracks", title="Song 7", artist="Dot", n=5)) == 5


@pytest.mark.parametrize(("n", "count"), [(None, 10), ("x", 10), (0, 1), (-5, 1), (2**70, 12)])
def test_how_many(client: TestClient, n: object, count: int) -> None:
    query = {} if n is None else {"n": n}
    rows = get(client, "similar_tracks", item_id=song_id(9), **query)
    assert len(rows) == (
        len(get(client, "similar_tracks", item_id=song_id(9), n=500)) if n == 2**70 else count
    )


def test_a_path_has_both_ends_and_at_most_so_many_songs(client: TestClient) -> None:
    query = {"start_song_id": song_id(2), "end_song_id": song_id(29)}
    found = get(client, "find_path", **query, max_steps=6, path_fix_size="false", mood_pct=100)
    ids = [row["item_id"] for row in found["path"]]
    assert (ids[0], ids[-1], len(ids)) == (song_id(2), song_id(29), 6)
    assert found["path"][0]["distance"] == 0.0
    assert found["path"][-1]["distance"] > 0.0
    assert found["total_distance"] > 0.0
    assert not {song_id(track) for track in WITHOUT_ID} & set(ids)
    for steps in ("1000000", "x", "-1", ""):
        path = get(client, "find_path", **query, max_steps=steps)["path"]
        assert (path[0]["item_id"], path[-1]["item_id"]) == (song_id(2), song_id(29))


def test_a_search_finds_titles_artists_and_albums_in_pages(client: TestClient) -> None:
    everything = get(client, "search_tracks", search_query="song", end=100)
    assert len(everything) == SONGS - len(WITHOUT_ID)
    assert len(get(client, "search_tracks", search_query="song")) == 20
    pages = [
        row
        for start in range(0, 40, 10)
        for row in get(client, "search_tracks", search_query="song", start=start, end=start + 10)
    ]
    assert pages == everything
    assert get(client, "search_tracks", title="Song 9", artist="Béla")[0] == {
        "item_id": song_id(9),
        "title": "Song 9",
        "author": "Béla",
        "album": "Album 4",
        "album_artist": "Many",
    }
    assert {row["author"] for row in get(client, "search_tracks", artist="BELA")} == {"Béla"}
    for query in ({}, {"search_query": " "}, {"title": ""}, {"search_query": "zzzz"}):
        assert get(client, "search_tracks", **query) == []
    assert get(client, "search_tracks", search_query="song", start=5, end=2) == []
    assert get(client, "search_tracks", search_query="song", start=10**30) == []


def test_a_track(client: TestClient) -> None:
    assert get(client, "track", item_id=song_id(1)) == {
        "item_id": song_id(1),
        "title": "Song 1",
        "author": "Many",
        "album": "unknown",
        "album_artist": "Many",
    }
    # By whichever of two ids it was asked for; in lists it has the first.
    assert get(client, "track", item_id="so-2000")["item_id"] == "so-2000"
    rows = get(client, "similar_tracks", item_id=song_id(2), n=100)
    assert "so-2000" not in [row["item_id"] for row in rows]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("similar_tracks", {}, 400),
        ("similar_tracks", {"title": "Song 9"}, 400),
        ("similar_tracks", {"mood": "happy", "centroid_index": "0"}, 400),
        ("similar_tracks", {"anchor_id": "1"}, 400),
        ("similar_tracks", {"item_id": "so-1"}, 404),
        # Our own ids are none of the other server's.
        ("similar_tracks", {"item_id": "9"}, 404),
        ("similar_tracks", {"item_id": "%' OR 1=1 --"}, 404),
        ("similar_tracks", {"item_id": "x" * 5000}, 404),
        ("similar_tracks", {"title": "Song 9", "artist": "Another"}, 404),
        ("find_path", {}, 400),
        ("find_path", {"start_song_id": "so-1009"}, 400),
        ("find_path", {"start_song_id": "so-1009", "end_mood": "happy"}, 400),
        ("find_path", {"start_song_id": "so-1009", "end_song_id": "so-1009"}, 400),
        ("find_path", {"start_song_id": "so-1009", "end_song_id": "so-1"}, 404),
        ("track", {}, 400),
        ("track", {"item_id": "so-1"}, 404),
    ],
)
def test_what_is_missing_or_not_known_is_an_error(
    client: TestClient, path: str, query: dict[str, str], status: int
) -> None:
    response = client.get(f"{API}{path}", params=query)
    assert response.status_code == status
    assert response.json().keys() == {"error"}


def test_without_an_import_ids_are_our_own(own: TestClient) -> None:
    (row, *_) = get(own, "search_tracks", search_query="song 3")
    assert row["item_id"] == "3"
    assert len(get(own, "similar_tracks", item_id="3", n=5)) == 5
    assert get(own, "track", item_id="3")["title"] == "Song 3"
    for item_id in ("0", "-1", "9", "9" * 18, "9" * 30, "٣", "1.0", " 1"):
        assert own.get(f"{API}track", params={"item_id": item_id}).status_code == 404


def test_a_guid_is_known_however_it_is_written_and_answered_as_it_was_imported(
    tmp_path: Path,
) -> None:
    songs = [Planted(f"Song {n}", artist=f"Band {n}", duration_s=100.0 + n) for n in range(1, 9)]
    catalog = plant(tmp_path, ("calm",), songs)
    plain, dashed = "ab" * 16, "CD000000-0000-0000-0000-00000000000D"
    with closing(Catalog.open_for_reading(catalog)) as opened:
        ids = {plain: 1, dashed: 2, "AB-CD": 3, "so-4": 4}
        write_id_map(id_map_path(catalog), ids, catalog_uuid=opened.uuid)
    spellings = {
        plain: (plain, plain.upper(), "abababab-abab-abab-abab-ABABABABABAB"),
        dashed: (dashed, dashed.lower(), "cd00000000000000000000000000000d"),
    }
    with client_of(catalog) as client:
        for known, written in spellings.items():
            for item_id in written:
                assert get(client, "track", item_id=item_id)["item_id"] == known
        assert get(client, "similar_tracks", item_id=plain.upper(), n=5)
        ends = {"start_song_id": plain.upper(), "end_song_id": dashed.lower()}
        path = get(client, "find_path", **ends, max_steps=3)["path"]
        assert (path[0]["item_id"], path[-1]["item_id"]) == (plain, dashed)
        for other in ("ab-cd", "ABCD", "SO-4", f"{plain[:31]}-b", f"{plain[:4]}-{plain[4:]}"):
            assert client.get(f"{API}track", params={"item_id": other}).status_code == 404


def test_a_track_that_was_removed_is_not_known(
    catalog: Path, client: TestClient, run: Callable[..., tuple[int, str, str]]
) -> None:
    assert get(client, "track", item_id=song_id(30))["title"] == "Song 30"
    assert run("remove", "30", "--catalog", catalog)[0] == 0
    response = client.get(f"{API}track", params={"item_id": song_id(30)})
    assert response.status_code == 404
    assert response.json().keys() == {"error"}


def test_with_a_token_only_health_is_open(catalog: Path) -> None:
    with client_of(catalog, token=TOKEN) as guarded:
        assert guarded.get(f"{API}health").json() == {"status": "ok"}
        for path in ("active_tasks", "search_tracks", "similar_tracks", "find_path", "track"):
            assert guarded.get(f"{API}{path}").status_code == 401
        # As the plugins of Jellyfin, Navidrome and Lyrion send it.
        known = {"Authorization": f"Bearer {TOKEN}"}
        assert guarded.get(f"{API}active_tasks", headers=known).json() == {}
        wrong = {"Authorization": "Bearer another"}
        assert guarded.get(f"{API}active_tasks", headers=wrong).status_code == 401


def test_only_reading_is_answered(client: TestClient) -> None:
    for path in ("health", "track", "similar_tracks"):
        assert client.post(f"{API}{path}").status_code == 405
    for path in ("analysis/start", "create_playlist", "similar_artists", "health/"):
        assert client.get(f"{API}{path}").status_code == 404


def test_a_track_without_an_embedding_is_no_song_to_ask_about(tmp_path: Path) -> None:
    """As one is until a newer model has come to it."""
    songs = [Planted(f"Song {n}", artist=f"Band {n}", duration_s=100.0 + n) for n in range(1, 9)]
    catalog = plant(tmp_path, ("calm",), songs)
    drop_embeddings(catalog, [1])
    with client_of(catalog) as client:
        assert get(client, "track", item_id="1")["title"] == "Song 1"
        for path, query in (
            ("similar_tracks", {"item_id": "1"}),
            ("similar_tracks", {"title": "Song 1", "artist": "Band 1"}),
            ("find_path", {"start_song_id": "1", "end_song_id": "2"}),
            ("find_path", {"start_song_id": "2", "end_song_id": "1"}),
        ):
            refused = client.get(f"{API}{path}", params=query)
            assert (refused.status_code, refused.json().keys()) == (404, {"error"}), path
        # Nor is it one to Navidrome, which gets nothing.
        song = {"name": "Song 1", "artist": "Band 1"}
        for call, given in (
            ("nd_get_sonic_similar_tracks", {"song": song}),
            ("nd_find_sonic_path", {"startSong": song, "endSong": {"name": "Song 2"}}),
            ("nd_get_similar_songs_by_track", song),
            ("nd_get_similar_songs_by_artist", {"name": "Band 1"}),
        ):
            answer = client.post("navidrome", json={"call": call, "input": given})
            assert list(answer.json().values()) == [[]], call
