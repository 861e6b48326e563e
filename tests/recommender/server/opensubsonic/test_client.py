"""Music Assistant's own client, py-opensonic, against `soundalike serve` as a process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from libopensonic import Connection
from libopensonic.errors import CredentialError, DataNotFoundError, ParameterError, SonicError

from tests.catalogs import plant
from tests.recommender.server.opensubsonic.library import TRACKS, secret_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.recommender.server.conftest import Running, Start


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant(tmp_path_factory.mktemp("client"), ["calm", "loud"], TRACKS)


@pytest.fixture(scope="module")
def running(catalog: Path, server: Start) -> Iterator[Running]:
    with server(catalog) as found:
        yield found


@contextmanager
def connected(running: Running, **login: Any) -> Iterator[Connection]:
    base, _, port = running.url.rstrip("/").rpartition(":")
    connection = Connection(base, port=int(port), **login)
    try:
        yield connection
    finally:
        connection.cleanup()
        connection._loop.close()  # Which it leaves open.


@pytest.fixture(scope="module")
def client(running: Running, catalog: Path) -> Iterator[Connection]:
    with connected(running, api_key=secret_of(catalog)) as found:
        yield found


@pytest.mark.parametrize("use_get", [False, True])
@pytest.mark.parametrize("way", ["token", "password", "key"])
def test_it_logs_in_in_all_three_ways(
    running: Running, catalog: Path, way: str, *, use_get: bool
) -> None:
    secret = secret_of(catalog)
    login = {"username": "soundalike", "password": secret, "legacy_auth": way == "password"}
    with connected(
        running, **({"api_key": secret} if way == "key" else login), use_get=use_get
    ) as client:
        assert client.ping()
        assert client.token_info().username == "soundalike"


def test_a_wrong_password_does_not_log_in(running: Running) -> None:
    for login in ({"username": "soundalike", "password": "wrong"}, {"api_key": "wrong"}):
        with connected(running, **login) as client, pytest.raises((CredentialError, SonicError)):
            client.token_info()


def test_the_password_may_lie_elsewhere(catalog: Path, tmp_path: Path, server: Start) -> None:
    path = tmp_path / "secret of players"
    with server(catalog, "--players-secret", str(path)) as running:
        assert path.stat().st_mode & 0o777 == 0o600
        with connected(running, api_key=path.read_text().strip()) as client:
            assert client.ping()
        with connected(running, api_key=secret_of(catalog)) as client, pytest.raises(SonicError):
            client.token_info()


def test_it_reads_what_the_server_is(client: Connection) -> None:
    extensions = {one.name: one.versions for one in client.get_open_subsonic_extensions()}
    assert {"apiKeyAuthentication", "formPost", "sonicSimilarity"} <= extensions.keys()
    assert client.get_license()["license"]["valid"] is True
    assert client.get_user("soundalike").stream_role is True
    assert client.get_scan_status().count == len(TRACKS)


def test_it_browses_from_artists_to_songs(client: Connection) -> None:
    artists = {one.name: one for index in client.get_artists().index for one in index.artist}
    albums = client.get_artist(artists["Miles Davis"].id).album
    assert [(one.name, one.year, one.song_count) for one in albums] == [("Kind of Blue", 1959, 5)]
    album = client.get_album(albums[0].id)
    assert [song.title for song in album.song] == [f"Blue {number}" for number in range(5)]
    song = client.get_song(album.song[0].id)
    assert (song.album_id, song.artist, song.suffix) == (album.id, "Miles Davis", "mp3")
    assert song == album.song[0]
    for one in artists.values():
        for of_artist in client.get_artist(one.id).album:
            assert client.get_album(of_artist.id).song
    with pytest.raises(DataNotFoundError):
        client.get_song("tr-4711")
    with pytest.raises((ParameterError, SonicError)):
        client.get_album_list2("byGenre")


def test_it_browses_by_folders(client: Connection) -> None:
    index = {one.name: one for part in client.get_indexes().index for one in part.artist}
    folder = client.get_music_directory(index["Miles Davis"].id)
    (album,) = folder.child
    assert (album.title, album.is_dir) == ("Kind of Blue", True)
    songs = client.get_music_directory(album.id).child
    assert [song.is_dir for song in songs] == [False] * 5
    listed = client.get_album_list("newest", size=500)
    counts = {one.name: (one.id, one.song_count) for one in listed}
    assert counts["Kind of Blue"] == (album.id, 5)
    found = client.search2("blue")
    assert [(one.title, one.is_dir) for one in found.album] == [("Kind of Blue", True)]
    assert len(found.song) == 5


def test_it_lists_and_searches(client: Connection) -> None:
    found = client.search3("blue")
    assert {song.title for song in found.song} == {f"Blue {number}" for number in range(5)}
    assert [album.name for album in found.album] == ["Kind of Blue"]
    pages: list[str] = []
    while songs := client.search3('""', 0, 0, 0, 0, 7, len(pages)).song:
        pages += [song.id for song in songs]
    assert len(pages) == len(set(pages)) == len(TRACKS)
    assert {genre.value for genre in client.get_genres()} == {"Jazz", "Pop", "Rock"}
    assert len(client.get_songs_by_genre("Jazz")) == 5
    assert len(client.get_random_songs(size=12)) == 12
    newest = client.get_album_list2("newest", size=500)
    by_name = client.get_album_list2("alphabeticalByName", size=500)
    assert {one.id for one in newest} == {one.id for one in by_name}


def test_it_copies_a_whole_server_as_music_assistant_does(client: Connection) -> None:
    artists = [one for index in client.get_artists().index for one in index.artist]
    for artist in artists:
        assert client.get_artist(artist.id).id == artist.id
        client.get_artist_info2(artist.id)
    albums: list[str] = []
    while page := client.get_album_list2("alphabeticalByArtist", size=4, offset=len(albums)):
        albums += [one.id for one in page]
    for album in albums:
        assert client.get_album(album).song
        client.get_album_info2(album)
    assert len(albums) == len(set(albums)) == len(client.search3("", album_count=500).album)
    # What it asks for besides, and takes an error of for the end of the copy.
    assert client.get_album_list2("frequent") == []
    assert client.get_podcasts() == client.get_newest_podcasts() == client.get_bookmarks() == []
    assert client.get_internet_radio_stations() == client.get_shares() == []
    assert client.get_now_playing() == []
    queue = client.get_play_queue()
    assert (queue.username, queue.entry) == ("soundalike", [])


def test_it_gets_radio(client: Connection) -> None:
    assert len(client.get_similar_songs("tr-1", count=10)) == 10
    artist = client.search3("Miles Davis").artist[0]
    similar = client.get_similar_songs2(artist.id, count=10)
    assert {song.artist for song in similar} - {"Miles Davis"}
    assert len(client.get_top_songs("Miles Davis", count=3)) == 3
    assert client.get_artist_info2(artist.id).similar_artist
    matches = client.get_sonic_similar_tracks("tr-1", count=5)
    assert len(matches) == 5
    assert all(0.0 <= match.similarity <= 1.0 for match in matches)
    path = client.find_sonic_path("tr-1", "tr-40", count=6)
    assert [path[0].entry.id, path[-1].entry.id, len(path)] == ["tr-1", "tr-40", 6]
