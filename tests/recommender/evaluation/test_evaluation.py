from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.stats import skew
from sklearn.metrics import average_precision_score

from indexer.audio.reading import read_facts, read_windows
from indexer.errors import BadVector, NotAudio
from indexer.vectors.unit_vectors import unit_rows
from recommender import Recommender
from recommender.__main__ import cli
from recommender.evaluation.degradations import KINDS, MP3, PLAIN, Sound, read_sound, write_copy
from recommender.evaluation.library_check import Finding, check_library
from recommender.evaluation.metrics import (
    Hubness,
    Question,
    Scores,
    cosines,
    hubness,
    interval,
    nearest,
    paired_difference,
    retrieval,
    same_for_all,
)
from tests import sounds
from tests.catalogs import DIM, Planted, plant


def vectors(count: int, *, dim: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def grouped(groups: int, of_each: int, *, spread: float = 0.3) -> tuple[np.ndarray, list[str]]:
    """Vectors around centres, in turn, with the group's name as label."""
    centres = vectors(groups, dim=16, seed=1)
    noise = vectors(groups * of_each, dim=16, seed=2)
    labels = [f"g{number % groups}" for number in range(groups * of_each)]
    return np.tile(centres, (of_each, 1)) + spread * noise, labels


def scores_of(similar: np.ndarray, labels: list[str], **more: object) -> Scores:
    return retrieval(cosines(similar), {"label": Question(labels)}, **more)["label"]


FOUR = np.array([[1, 0], [0.9, 0.1], [0.8, 0.3], [0, 1]], dtype=np.float32)


def test_retrieval_counts_as_one_would_by_hand() -> None:
    # From the first: a b b, of which "a" is a hit. From the last: b (0.8, 0.3) a a.
    scores = scores_of(FOUR, ["a", "a", "b", "b"], ks=(1, 2, 5))
    assert scores.measures == ("P@1", "P@2", "P@5", "mAP")
    np.testing.assert_allclose(scores.values[0], [1, 1 / 2, 1 / 3, 1])
    np.testing.assert_allclose(scores.values[3], [1, 1 / 2, 1 / 3, 1])
    # From the third: a (0.9, 0.1), a, b: the hit is the last of three.
    np.testing.assert_allclose(scores.values[2], [0, 0, 1 / 3, 1 / 3])
    np.testing.assert_allclose(scores.chance, [1 / 3] * 4)
    np.testing.assert_allclose(scores.means, scores.values.mean(0))


def test_a_track_without_label_or_without_anything_to_find_is_no_seed() -> None:
    scores = scores_of(FOUR, ["a", "a", "", "b"])
    assert scores.seeds.tolist() == [0, 1]
    none = scores_of(FOUR, ["", "a", "", "b"])
    assert len(none) == 0
    assert np.isnan(none.means).all()
    assert np.isnan(none.interval()).all()


def test_the_artist_filter_takes_the_own_artist_out_and_nobody_else() -> None:
    genre = ["x", "x", "x", "y"]
    filtered = Question(genre, without=["ann", "ann", "bob", "bob"])
    scores = retrieval(cosines(FOUR), {"genre": filtered}, ks=(1, 2))["genre"]
    # Ann's first sees Bob's x before Bob's y; Bob's x sees both of Ann's.
    assert scores.seeds.tolist() == [0, 1, 2]
    np.testing.assert_allclose(scores.values, [[1, 1 / 2, 1], [1, 1 / 2, 1], [1, 1, 1]])
    # A track whose artist is unknown is not the own one.
    unknown = Question(genre, without=["", "", "bob", "bob"])
    by_hand = retrieval(cosines(FOUR), {"genre": unknown}, ks=(2,))["genre"]
    np.testing.assert_allclose(by_hand.values[0], [1, 1])


def test_average_precision_is_that_of_scikit_learn() -> None:
    similar, labels = vectors(60), [f"g{number % 7}" for number in range(60)]
    artists = [f"a{number % 20}" for number in range(60)]
    scores = retrieval(cosines(similar), {"g": Question(labels, without=artists)})["g"]
    near = unit_rows(similar) @ unit_rows(similar).T
    for seed, value in zip(scores.seeds, scores.values, strict=True):
        others = [n for n in range(60) if artists[n] != artists[seed]]
        truth = [labels[n] == labels[seed] for n in others]
        expected = average_precision_score(truth, near[seed, others])
        assert value[-1] == pytest.approx(expected, abs=1e-9)


def test_many_questions_and_some_seeds_give_what_each_alone_gives() -> None:
    similar, labels = grouped(5, 8)
    other = [label[::-1] for label in reversed(labels)]
    both = retrieval(
        cosines(similar),
        {"one": Question(labels), "other": Question(other, without=labels)},
        seeds=np.array([3, 17, 30]),
    )
    alone = scores_of(similar, labels)
    assert both["one"].seeds.tolist() == [3, 17, 30]
    np.testing.assert_array_equal(both["one"].values, alone.values[[3, 17, 30]])
    with pytest.raises(ValueError, match="lengths"):
        retrieval(cosines(similar), {"one": Question(labels), "short": Question(["a"])})


def test_blocks_change_nothing() -> None:
    similar, labels = grouped(6, 10)
    whole, order = scores_of(similar, labels), nearest(cosines(similar), 60, 7)
    blocks = scores_of(similar, labels, block_values=60 * 7)
    np.testing.assert_array_equal(blocks.values, whole.values)
    np.testing.assert_array_equal(nearest(cosines(similar), 60, 7, block_values=60 * 7), order)


def test_equally_near_tracks_are_in_the_order_of_their_places() -> None:
    same = np.tile(np.array([[1.0, 0.0]], np.float32), (5, 1))
    assert nearest(cosines(same), 5, 3).tolist() == [
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 3],
        [0, 1, 2],
        [0, 1, 2],
    ]
    signed = same_for_all(np.array([-0.5, 0.0, -0.0, 0.5, -2.0]))
    assert nearest(signed, 5, 4)[3].tolist() == [1, 2, 0, 4]


def test_the_nearest_are_those_of_a_plain_sort() -> None:
    similar = vectors(300)
    near = unit_rows(similar) @ unit_rows(similar).T
    np.fill_diagonal(near, -np.inf)
    expected = np.argsort(-near, axis=1, kind="stable")[:, :10]
    np.testing.assert_array_equal(nearest(cosines(similar), 300), expected)


def test_vectors_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(BadVector, match="NaN"):
        cosines(np.array([[1.0, np.nan], [1.0, 0.0]], np.float32))


def test_shuffled_embeddings_are_no_better_than_chance() -> None:
    similar, labels = grouped(10, 30)
    real = scores_of(similar, labels)
    control = scores_of(np.random.default_rng(0).permutation(similar), labels)
    np.testing.assert_allclose(control.chance, 29 / 299)
    np.testing.assert_allclose(control.means, 29 / 299, atol=0.03)
    assert real.means[1] > 0.9


def test_hubness_by_hand_and_as_scipy_has_it() -> None:
    hubs = hubness(np.array([[1, 2], [2, 0], [1, 0], [2, -1]]), 5)
    assert hubs.occurrences.tolist() == [2, 2, 3, 0, 0]
    assert (hubs.largest, hubs.reach, hubs.seeds) == (3, 0.6, 4)
    assert hubs.skewness == pytest.approx(skew(hubs.occurrences))
    assert Hubness(np.array([4, 4, 4]), 3).skewness == 0


def test_a_planted_hub_is_seen() -> None:
    centre = np.full(40, 0.5, np.float32)
    around = vectors(200, dim=40) + centre
    plain = hubness(nearest(cosines(around), 200), 200)
    around[0] = centre
    hubs = hubness(nearest(cosines(around), 200), 200)
    assert hubs.occurrences.argmax() == 0
    assert hubs.skewness > plain.skewness + 1
    low, high = hubs.interval()
    assert low[1] <= hubs.reach <= high[1]
    assert low[0] <= hubs.skewness <= high[0]


def test_bootstrap_intervals_are_reproducible_and_as_wide_as_they_should_be() -> None:
    values = np.random.default_rng(0).standard_normal((400, 2))
    found = interval(values, random_state=3)
    np.testing.assert_array_equal(found, interval(values, random_state=3))
    assert not np.array_equal(found, interval(values, random_state=4))
    # The mean of n normal values lies within 1.96 / sqrt(n) of theirs.
    width = found[1] - found[0]
    np.testing.assert_allclose(width, 2 * 1.96 / 20 * values.std(0), rtol=0.12)
    assert ((found[0] < values.mean(0)) & (values.mean(0) < found[1])).all()


def test_paired_differences_are_over_common_seeds() -> None:
    similar, labels = grouped(5, 10, spread=1.0)
    first = scores_of(similar, labels)
    better = scores_of(grouped(5, 10, spread=0.5)[0], labels)
    difference = paired_difference(first, better)
    np.testing.assert_allclose(difference.means, better.means - first.means)
    assert difference.interval()[0][-1] > 0
    some = scores_of(similar, labels, seeds=np.arange(10))
    np.testing.assert_array_equal(paired_difference(first, some).values, np.zeros((10, 4)))
    with pytest.raises(ValueError, match="compared"):
        paired_difference(first, scores_of(similar, labels, ks=(1,)))


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("song") / "song.flac"
    return sounds.write_audio(path, sounds.music(12, seed=70))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_copy_is_the_same_music_altered(song: Path, tmp_path: Path, kind: object) -> None:
    sound = read_sound(song)
    copy = write_copy(tmp_path, "copy", sound, kind)  # type: ignore[arg-type] # parametrised
    facts = read_facts(copy)
    expected_s = {"first 10 s cut off": 8.0}.get(kind.name, 12.0)  # type: ignore[attr-defined]
    assert facts.duration_s == pytest.approx(expected_s, abs=0.15)
    name = kind.name  # type: ignore[attr-defined] # parametrised
    assert facts.channels == (1 if name == "mono/stereo" else 2)
    heard, original = (read_windows(path, count=1).waveforms[16_000][0] for path in (copy, song))
    gain = 20 * np.log10(np.sqrt((heard**2).mean() / (original**2).mean()))
    assert gain == pytest.approx({"+6 dB": 6, "-6 dB": -6}.get(name, 0), abs=1)


def test_nothing_above_8_khz_is_left_by_the_low_pass(song: Path) -> None:
    (low_pass,) = [kind for kind in KINDS if "low-pass" in kind.name]
    sound = read_sound(song)
    filtered = low_pass.alter(sound)
    assert filtered.samples.shape == pytest.approx(sound.samples.shape, abs=8)
    power = np.abs(np.fft.rfft(filtered.samples[0])) ** 2
    above = np.fft.rfftfreq(filtered.samples.shape[1], 1 / filtered.rate) > 8500
    assert power[above].sum() < 1e-5 * power.sum()


def test_a_stretch_from_the_middle_is_that_stretch(song: Path, tmp_path: Path) -> None:
    whole, part = read_sound(song), read_sound(song, start_s=5, seconds=3)
    assert part.samples.shape == (2, 3 * 44_100)
    # It begins within a packet and the second before it.
    room = whole.samples[0, 4 * 44_100 - 5000 : 9 * 44_100]
    piece = part.samples[0, : 44_100 // 2]
    matches = np.correlate(room, piece, mode="valid").max() / (piece @ piece)
    assert matches == pytest.approx(1, abs=1e-3)
    with pytest.raises(NotAudio):
        read_sound(sounds.text_file(tmp_path / "bad.mp3"))


def test_an_odd_sample_rate_can_be_encoded(tmp_path: Path) -> None:
    sound = Sound(np.random.default_rng(0).uniform(-0.3, 0.3, (1, 96_000)).astype("f4"), 96_000)
    facts = read_facts(write_copy(tmp_path, "odd", sound, MP3))
    assert (facts.sample_rate, facts.channels) == (44_100, 1)
    assert read_facts(write_copy(tmp_path, "odd", sound, PLAIN)).sample_rate == 96_000


def findings_of(catalog: Path, *, sample: int = 0) -> dict[str, Finding]:
    with Recommender.open(catalog) as recommender:
        found = check_library(recommender, sample=sample, random_state=0, progress=lambda *_: None)
    return {finding.key: finding for finding in found}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def labelled_catalog(
    folder: Path,
    *,
    artist: Callable[[int], str | None] = lambda number: f"Artist {number % 6}",
    album: str | None = "Greatest Hits",
) -> Path:
    """Thirty tracks, every sixth near the others of its sound, with albums of one name."""
    centres = vectors(6, dim=DIM, seed=5)
    tracks = [
        Planted(
            f"track {number}",
            vector=centres[number % 6] + 0.05 * vectors(1, seed=number + 50)[0],
            artist=artist(number),
            album=album,
        )
        for number in range(30)
    ]
    return plant(folder, ("loud", "soft"), tracks)


def test_albums_of_the_same_name_by_two_artists_are_two(tmp_path: Path) -> None:
    found = findings_of(labelled_catalog(tmp_path))
    for key in ("same_artist", "same_album"):
        figures = found[key].figures
        assert (figures["seeds"], figures["P@1"]) == (30, 1.0)
        assert figures["chance"] == pytest.approx(4 / 29, abs=1e-4)
        # Four of the five nearest can be hits, and four of the ten.
        assert (figures["P@5"], figures["P@10"]) == (0.8, 0.4)
        assert found[key].is_typical
    assert found["cosines"].is_typical
    assert found["reach"].figures["reach"] == 1.0


def test_without_tags_only_what_needs_none_is_measured(tmp_path: Path) -> None:
    found = findings_of(labelled_catalog(tmp_path, artist=lambda _number: None, album=None))
    for what in ("artist", "album"):
        assert found[f"same_{what}"].value == "not measured"
        assert f"No {what} tag is shared" in found[f"same_{what}"].meaning
        assert found[f"same_{what}"].is_typical is None
    assert found["hubs"].figures["largest"] >= 10


def test_tracks_in_no_order_that_means_anything_are_unusual(tmp_path: Path) -> None:
    # Each artist has one track of each sound, so that artists say nothing about the sound.
    catalog = labelled_catalog(tmp_path, artist=lambda number: f"Artist {number // 5}")
    found = findings_of(catalog)
    assert found["same_artist"].is_typical is False
    result = run("evaluate", "--catalog", catalog, "--sample", 0)
    assert "! neighbours of the same artist: 0% of the first" in result.stdout
    assert "unusual: " in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("count", "message"), [(0, "no tracks"), (1, "one track"), (2, "2 tracks")]
)
def test_a_catalog_with_nothing_to_compare_is_refused(
    tmp_path: Path, count: int, message: str
) -> None:
    catalog = plant(tmp_path, ("loud",), [Planted(f"track {n}") for n in range(count)])
    result = run("evaluate", "--catalog", catalog)
    assert result.exit_code == 1
    assert message in result.stderr


def test_without_the_model_only_copies_are_not_measured(tmp_path: Path) -> None:
    catalog = labelled_catalog(tmp_path)
    found = findings_of(catalog, sample=3)
    assert found["copies"].value == "not measured"
    assert found["same_artist"].figures["P@1"] == 1.0


def test_a_library_is_checked_up(original_catalog: Path) -> None:
    result = run("evaluate", "--catalog", original_catalog, "--sample", 2, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert (told["tracks"], told["random_state"]) == (12, 0)
    findings = told["findings"]
    assert list(findings) == [
        "crops",
        "mp3_64k",
        "opus_32k",
        "between_encodings",
        "same_album",
        "same_artist",
        "reach",
        "hubs",
        "cosines",
    ]
    for key in ("crops", "mp3_64k", "opus_32k"):
        assert findings[key]["tries"] == 2
    # Of songs of a few seconds that sound alike, a copy may be nearer to another.
    for key in ("mp3_64k", "opus_32k"):
        assert findings[key]["in_first_10"] > 0
    assert findings["mp3_64k"]["first"] > 0
    assert findings["between_encodings"]["median_cosine"] > 0.95
    assert findings["same_artist"]["chance"] == pytest.approx(3 / 11, abs=1e-4)
    assert all(finding["meaning"].endswith(".") for finding in findings.values())


def test_files_that_have_gone_are_not_measured(tmp_path: Path) -> None:
    catalog = labelled_catalog(tmp_path)
    shutil.rmtree(tmp_path / "music")
    found = findings_of(catalog, sample=3)
    assert found["copies"].value == "not measured"
    assert "/music/" in found["copies"].meaning
    assert found["reach"].figures["seeds"] == 30
