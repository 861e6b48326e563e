from __future__ import annotations

import os
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import update

from indexer.analysis.sandbox import Limits
from indexer.catalog.schema import TrackRow
from indexer.errors import (
    AmbiguousTrack,
    BadVector,
    InvalidOption,
    NotAudio,
    QueryError,
    UnknownTrack,
    WorkerDied,
)
from indexer.indexing.pipeline import Options, index_paths
from indexer.library import Library
from recommender import Ranking, Recommender, Where
from recommender.playlists import Station, fill_playlist, path_between
from recommender.retrieval.answers import format_clock
from recommender.retrieval.seeds import PUSH
from tests import sounds
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool

EACH = Ranking(collapse=False)
STYLES = 4
PER_STYLE = 15


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    """Four styles around the axes; track 15 s + 1 and on are of style s."""
    rng = np.random.default_rng(1)
    tracks = [
        Planted(f"{style} {number}", vector=4 * np.eye(DIM)[style] + rng.normal(size=DIM))
        for style in range(STYLES)
        for number in range(PER_STYLE)
    ]
    with Recommender.open(plant(tmp_path_factory.mktemp("seeds"), ("a",), tracks)) as opened:
        yield opened


def unit(row: np.ndarray) -> np.ndarray:
    return row / np.linalg.norm(row)


def style(track: int) -> int:
    return (track - 1) // PER_STYLE


def expected(
    recommender: Recommender, liked: list[int], disliked: list[int], strategy: str
) -> list[int]:
    """All other tracks, ordered by the documented formula in plain numpy."""
    ids = np.arange(1, STYLES * PER_STYLE + 1)
    vectors = recommender.vectors(ids).astype(np.float64)
    likes, dislikes = (vectors[np.array(part, int) - 1] for part in (liked, disliked))
    if strategy == "average":
        query = unit(likes.mean(axis=0))
        if disliked:
            query = unit(query - PUSH * unit(dislikes.mean(axis=0)))
        relevance = vectors @ query
    else:
        relevance = (vectors @ likes.T).max(axis=1)
        if disliked:
            relevance -= PUSH * (vectors @ dislikes.T).max(axis=1)
    order = ids[np.argsort(-relevance, kind="stable")]
    return [track for track in order.tolist() if track not in liked + disliked]


@pytest.mark.parametrize("strategy", ["average", "best_score"])
@pytest.mark.parametrize(
    ("liked", "disliked"),
    [([1], []), ([1, 2, 20], []), ([1], [3]), ([1, 20, 33], [2, 40]), ([1, 16], [31, 46, 47])],
    ids=str,
)
def test_the_order_is_that_of_the_formula(
    recommender: Recommender, liked: list[int], disliked: list[int], strategy: Any
) -> None:
    answer = recommender.similar_to_tracks(liked, disliked, 60, strategy=strategy, ranking=EACH)
    wanted = expected(recommender, liked, disliked, strategy)
    assert [one.id for one in answer] == wanted
    few = recommender.similar_to_tracks(liked, disliked, 5, strategy=strategy, ranking=EACH)
    assert [one.id for one in few] == wanted[:5]


def test_an_average_blurs_a_varied_taste_and_the_best_score_keeps_it(
    recommender: Recommender,
) -> None:
    answer = recommender.similar_to_tracks([1, 16], n=20, strategy="best_score", ranking=EACH)
    assert {style(one.id) for one in answer} == {0, 1}
    (first, second) = recommender.vectors([1, 16])
    for one in answer:
        (vector,) = recommender.vectors([one.id])
        assert one.cosine == pytest.approx(max(vector @ first, vector @ second), abs=1e-6)
    for one in recommender.similar_to_tracks([1, 16], n=20, ranking=EACH):
        (vector,) = recommender.vectors([one.id])
        assert one.cosine == pytest.approx((vector @ first + vector @ second) / 2, abs=1e-6)


@pytest.mark.parametrize("strategy", ["average", "best_score"])
def test_a_dislike_pushes_its_style_away(recommender: Recommender, strategy: Any) -> None:
    likes = [1, 2, 16, 17]

    def of_style_one(disliked: list[int]) -> int:
        found = recommender.similar_to_tracks(likes, disliked, 12, strategy=strategy, ranking=EACH)
        assert not {one.id for one in found} & {*likes, *disliked}
        return sum(style(one.id) == 1 for one in found)

    assert of_style_one([20, 21]) < of_style_one([]) - 2


def test_one_like_is_the_same_question_at_every_door(recommender: Recommender) -> None:
    plain = recommender.similar_to_track(7, 8)
    (vector,) = recommender.vectors([7])
    for liked in (7, [7], "0 6", ["0 6", 7], np.array([7]), [np.int32(7), "0007.mp3"]):
        for strategy in ("average", "best_score"):
            found = recommender.similar_to_tracks(liked, n=8, strategy=strategy)  # type: ignore[arg-type]  # both are strategies
            assert found == plain
    near = recommender.similar_to_tracks(vector, n=9)
    assert [one.id for one in near][1:] == [one.id for one in plain]
    assert near[0].id == 7
    assert recommender.similar_to_vector(vector, 9).neighbours == near.neighbours


def test_the_same_sound_counts_once(recommender: Recommender) -> None:
    assert recommender.similar_to_tracks([1, 20, 20, "0020.mp3"], n=9) == (
        recommender.similar_to_tracks([1, 20], n=9)
    )


def test_an_answer_labels_its_seeds(recommender: Recommender) -> None:
    answer = recommender.similar_to_tracks([1, np.eye(DIM)[2]], [20])
    assert answer.seed == "Band - 0 0 + a vector - not Band - 1 4"


@pytest.mark.parametrize(
    ("liked", "disliked", "error", "message"),
    [
        ([], [], InvalidOption, "nothing is liked"),
        ([], [3], InvalidOption, "nothing is liked"),
        ([1, 2], [2], InvalidOption, "Band - 0 1 is both liked and disliked"),
        ([np.eye(DIM)[0]], [2 * np.eye(DIM)[0]], InvalidOption, "a vector is both liked"),
        ([np.eye(DIM)[0], -np.eye(DIM)[0]], [], InvalidOption, "cancel each other out"),
        ([1, 99], [], UnknownTrack, "no track has the id 99"),
        ([1], ["nobody"], UnknownTrack, "no track fits 'nobody'"),
        (["band"], [], AmbiguousTrack, "60 tracks fit"),
        ([np.full(DIM, np.nan)], [], BadVector, "no direction"),
        ([np.zeros(DIM)], [], BadVector, "no direction"),
        ([[1.0, 2.0]], [], BadVector, r"shape \(2,\)"),
        ([1.5], [], InvalidOption, "whole number"),
        (None, [], InvalidOption, "names no tracks"),
        ([None], [], InvalidOption, "whole number"),
    ],
)
def test_seeds_without_sense_are_refused_in_one_sentence(
    recommender: Recommender, liked: Any, disliked: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        recommender.similar_to_tracks(liked, disliked)
    assert "\n" not in str(caught.value)


def test_other_options_without_sense_are_refused(recommender: Recommender) -> None:
    with pytest.raises(InvalidOption, match="no strategy 'worst'"):
        recommender.similar_to_tracks([1], strategy="worst")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(InvalidOption, match="n is 0"):
        recommender.similar_to_tracks([1], n=0)
    assert len(recommender.similar_to_tracks([1, 2], [3], 1_000_000, ranking=EACH)) == 57


def test_seeds_may_be_filtered_out_of_the_answer(recommender: Recommender) -> None:
    where = Where(among=tuple(range(31, 46)))
    answer = recommender.similar_to_tracks([1, 16], [40], 20, where=where, ranking=EACH)
    assert sorted(one.id for one in answer) == [n for n in range(31, 46) if n != 40]
    assert answer.note is not None
    assert "keeps 15 of 60" in answer.note


def test_files_are_seeds_too(
    tmp_path: Path, original_songs: Path, song_recommender: Recommender
) -> None:
    upload = sounds.write_audio(tmp_path / "upload.flac", sounds.music(2.5, seed=70))
    known = original_songs / "album 0" / "02.mp3"
    recommender = song_recommender
    mixed = recommender.similar_to_tracks(
        [upload, recommender.vectors([5])[0]], [known], 12, ranking=EACH
    )
    assert mixed.seed == "upload.flac + a vector - not Band 0 - Song 2"
    assert sorted(one.id for one in mixed) == [n for n in range(1, 13) if n != 3]
    for path in (known, str(known), bytes(known)):
        assert recommender.similar_to_tracks(path, n=3, ranking=EACH) == (
            recommender.similar_to_track(3, 3, ranking=EACH)
        )
    assert recommender.similar_to_tracks(str(upload), n=3, ranking=EACH) == (
        recommender.similar_to_file(upload, 3, ranking=EACH)
    )
    text = sounds.text_file(tmp_path / "bad.mp3")
    with pytest.raises(NotAudio, match=r"bad\.mp3"):
        recommender.similar_to_tracks([1, text])


def test_a_seed_that_failed_to_be_indexed_says_why(
    catalog_path: Path, tmp_path: Path, pool: AnalysisPool
) -> None:
    bad = sounds.text_file(tmp_path / "bad.mp3")
    library = Library.open_for_writing(catalog_path)
    index_paths(library, [bad], options=Options(), pool=pool)
    library.close()
    with Recommender.open(catalog_path) as recommender:
        for seed in (bad, str(bad)):
            with pytest.raises(UnknownTrack, match="could not be indexed"):
                recommender.similar_to_tracks([1, seed])


def test_an_empty_catalog_and_one_of_a_single_track(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    Library.open_for_writing(empty, create=True).close()
    with Recommender.open(empty) as recommender:
        with pytest.raises(QueryError, match="no tracks yet"):
            recommender.similar_to_tracks([np.ones(DIM)])
        with pytest.raises(UnknownTrack):
            recommender.similar_to_tracks([1])
        assert recommender.ids(Where(genre=("jazz",))).size == 0
    with Recommender.open(plant(tmp_path, ("a",), [Planted("only")])) as recommender:
        assert recommender.similar_to_tracks([1]).note == (
            "none of the 10 asked for: the catalog holds 1 in all"
        )
        (one,) = recommender.similar_to_tracks(np.ones(DIM))
        assert one.score is None
        assert recommender.similar_to_tracks(np.ones(DIM)).to_json()["note"]


def test_answers_say_which_windows_match_best(
    catalog_path: Path, tmp_path: Path, pool: AnalysisPool
) -> None:
    upload = sounds.write_audio(tmp_path / "upload.flac", sounds.music(8, seed=70))
    gone = sounds.write_audio(tmp_path / "gone.flac", sounds.music(9, seed=71))
    library = Library.open_for_writing(catalog_path)
    index_paths(library, [gone], options=Options(), pool=pool)
    library.close()
    gone.unlink()
    with Recommender.open(catalog_path) as recommender:
        same = recommender.matching_windows(12, 12)
        assert same.first_s == same.second_s
        assert same.cosine == pytest.approx(1, abs=1e-5)
        other = recommender.matching_windows(12, "song 3")
        assert 0 <= other.first_s <= recommender.track(12).duration_s - other.length_s
        assert 0 <= other.second_s <= recommender.track(4).duration_s - other.length_s
        assert -1 <= other.cosine < 1
        for asked in (12, upload):
            few = Where(among=(3, 4, "gone.flac"))
            answer = recommender.similar_to_tracks([asked], where=few, ranking=EACH, why="windows")
            assert len(answer) == 3
            for one in answer:
                assert one.why is not None
                windows = one.why.windows
                if one.key == "gone.flac":
                    assert windows is None
                    continue
                assert windows is not None
                assert f"{format_clock(windows.second_s)} like the seed's" in str(one.why)
                if asked == 12 and one.id == 4:
                    assert windows == other
            assert any(one.key == "gone.flac" for one in answer)
        vector = recommender.similar_to_vector(recommender.vectors([12])[0], 2, why="windows")
        assert [one.why and one.why.windows for one in vector] == [None, None]


def test_every_kind_of_seed_is_the_same_for_answers_stations_playlists_and_paths(
    song_recommender: Recommender, original_songs: Path, tmp_path: Path
) -> None:
    recommender = song_recommender
    song = original_songs / "album 0" / "02.mp3"
    copy = shutil.copy(song, tmp_path / "copy.mp3")
    (vector,) = recommender.vectors([3])
    for given in (3, "3", "song 2", str(song), bytes(song), song, copy, str(copy), vector):
        seed = recommender.seed(given)
        station = Station(recommender, given)
        answer = recommender.similar_to_tracks(given, n=12, ranking=EACH)
        playlist = fill_playlist(recommender, [given], 30.0, per_artist=12)
        assert seed.vector == pytest.approx(vector, abs=1e-3)
        assert np.array_equal(station.seed.vector, seed.vector)
        assert station.seed.label == seed.label == answer.seed
        assert playlist.title == f"sounds like {seed.label}"
        assert station.seed.recording_id == seed.recording_id
        # A vector is no recording; a file's is known by its audio, wherever the file lies.
        own = given is vector
        assert seed.recording_id == (-1 if own else 3)
        assert (3 in [one.id for one in answer]) == own
        assert (3 in [entry.track.id for entry in station]) == own
        if seed.track is not None:
            assert path_between(recommender, given, 9, 1).tracks[0].id == 3
    for unknown in (copy, str(copy), bytes(copy)):
        with pytest.raises(UnknownTrack, match=r"copy\.mp3 is not in the catalog"):
            path_between(recommender, unknown, 9, 1)


def test_a_file_beyond_the_limits_costs_only_its_windows(
    catalog_path: Path, tmp_path: Path
) -> None:
    huge = sounds.write_audio(tmp_path / "huge.wav", sounds.music(4))
    header = huge.read_bytes()[:78]
    size = 3_900_000_000
    huge.write_bytes(header[:-4] + size.to_bytes(4, "little"))
    os.truncate(huge, len(header) + size)
    text = sounds.text_file(tmp_path / "text.mp3")
    with closing(Library.open_for_writing(catalog_path)) as library:
        with library.catalog.writing() as connection:
            for track, path in ((5, huge), (6, text)):
                row = update(TrackRow).where(TrackRow.id == track)
                connection.execute(row.values(path=bytes(path)))
    with Recommender.open(catalog_path, limits=Limits(cpu_s=5)) as recommender:
        few = Where(among=(4, 5, 6, 7))
        answer = recommender.similar_to_track(12, where=few, ranking=EACH, why="windows")
        windows = {one.id: one.why and one.why.windows for one in answer}
        assert {track for track, found in windows.items() if found is None} == {5, 6}
        assert len(windows) == 4
        with pytest.raises(WorkerDied, match="SIGXCPU"):
            recommender.matching_windows(12, 5)
