from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog.records import StoredModel
from indexer.errors import BadLabels, BadVector, ModelMismatch, NoClassifier
from recommender.genres import GenreClassifier
from recommender.genres.classifier import artist_folds, encode, log_loss, read_file, sample_evenly
from recommender.genres.held_out import calibration_error, cross_validate

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MODEL = StoredModel(1, "tiny", "f" * 64, 6, ("loud",), 12)
NAMES = ("Blues", "Rock", "Techno")


def songs(
    count: int = 90, *, noise: float = 0.4, seed: int = 0
) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """Embeddings around a direction a genre, their genres, their artists."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(count) % 3
    vectors = np.eye(6)[numbers] + noise * rng.standard_normal((count, 6))
    return vectors, [NAMES[n] for n in numbers], [f"artist {n // 6}" for n in range(count)]


def test_five_lines_are_enough(tmp_path: Path) -> None:
    vectors, genres, artists = songs()
    classifier = GenreClassifier().fit(vectors, genres, artists)
    new, actual, _ = songs(60, seed=1)
    shares = classifier.predict_proba(new)
    assert shares.shape == (60, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert classifier.classes_ == NAMES
    right = np.mean([a == b for a, b in zip(classifier.predict(new), actual, strict=True)])
    assert right > 0.85
    classifier.save(tmp_path / "c.genres", model=MODEL)
    again = GenreClassifier.load(tmp_path / "c.genres", model=MODEL)
    np.testing.assert_array_equal(again.predict_proba(new), shares)
    assert (again.classes_, again.temperature_) == (classifier.classes_, classifier.temperature_)


def test_two_genres_have_probabilities_of_a_logistic_regression() -> None:
    vectors, genres, _ = songs(60)
    two = [genre if genre == "Rock" else "Other" for genre in genres]
    shares = GenreClassifier().fit(vectors, two).predict_proba(vectors)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert ((shares[:, 1] > 0.5) == [name == "Rock" for name in two]).mean() > 0.8


def test_the_same_seed_learns_the_same() -> None:
    vectors, genres, artists = songs()
    first, second = (
        GenreClassifier(random_state=3).fit(vectors, genres, artists) for _ in range(2)
    )
    np.testing.assert_array_equal(first.logits(vectors), second.logits(vectors))


def test_a_track_of_several_genres_counts_for_each() -> None:
    vectors, genres, _ = songs(60)
    several = [("Rock", "Loud") if genre == "Rock" else (genre,) for genre in genres]
    shares = GenreClassifier().fit(vectors, several).predict_proba(np.eye(6)[[1]])[0]
    by_name = dict(zip(("Blues", "Loud", "Rock", "Techno"), shares, strict=True))
    assert by_name["Loud"] == pytest.approx(by_name["Rock"], abs=0.02)
    assert by_name["Rock"] > 0.3


@pytest.mark.parametrize(
    ("vectors", "labels", "error", "message"),
    [
        (np.eye(3), ["a", "a", "b"], BadLabels, "the genre b has one track"),
        (np.eye(3), ["a", "a", "a"], BadLabels, "at least 2"),
        (np.eye(3), ["a", "b"], BadVector, "3 vectors for 2 labels"),
        (np.eye(3), ["a", (), "b"], BadLabels, "has no genre"),
        (np.full((4, 2), np.nan), ["a", "a", "b", "b"], BadVector, "finite"),
        ([["x"], ["y"]], ["a", "b"], BadVector, "not rows of numbers"),
        (np.zeros((0, 4)), [], BadVector, "shape"),
    ],
)
def test_what_cannot_be_learned_is_said(
    vectors: object, labels: list[object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        GenreClassifier().fit(vectors, labels)  # type: ignore[arg-type]  # meant to be wrong


def test_genres_of_one_artist_each_are_learned_without_folds() -> None:
    vectors, genres, _ = songs(30)
    found = GenreClassifier().fit(vectors, genres, genres)
    assert found.temperature_ == 1.0
    assert found.predict(np.eye(6)[:3]) == list(NAMES)


def test_a_classifier_that_has_learned_nothing_says_so() -> None:
    with pytest.raises(NoClassifier, match="call fit or load"):
        GenreClassifier().predict_proba(np.eye(3))
    vectors, genres, _ = songs(30)
    with pytest.raises(
        BadVector, match="vectors of 5 numbers, the classifier was fitted to vectors of 6"
    ):
        GenreClassifier().fit(vectors, genres).predict(np.ones((1, 5)))


def test_a_file_of_another_model_or_none_is_refused(tmp_path: Path) -> None:
    vectors, genres, _ = songs(30)
    path = tmp_path / "c.genres"
    with pytest.raises(NoClassifier, match="there is no genre classifier"):
        GenreClassifier.load(path, model=MODEL)
    GenreClassifier().fit(vectors, genres).save(path, model=MODEL, notes={"a": 1})
    other = StoredModel(2, "other", "e" * 64, 6, ("loud",), 12)
    with pytest.raises(ModelMismatch, match="embeddings of the model tiny, the catalog's are of"):
        GenreClassifier.load(path, model=other)
    assert read_file(path, model=MODEL)[1] == {"a": 1}
    whole = path.read_bytes()
    for damaged in (
        b"",
        b"text",
        whole[:40],
        whole[:-9],
        whole.replace(b"temperature", b"tempxrature"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(NoClassifier, match="damaged"):
            GenreClassifier.load(path, model=MODEL)


def test_no_artist_is_in_both_parts_of_a_fold() -> None:
    _, genres, artists = songs()
    owners = np.unique(artists, return_inverse=True)[1]
    left_out = []
    for learned, out in artist_folds(encode(genres)[1], owners, count=5, random_state=0):
        assert not set(owners[learned]) & set(owners[out])
        left_out += out.tolist()
    assert sorted(left_out) == list(range(90))


def test_what_is_drawn_is_even_over_the_genres() -> None:
    genres = ["many"] * 80 + ["few"] * 10 + ["some"] * 30
    _, targets = encode(genres)
    drawn = sample_evenly(targets.argmax(axis=1), 60, random_state=0)
    assert [[genres[row] for row in drawn].count(g) for g in ("many", "few", "some")] == [
        25,
        10,
        25,
    ]
    assert sample_evenly(targets.argmax(axis=1), 200, random_state=0).tolist() == list(range(120))


def test_log_loss_is_the_cross_entropy() -> None:
    targets = np.eye(2)[[0, 1] * 500]
    assert log_loss(np.zeros((1000, 2)), targets) == pytest.approx(np.log(2))
    assert log_loss(20 * targets, targets) == pytest.approx(20 * 0.5 / 1002, rel=1e-3)


def test_calibration_error_is_the_gap_of_confidence_and_truth() -> None:
    right = np.array([True, False] * 50)
    assert calibration_error(np.full(100, 0.5), right) == pytest.approx(0)
    assert calibration_error(np.full(100, 1.0), right) == pytest.approx(0.5)


def test_held_out_accuracy_is_high_with_the_sound_and_chance_without() -> None:
    vectors, genres, artists = songs(120)
    found = cross_validate(vectors, genres, artists)
    assert found.confusion.accuracy > 0.85
    assert found.interval[0] <= found.confusion.accuracy <= found.interval[1]
    assert found.shuffled < 0.5
    assert found.calibration_error < 0.15
    assert found.probabilities.shape == (120, 3)
    assert found.to_json()["artists"] == 20


def test_artists_that_sound_like_nothing_else_do_not_flatter() -> None:
    """With each artist in a place of its own, only memory of artists could tell the genres."""
    rng = np.random.default_rng(0)
    of_artists = 3 * rng.standard_normal((12, 20))
    vectors = np.repeat(of_artists, 8, axis=0) + 0.05 * rng.standard_normal((96, 20))
    genres = [NAMES[artist % 3] for artist in range(12) for _ in range(8)]
    artists = [str(artist) for artist in range(12) for _ in range(8)]
    assert cross_validate(vectors, genres, artists).confusion.accuracy < 0.6
    assert cross_validate(vectors, genres, [str(n) for n in range(96)]).confusion.accuracy > 0.9


def test_folds_need_two_artists_of_each_genre() -> None:
    vectors, genres, _ = songs(30)
    with pytest.raises(BadLabels, match="at least 2 artists"):
        cross_validate(vectors, genres, ["one"] * 30)
