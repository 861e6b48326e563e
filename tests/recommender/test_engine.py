from __future__ import annotations

import shutil
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog import writer
from indexer.catalog.status import TrackStatus
from indexer.errors import (
    AmbiguousTrack,
    BadVector,
    CatalogMissing,
    InvalidOption,
    QueryError,
    TooShort,
    UnknownTrack,
)
from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from indexer.models.registry import model_info
from recommender import Neighbour, Ranking, Recommender, Where
from tests import sounds
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool


DIM = model_info().dim
EACH = Ranking(collapse=False)
"""The twelve songs sound so much alike that they would be folded into one."""


@pytest.fixture
def recommender(song_recommender: Recommender) -> Recommender:
    return song_recommender


def exact(recommender: Recommender, seed: int) -> list[tuple[int, float]]:
    """Every other track with its cosine, best first, worked out with numpy alone."""
    ids = np.arange(1, 13)
    vectors = recommender.vectors(ids).astype(np.float64)
    cosines = vectors @ vectors[seed - 1]
    order = sorted(zip(ids.tolist(), cosines.tolist(), strict=True), key=lambda p: (-p[1], p[0]))
    return [pair for pair in order if pair[0] != seed]


def test_neighbours_are_the_nearest_by_cosine(recommender: Recommender) -> None:
    for seed in (1, 6, 12):
        answer = recommender.similar_to_track(seed, 11, ranking=EACH)
        expected = exact(recommender, seed)
        assert [one.id for one in answer] == [track for track, _ in expected]
        np.testing.assert_allclose(
            [one.cosine for one in answer], [c for _, c in expected], atol=1e-6
        )


def test_a_neighbour_says_who_it_is_and_an_answer_turns_into_a_table(
    recommender: Recommender,
) -> None:
    answer = recommender.similar_to_track("Song 3", 3, ranking=EACH)
    assert answer.seed == "Band 0 - Song 3"
    assert isinstance(answer[0], Neighbour)
    assert answer[0].artist in ("Band 0", "Band 1", "Band 2")
    frame = answer.to_frame()
    assert list(frame.columns) == [
        *("id", "key", "title", "artist", "cosine", "score", "duplicates", "why")
    ]
    assert frame["id"].tolist() == [one.id for one in answer]
    assert len(recommender.similar_to_vector(recommender.vectors([1])[0], 1).to_frame()) == 1


@pytest.mark.parametrize(
    "query", [4, "4", "album 0/03.ogg", "Band 0 - Song 3", "song 3", "SONG 3 band"]
)
def test_a_track_is_found_by_id_key_or_words(recommender: Recommender, query: int | str) -> None:
    assert recommender.track(query).id == 4


def test_a_track_is_found_by_its_path(recommender: Recommender, original_songs: Path) -> None:
    assert recommender.track(str(original_songs / "album 1" / "06.wav")).id == 7


def test_an_ambiguous_text_lists_the_candidates(recommender: Recommender) -> None:
    with pytest.raises(AmbiguousTrack, match="4 tracks fit") as caught:
        recommender.track("band 0")
    assert len(caught.value.candidates) == 4
    assert "Band 0 - Song 0" in caught.value.candidates[0]


@pytest.mark.parametrize("query", [0, 13, -1, "no such song", "", "  ", "99999999999999999999"])
def test_an_unknown_track_is_said_to_be_unknown(recommender: Recommender, query: int | str) -> None:
    with pytest.raises(UnknownTrack):
        recommender.similar_to_track(query)


def test_batches_equal_single_questions(recommender: Recommender) -> None:
    ids, cosines = recommender.neighbours(np.arange(1, 13), 5)
    assert ids.dtype == np.int64
    assert cosines.dtype == np.float32
    for seed in range(1, 13):
        answer = recommender.similar_to_track(seed, 5, ranking=EACH)
        assert ids[seed - 1].tolist() == [one.id for one in answer]
        assert cosines[seed - 1].tolist() == [one.cosine for one in answer]


def test_rows_with_too_few_neighbours_are_marked(recommender: Recommender) -> None:
    ids, cosines = recommender.neighbours([1, 2], 20)
    assert ids.shape == cosines.shape == (2, 12)
    assert (ids[:, 11:] == -1).all()
    assert np.isnan(cosines[:, 11:]).all()
    assert (ids[:, :11] > 0).all()


def test_unknown_ids_are_listed_up_to_five(recommender: Recommender) -> None:
    with pytest.raises(UnknownTrack, match="101, 102, 103, 104, 105 and 2 more"):
        recommender.neighbours([1, *range(101, 108)])
    with pytest.raises(UnknownTrack, match="77"):
        recommender.vectors([77])
    with pytest.raises(InvalidOption, match="integers"):
        recommender.neighbours(np.array([1.5]))


def test_no_ids_give_no_rows(recommender: Recommender) -> None:
    ids, cosines = recommender.neighbours([], 3)
    assert ids.shape == cosines.shape == (0, 3)
    assert recommender.vectors([]).shape == (0, DIM)


def test_among_and_exclude_take_ids_and_keys(recommender: Recommender) -> None:
    every = [track for track, _ in exact(recommender, 1)]
    first, second = every[:2]
    key = recommender.track(second).key

    def answered(where: Where) -> list[int]:
        return [one.id for one in recommender.similar_to_track(1, 3, where=where, ranking=EACH)]

    assert answered(Where(exclude=(first, key))) == every[2:5]
    assert answered(Where(among=(first, key, 1, 999, "no such key"))) == [first, second]
    assert answered(Where(among=())) == []
    assert answered(Where(among=(first,), exclude=(first,))) == []


def test_n_must_make_sense_and_may_be_large(recommender: Recommender) -> None:
    with pytest.raises(InvalidOption, match="n is 0"):
        recommender.similar_to_track(1, 0)
    assert len(recommender.similar_to_track(1, 1_000_000, ranking=EACH)) == 11


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(DIM),
        np.full(DIM, np.nan),
        np.r_[np.inf, np.ones(DIM - 1)],
        np.ones(DIM - 1),
        np.ones((2, DIM)),
    ],
)
def test_a_vector_without_sense_is_refused(recommender: Recommender, vector: np.ndarray) -> None:
    with pytest.raises(BadVector):
        recommender.similar_to_vector(vector)


def test_the_length_of_a_vector_does_not_matter(recommender: Recommender) -> None:
    vector = recommender.vectors([5])[0]
    near = recommender.similar_to_vector(1000 * vector, 3, ranking=EACH)
    assert near[0].id == 5
    assert near[0].cosine == pytest.approx(1, abs=1e-6)
    assert [one.id for one in near[1:]] == [
        one.id for one in recommender.similar_to_track(5, 2, ranking=EACH)
    ]


def test_a_new_file_is_analysed_as_by_the_index(
    tmp_path: Path, original_songs: Path, recommender: Recommender
) -> None:
    song = original_songs / "album 0" / "02.mp3"
    whole = recommender.similar_to_file(song, 12, include_same=True, ranking=EACH)
    assert whole[0].id == 3
    assert whole[0].cosine == pytest.approx(1, abs=1e-6)
    other_encoding = sounds.write_audio(tmp_path / "upload.flac", sounds.music(6.2, seed=2))
    answer = recommender.similar_to_file(other_encoding, 11, ranking=EACH)
    assert 3 not in [one.id for one in answer]
    assert len(answer) == 11
    blip = sounds.write_audio(tmp_path / "blip.wav", sounds.music(0.2))
    with pytest.raises(TooShort, match="blip"):
        recommender.similar_to_file(blip)
    assert len(recommender.similar_to_file(other_encoding, 3, ranking=EACH)) == 3


def test_other_encodings_of_a_recording_are_not_its_neighbours(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    shutil.copy(songs / "album 0" / "02.mp3", songs / "copy.mp3")
    sounds.write_audio(songs / "lossless.flac", sounds.music(6.2, seed=2))
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        index_paths(library, [songs], pool=pool)
    with Recommender.open(catalog) as recommender:
        keys = [one.key for one in recommender.similar_to_track("album 0/02.mp3", 20, ranking=EACH)]
        assert not {"album 0/02.mp3", "copy.mp3", "lossless.flac"} & set(keys)
        assert len(keys) == 11
        same = recommender.similar_to_track("album 0/02.mp3", 20, include_same=True, ranking=EACH)
        assert {one.key for one in same[:2]} == {"album 0/02.mp3", "copy.mp3"}
        assert "lossless.flac" in {one.key for one in same}


def test_many_copies_do_not_starve_an_answer(tmp_path: Path) -> None:
    copies = [Planted(f"copy {number}", recording=1) for number in range(21)]
    others = [Planted(f"other {number}") for number in range(11)]
    with Recommender.open(plant(tmp_path, ("a",), copies + others)) as recommender:
        answer = recommender.similar_to_track(1, 5, ranking=EACH)
        assert len(answer) == 5
        assert not any("copy" in (one.title or "") for one in answer)


def test_an_open_recommender_answers_with_what_is_added_meanwhile(
    catalog_path: Path, tmp_path: Path, pool: AnalysisPool
) -> None:
    upload = sounds.write_audio(tmp_path / "upload.mp3", sounds.music(5, seed=40))
    with Recommender.open(catalog_path) as recommender:
        assert len(recommender) == 12
        with closing(Library.open_for_writing(catalog_path)) as library:
            index_paths(library, [upload], keys={str(upload).encode(): "user/7"}, pool=pool)
        assert recommender.similar_to_track("user/7", 3, ranking=EACH)[0].cosine < 1
        assert 13 in [one.id for one in recommender.similar_to_track(1, 12, ranking=EACH)]


def test_a_track_that_is_missing_or_removed_is_no_seed_and_no_answer(catalog_path: Path) -> None:
    with closing(Library.open_for_writing(catalog_path)) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, [2], TrackStatus.MISSING)
    with Recommender.open(catalog_path) as recommender:
        with pytest.raises(UnknownTrack, match="is missing"):
            recommender.similar_to_track(2)
        assert 2 not in [one.id for one in recommender.similar_to_track(1, 12, ranking=EACH)]
        assert recommender.track(2).title == "Song 1"


def test_catalogs_without_tracks_and_with_one(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    with pytest.raises(CatalogMissing, match="soundalike index"):
        Recommender.open(catalog)
    Library.open_for_writing(catalog, create=True).close()
    with Recommender.open(catalog) as recommender:
        assert len(recommender) == 0
        with pytest.raises(QueryError, match="no tracks yet"):
            recommender.similar_to_vector(np.ones(DIM))
    with closing(Library.open_for_writing(catalog)) as library:
        index_paths(library, [songs / "album 0" / "00.wav"], pool=pool)
    with Recommender.open(catalog) as recommender:
        assert len(recommender.similar_to_track(1)) == 0


def test_tags_are_probabilities_strongest_first(recommender: Recommender) -> None:
    tags = recommender.tags(1)
    values = [value for _, value in tags]
    assert len(tags) == len(recommender.model.tag_names)
    assert values == sorted(values, reverse=True)
    assert 0 <= values[-1] <= values[0] <= 1
    assert "rock" in dict(tags)


def test_ids_may_be_numpy_integers_and_nothing_else_is_taken_for_one(
    recommender: Recommender,
) -> None:
    (first, *_), _cosines = recommender.neighbours(np.array([1], dtype=np.int32), 2)
    assert recommender.track(first[0]).id == first[0]
    for nonsense in (1.0, None, [1]):
        with pytest.raises(InvalidOption, match="whole number"):
            recommender.similar_to_track(nonsense)
    with pytest.raises(InvalidOption, match="whole number"):
        recommender.similar_to_track(1, 3.0)
    with pytest.raises(InvalidOption, match="list of ids or keys"):
        Where(exclude="Band")
    with pytest.raises(UnknownTrack):
        recommender.track(2**70)
    with pytest.raises(BadVector):
        recommender.similar_to_vector(["a"] * DIM)
    assert recommender.neighbours([1], 10**12)[0].shape == (1, 12)


def test_threads_may_ask_while_a_writer_writes(catalog_path: Path) -> None:
    with Recommender.open(catalog_path) as recommender:
        done = threading.Event()
        wrong: list[BaseException] = []

        def ask() -> None:
            try:
                while not done.is_set():
                    assert len(recommender.similar_to_track(1, 12, ranking=EACH)) >= 5
                    recommender.neighbours([1, 2], 5)
            except BaseException as error:  # noqa: BLE001 - told to the main thread
                wrong.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            with closing(Library.open_for_writing(catalog_path)) as library:
                for round_number in range(30):
                    status = (TrackStatus.MISSING, TrackStatus.PRESENT)[round_number % 2]
                    with library.catalog.writing() as connection:
                        writer.set_status(connection, [8, 9, 10, 11, 12], status)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert wrong == []
        assert len(recommender) == 12


def test_everything_known_of_many_tracks_comes_in_the_order_asked(recommender: Recommender) -> None:
    assert recommender.ids().tolist() == list(range(1, 13))
    assert [track.title for track in recommender.tracks([5, 2])] == ["Song 4", "Song 1"]
    activations = recommender.activations([5, 2])
    names = recommender.model.tag_names
    assert activations.shape == (2, len(names))
    for row, track_id in zip(activations, (5, 2), strict=True):
        assert dict(recommender.tags(track_id)) == pytest.approx(
            dict(zip(names, row.tolist(), strict=True)), abs=1e-4
        )
    with pytest.raises(UnknownTrack, match=r"no present track has the id 99$"):
        recommender.tracks([1, 99])
