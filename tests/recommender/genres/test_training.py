from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.errors import BadLabels
from recommender.engine import Recommender
from recommender.genres import training
from recommender.genres.answers import predict_genres, predict_missing_genres
from recommender.genres.classifier import GenreClassifier
from recommender.genres.report import genre_report
from tests.catalogs import Planted, plant
from tests.recommender.genres.conftest import GENRES, TAGS, voices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def recommender(library: Path) -> Iterator[Recommender]:
    with Recommender.open(library) as opened:
        yield opened


def test_a_library_teaches_the_genres_of_its_tags(recommender: Recommender, tmp_path: Path) -> None:
    training_set = training.training_set_from_tags(recommender)
    assert set(training_set.labels) == {(genre,) for genre in GENRES}
    assert (len(training_set.ids), training_set.unknown_artists, training_set.left_out) == (
        36,
        0,
        (),
    )
    classifier, held_out = training.train(training_set)
    assert held_out.confusion.accuracy > 0.85
    path = tmp_path / "catalog.genres"
    training.save(path, classifier, held_out, training_set, recommender)
    again = GenreClassifier.load(path, model=recommender.model)
    predictions = predict_missing_genres(recommender, again)
    assert {one.name: one.predictions[0].genre for one in predictions} == {
        "X - Nameless one": "Jazz",
        "X - Nameless two": "Rock",
    }
    assert [one.own_genre for one in predictions] in ([None, "Other"], ["Other", None])
    assert predict_missing_genres(recommender, again, at_least=1.0) == []
    own = predict_genres(recommender, again, "1")
    assert (own.id, own.own_genre, own.predictions[0].genre) == (1, "Jazz", "Jazz")
    assert recommender.track("nameless one").genre is None


def test_a_report_tells_of_each_genre(recommender: Recommender, tmp_path: Path) -> None:
    training_set = training.training_set_from_tags(recommender)
    wrong = (*training_set.labels[:2], ("Techno",), *training_set.labels[3:])
    training_set = replace(training_set, labels=wrong)
    training.save(tmp_path / "c.genres", *training.train(training_set), training_set, recommender)
    report = genre_report(recommender, tmp_path / "c.genres")
    by_name = {profile.genre: profile for profile in report.genres}
    assert [by_name[genre].tags[0].tag for genre in GENRES] == ["guitar", "piano", "electro"]
    assert by_name["Jazz"].moods[0].tag == "mellow"
    assert by_name["Jazz"].tracks == 11
    assert by_name["Techno"].atypical[0].name == "Jazz band 0 - Jazz 0 2"
    mistakes = {(one.genre, one.predicted_as): one for one in report.mistakes}
    assert mistakes["Techno", "Jazz"].examples[0].id == 3
    assert sum(sum(row) for row in report.confusion.counts) == 36
    probabilities = [example.probability for example in by_name["Rock"].typical]
    assert probabilities == sorted(probabilities, reverse=True)


def test_genres_of_too_few_are_left_out_and_named(tmp_path: Path) -> None:
    few = [
        Planted(f"Solo {n}", genre="Polka; Jazz" if n else "Polka", artist=f"P {n % 2}")
        for n in range(6)
    ]
    with Recommender.open(plant(tmp_path, TAGS, voices() + few)) as recommender:
        training_set = training.training_set_from_tags(recommender)
    assert training_set.left_out == (training.ExcludedGenre("Polka", 6, 2),)
    assert len(training_set.ids) == 41
    assert ("Jazz",) in training_set.labels[36:]


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ([Planted("a"), Planted("b", genre="other")], "no track of the catalog has a genre tag"),
        (
            [*(p for p in voices() if p.genre == "Jazz"), Planted("x", genre="Blues")],
            r"1 genres of .* it takes 2 \(Blues has 1 track by 1 artist\)",
        ),
        (
            [Planted(f"{n}", genre="Jazz", artist="One") for n in range(9)],
            r"0 genres .* \(Jazz has 9 tracks by 1 artist\)",
        ),
    ],
)
def test_too_few_labels_are_said(tmp_path: Path, planted: list[Planted], message: str) -> None:
    with Recommender.open(plant(tmp_path, TAGS, planted)) as recommender:
        with pytest.raises(BadLabels, match=message):
            training.training_set_from_tags(recommender)


def test_an_album_stands_in_for_an_artist(tmp_path: Path) -> None:
    nameless = [
        Planted(f"{n}", genre="Jazz", artist=None, album=None if n < 2 else "Live")
        for n in range(5)
    ]
    with Recommender.open(plant(tmp_path, TAGS, voices() + nameless)) as recommender:
        training_set = training.training_set_from_tags(recommender)
    assert training_set.unknown_artists == 2
    assert len(set(training_set.artists[36:])) == 3


def test_a_table_labels_tracks_by_the_end_of_their_paths(
    recommender: Recommender, library: Path, tmp_path: Path
) -> None:
    rows = [f"{n:04}.mp3,{'odd' if n % 2 else 'even'},artist {n // 2}" for n in range(1, 25)]
    table = tmp_path / "labels.csv"
    gone = ["music/9999.mp3,odd,x", f"{library.parent}/music/0030.mp3,even,y"]
    table.write_text("\n".join(["path,genre,artist", *rows, *gone]))
    training_set = training.training_set_from_labels(recommender, table)
    assert training_set.ids.tolist() == [*range(1, 25), 30]
    assert training_set.labels[0] == ("odd",)
    assert training_set.unmatched == (str(tmp_path / "music/9999.mp3"),)
    np.testing.assert_array_equal(training_set.vectors, recommender.vectors(training_set.ids))


def test_labels_of_nothing_in_the_catalog_are_refused(
    recommender: Recommender, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,genre\nx.mp3,Jazz\n")
    with pytest.raises(BadLabels, match="none of the 1 songs"):
        training.training_set_from_labels(recommender, table)


def test_a_path_that_ends_several_tracks_labels_none(tmp_path: Path) -> None:
    catalog = plant(tmp_path, TAGS, voices())
    table = tmp_path / "labels.csv"
    table.write_text("path,genre\n001.mp3,Jazz\n")
    with Recommender.open(catalog) as recommender, pytest.raises(BadLabels, match="none of the"):
        training.training_set_from_labels(recommender, table)
