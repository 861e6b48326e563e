"""Which songs make an album, who made it, and ids that stay."""

from __future__ import annotations

import json

import numpy as np
import pytest

from indexer.catalog.album_queries import AlbumRow
from indexer.errors import UnknownTrack
from recommender.server.opensubsonic.library_tree import (
    UNKNOWN_ALBUM,
    UNKNOWN_ARTIST,
    VARIOUS_ARTISTS,
    LibraryTree,
    artist_id,
    sort_name,
)
from recommender.server.opensubsonic.server import KeptTree
from recommender.server.opensubsonic.tree_building import build_tree

_ROW = AlbumRow(
    id=1,
    key="given",
    path=b"/music/a.mp3",
    artist="One",
    artists="[]",
    album="First",
    album_artist=None,
    album_artists="[]",
    genre=None,
    year=None,
    track_number=None,
    disc_number=None,
    musicbrainz_album_id=None,
    musicbrainz_artist_ids="[]",
    musicbrainz_album_artist_ids="[]",
    added_at=0.0,
    duration_s=60.0,
)


def tree_of(*rows: dict[str, object]) -> LibraryTree:
    """The tree of tracks with ids from 1 on, each given by what is not as in `_ROW`."""
    numbered = enumerate(rows, start=1)
    return build_tree(_ROW._replace(id=number, **row) for number, row in numbered)


def albums(tree: LibraryTree) -> list[tuple[str, str, list[int]]]:
    return [(one.name, one.artist, tree.album_songs(one).tolist()) for one in tree.albums]


def test_an_album_is_known_by_its_name_and_artist_wherever_its_files_lie() -> None:
    tree = tree_of(
        {"album": "Best", "album_artist": "One", "path": b"/a/1.mp3", "track_number": 2},
        {"album": "BEST", "album_artist": "Óne", "path": b"/b/1.mp3", "track_number": 1},
        {"album": "Best", "album_artist": "Two", "path": b"/a/2.mp3"},
    )
    assert albums(tree) == [("Best", "One", [2, 1]), ("Best", "Two", [3])]


def test_without_an_album_artist_the_folder_decides_and_discs_lie_together() -> None:
    tree = tree_of(
        {"album": "Hits", "artist": "One", "path": b"/x/CD1/b.mp3"},
        {"album": "Hits", "artist": "Two", "path": b"/x/CD 2/a.mp3", "disc_number": 2},
        {"album": "Hits", "artist": "Three", "path": b"/y/a.mp3"},
        {"album": "Hits", "artist": "Three", "path": b"/y/b.mp3"},
    )
    assert albums(tree) == [("Hits", "Three", [3, 4]), ("Hits", VARIOUS_ARTISTS, [1, 2])]
    assert [one.is_compilation for one in tree.albums] == [False, True]


def test_musicbrainz_keeps_two_editions_apart_and_names_artists() -> None:
    ids = {"musicbrainz_artist_ids": json.dumps(["mb-1"]), "album_artist": "One"}
    tree = tree_of(
        {"musicbrainz_album_id": "first", **ids},
        {"musicbrainz_album_id": "second", **ids},
        {"artists": json.dumps(["One", "Two"]), **ids},
    )
    assert sorted(one.musicbrainz_id or "" for one in tree.albums) == ["", "first", "second"]
    named = {one.name: one.musicbrainz_id for one in tree.artists}
    # Of two names and one id it is not sure whose it is.
    assert named == {"One": "mb-1", "Two": None}


def test_songs_without_tags_have_an_album_and_an_artist_too() -> None:
    tree = tree_of(
        {"album": None, "artist": "One"},
        {"album": "", "artist": "One"},
        {"album": None, "artist": None},
    )
    assert albums(tree) == [(UNKNOWN_ALBUM, UNKNOWN_ARTIST, [3]), (UNKNOWN_ALBUM, "One", [1, 2])]


def test_songs_of_an_album_are_by_disc_number_and_path() -> None:
    places = [(2, 1, b"a"), (1, 2, b"b"), (1, 1, b"d"), (None, None, b"z"), (None, None, b"y")]
    tree = tree_of(
        *(
            {"album_artist": "One", "disc_number": disc, "track_number": number, "path": path}
            for disc, number, path in places
        )
    )
    assert albums(tree)[0][2] == [5, 4, 3, 2, 1]


def test_an_artist_has_every_song_and_album_that_names_the_artist() -> None:
    tree = tree_of(
        {"artists": json.dumps(["One", "Guest"]), "artist": "One & Guest", "album_artist": "One"},
        {"artist": "One", "album_artist": "One"},
        {"artist": "guest", "album": "Own", "album_artist": "Guest"},
        {"artist": "Singer", "album": "Band", "album_artist": "The Band"},
    )
    by_name = {one.name: one for one in tree.artists}
    assert list(by_name) == ["The Band", "Guest", "One", "Singer"]
    guest = by_name["Guest"]
    assert tree.artist_songs(guest).tolist() == [3, 1]
    assert [one.name for one in tree.artist_albums(guest)] == ["Own", "First"]
    assert guest.roles == ("albumartist", "artist")
    # Who is named by whole albums only has the songs of these.
    assert by_name["The Band"].roles == ("albumartist",)
    assert tree.artist_songs(by_name["The Band"]).tolist() == [4]
    assert tree.artist_named("  GUEST ") is guest
    assert tree.artist_named("nobody") is None


def test_an_artist_is_known_by_the_name_that_clients_see() -> None:
    tree = tree_of({"artist": "A\x0bB\ufffe"}, {"artist": "A B"})
    seen, other = tree.artist_named("a\ufffdb\ufffd"), tree.artist_named("a b")
    assert seen is not None
    assert other is not None
    assert [seen.name, other.name] == ["A\x0bB\ufffe", "A B"]


def test_genres_are_counted_however_they_are_spelt() -> None:
    tree = tree_of(
        {"genre": "hip\x02hop; Jazz", "album_artist": "One"},
        {"genre": "Hip-Hop", "album_artist": "One"},
        {"genre": "Hip-Hop", "album_artist": "One"},
        {"genre": "Jazz", "album_artist": "Two"},
        {"genre": "Unknown; ; ???"},
        {"genre": "\N{GUITAR}"},
    )
    assert {one.name: (one.songs.tolist(), one.album_count) for one in tree.genres.values()} == {
        "Hip-Hop": ([1, 2, 3], 1),
        "Jazz": ([1, 4], 2),
        "\N{GUITAR}": ([6], 1),
    }
    assert {one.genres for one in tree.albums} >= {("Hip-Hop", "Jazz"), ("Jazz",)}
    for text, songs in (
        ("HIP HOP", [1, 2, 3]),
        ("jazz / hiphop", [1]),
        ("\N{GUITAR}", [6]),
        ("Jazz; Polka", []),
        ("Unknown", []),
    ):
        assert tree.genre_songs(text).tolist() == songs, text


def test_ids_do_not_depend_on_what_else_there_is() -> None:
    alone = tree_of({"album_artist": "One"})
    more = tree_of({"album": "Zero", "artist": "A"}, {"album_artist": "ONE"}, {"album": "Z"})
    assert alone.albums[0].id in {one.id for one in more.albums}
    assert alone.artists[0].id == artist_id("one")
    for odd in ("", "al-", alone.artists[0].id, "tr-1", "al-0000"):
        with pytest.raises(UnknownTrack):
            alone.album(odd)
    with pytest.raises(UnknownTrack):
        alone.artist(alone.albums[0].id)


def test_ids_stay_when_the_whole_library_moves() -> None:
    of_folder = {"album": "Hits", "key": "x/Hits/a.mp3"}
    here = tree_of({**of_folder, "path": b"/here/x/Hits/a.mp3"}).albums[0]
    there = tree_of({**of_folder, "path": b"/there/x/Hits/a.mp3"}).albums[0]
    assert here.id == there.id
    discs = tree_of(
        {"album": "Hits", "key": "CD1/a.mp3", "path": b"/here/CD1/a.mp3"},
        {"album": "Hits", "key": "CD2/a.mp3", "path": b"/here/CD2/a.mp3"},
    )
    assert len(discs.albums) == 1
    # A key that a caller gave says nothing of the folder.
    one = tree_of({"album": "Hits", "path": b"/a/1.mp3"}, {"album": "Hits", "path": b"/b/1.mp3"})
    assert len(one.albums) == 2


def test_the_album_of_a_song() -> None:
    tree = tree_of({"album": "B"}, {"album": "A"}, {"album": "B"})
    found = tree.albums_of_songs([3, 99, 1, 2])
    assert {song: album.name for song, album in found.items()} == {3: "B", 1: "B", 2: "A"}
    assert tree_of().albums_of_songs([1]) == {}
    assert tree.album_numbers(np.array([99])).tolist() == [-1]


def test_articles_are_not_sorted_by() -> None:
    assert [sort_name(name) for name in ("The Who", "Los Lobos", "Theo", "The", "Miles Davis")] == [
        "who",
        "lobos",
        "theo",
        "the",
        "miles davis",
    ]


def test_damaged_lists_of_names_cost_only_the_list() -> None:
    tree = tree_of({"artists": "[1", "album_artists": "{}", "album_artist": "One"})
    assert albums(tree) == [("First", "One", [1])]


def test_a_tree_that_is_slow_to_make_is_kept_while_tracks_come_in() -> None:
    class Source:
        """A recommender whose catalog changes with every look at it."""

        def __init__(self) -> None:
            self.change, self.made, self.now, self.spent = 0, 0, 100.0, 0.0
            self.takes, self.waits = 0.0, 0.0

        def changes(self) -> Source:
            return self

        @property
        def facets(self) -> int:
            return self.change

        def album_rows(self) -> list[AlbumRow]:
            self.made += 1
            self.spent += self.takes
            self.now += self.takes + self.waits
            return [_ROW]

    source = Source()
    kept = KeptTree(
        source,  # type: ignore[arg-type]
        clock=lambda: source.now,
        cpu_clock=lambda: source.spent,
    )
    assert kept.tree() is kept.tree()
    # That it was held up by other work says nothing of what it costs.
    source.waits = 2.0
    for source.change in range(1, 4):
        kept.tree()
    assert source.made == 4
    source.takes, source.waits, source.change = 2.0, 0.0, 5
    kept.tree()
    for source.change in range(6, 20):
        source.now += 1.0
        kept.tree()
    assert source.made == 5
    source.now += 60.0
    kept.tree()
    assert source.made == 6
