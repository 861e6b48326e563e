from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.errors import BadLabels
from recommender.genres.labels import (
    Song,
    from_folders,
    from_table,
    from_tags,
    merge_spellings,
    read_labels,
)
from recommender.retrieval.names import artist_key, genre_key, split_genres
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("gtzan")
    for path, genre in (
        ("blues/1.wav", "Hip-Hop"),
        ("blues/album/2.wav", "hip hop; Blues"),
        ("rock/3.wav", "Hip-Hop"),
        ("lone.wav", "Other"),
    ):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        tags = {"artist": "Band", "genre": genre}
        sounds.write_audio(place / path, sounds.music(1, seed=0), tags=tags)
    (place / "rock/cover.jpg").touch()
    return place


def test_classes_are_the_folders_right_below(folder: Path) -> None:
    assert from_folders(folder) == [
        Song(folder / "blues/1.wav", ("blues",), "Band"),
        Song(folder / "blues/album/2.wav", ("blues",), "Band"),
        Song(folder / "rock/3.wav", ("rock",), "Band"),
    ]


def test_classes_are_the_tags_in_one_spelling(folder: Path) -> None:
    assert {song.path.name: song.genres for song in from_tags(folder)} == {
        "1.wav": ("Hip-Hop",),
        "2.wav": ("Hip-Hop", "Blues"),
        "3.wav": ("Hip-Hop",),
    }


def test_a_table_has_columns_of_many_names(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(
        "\ufefffile;style;performer;split\na/1.mp3;Jazz;Ann;train\na/2.mp3;Rock;Bob;eval\n"
        "a/3.mp3;;Bob;train\nshort\n".encode()
    )
    assert read_labels(table) == [
        Song(tmp_path / "a/1.mp3", ("Jazz",), "Ann"),
        Song(tmp_path / "a/2.mp3", ("Rock",), "Bob"),
    ]
    assert read_labels(table, where=["split=train"]) == [
        Song(tmp_path / "a/1.mp3", ("Jazz",), "Ann")
    ]


def test_a_table_saved_by_pandas_is_no_table_of_fma(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(",path,genre\n0,a.mp3,Jazz\n1,b.mp3,Rock\n")
    assert [song.genres for song in read_labels(table)] == [("Jazz",), ("Rock",)]


def test_fmas_tracks_are_read_as_published(tmp_path: Path) -> None:
    table = tmp_path / "tracks.csv"
    table.write_text(
        ",album,artist,set,set,track\n,title,name,split,subset,genre_top\ntrack_id,,,,,\n"
        '2,"AWOL\nagain",AWOL,training,small,Hip-Hop\n10,C,Kurt,training,large,Pop\n'
        "155320,D,Someone,test,small,\n"
    )
    assert from_table(table, tmp_path / "fma", where=["set.subset=small"]) == [
        Song(tmp_path / "fma/000/000002.mp3", ("Hip-Hop",), "AWOL")
    ]
    assert len(from_table(table, tmp_path)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,mood\na.mp3,sad\n", "has no column genre or"),
        (b"", "has no column path or"),
        (b"path,genre\na.mp3,Chanson fran\xe7aise\n", "is not UTF-8"),
        (b"path,genre\na.mp3," + b"x" * 200_000 + b"\n", "is not a CSV file"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(content)
    with pytest.raises(BadLabels, match=rf"t\.csv {message}"):
        read_labels(table)


def test_a_missing_table_or_column_of_a_condition_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadLabels, match="cannot be read: No such file"):
        read_labels(tmp_path / "none.csv")
    table = tmp_path / "t.csv"
    table.write_text("path,genre\na.mp3,Jazz\n")
    with pytest.raises(BadLabels, match="has no column split"):
        read_labels(table, where=["split=train"])
    with pytest.raises(BadLabels, match="is a folder"):
        read_labels(tmp_path, where=["split=train"])


def test_spellings_of_a_genre_are_one() -> None:
    for same in (
        ("Hip-Hop", "hip hop", "HIPHOP"),
        (
            "R&B",
            "R'n'B",
            "r and b",
            "R\N{RIGHT SINGLE QUOTATION MARK}n\N{RIGHT SINGLE QUOTATION MARK}B",
        ),
        ("Drum & Bass", "drum n bass", "Drum and Bass"),
        ("Música", "musica"),
    ):
        assert len(set(map(genre_key, same))) == 1, same
    assert genre_key("Country") != genre_key("County")


def test_several_genres_of_a_tag_are_split() -> None:
    assert split_genres("Jazz; Blues/jazz , Soul | Other") == ("Jazz", "Blues", "Soul")
    assert split_genres(" Rock; Pop/Dance , (None)|Other") == ("Rock", "Pop", "Dance")
    assert split_genres("(None)") == split_genres(None) == split_genres(" ; ") == ()


def test_the_commonest_spelling_wins_and_twins_are_one() -> None:
    labels = [("hip hop",), ("Hip-Hop", "Rap"), ("Hip-Hop", "Rap"), ("Folk", "Irish")]
    assert merge_spellings(labels) == [
        ("Hip-Hop",),
        ("Hip-Hop", "Rap"),
        ("Hip-Hop", "Rap"),
        ("Folk/Irish",),
    ]


def test_a_featured_artist_is_left_out_of_an_artists_name() -> None:
    assert (
        artist_key("Ann feat. Bob") == artist_key("ÁNN (ft. Eve)") == artist_key(" ann ") == "ann"
    )
    assert artist_key("Featherweight") == "featherweight"
