from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import InvalidOption, QueryError
from recommender import Answer, Ranking, Recommender, Where
from recommender.retrieval.words.steering import WEIGHT
from recommender.text.search import find
from tests.catalogs import Planted, plant

TAGS = ("Mellow", "sad", "piano", "instrumental", "male vocalists")
COUNT = 80
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    tracks = [
        Planted(
            f"song {number}",
            {tag: float(p) for tag, p in zip(TAGS, rng.uniform(0, 1, len(TAGS)), strict=True)},
            genre="Rock" if number % 2 else "Jazz",
            artist=f"band {number % 20}",
            tempo_bpm=None if number % 5 == 0 else 60.0 + number,
            vector=(rng.normal(size=8) + 2 * np.eye(8)[0]).tolist(),
        )
        for number in range(1, COUNT + 1)
    ]
    return plant(tmp_path_factory.mktemp("steering"), TAGS, tracks)


@pytest.fixture
def recommender(catalog: Path) -> Recommender:
    with Recommender.open(catalog) as opened:
        yield opened


def percentile(recommender: Recommender, text: str) -> dict[int, float]:
    """What `find` says of each track."""
    return {hit.id: hit.matches[0].percentile for hit in find(recommender, text, COUNT)}


def by_hand(
    recommender: Recommender, seed: int, words: list[tuple[str, bool]]
) -> list[tuple[int, float]]:
    """Every other track and its relevance, best first, worked out from what `find` answers."""
    ids = np.arange(1, COUNT + 1)
    vectors = recommender.vectors(ids).astype(np.float64)
    relevance = dict(zip(ids.tolist(), (vectors @ vectors[seed - 1]).tolist(), strict=True))
    scale = WEIGHT * (1 - recommender.median_random_cosine)
    for text, is_more in words:
        for track, share in percentile(recommender, text).items():
            relevance[track] += scale * ((share if is_more else 1 - share) - 0.5)
    return sorted(
        ((track, value) for track, value in relevance.items() if track != seed),
        key=lambda pair: (-pair[1], pair[0]),
    )


@pytest.mark.parametrize(
    ("more", "less", "words"),
    [
        (("calmer",), (), [("calm", True)]),
        (("more piano", "faster"), (), [("piano", True), ("fast", True)]),
        (("sad",), ("piano",), [("sad", True), ("piano", False)]),
        ((), ("vocals",), [("instrumental", True)]),
        ((), ("jazz",), [("jazz", False)]),
        ("slow", (), [("slow", True)]),
    ],
)
def test_the_order_is_that_of_cosine_and_percentiles(
    recommender: Recommender,
    more: tuple[str, ...] | str,
    less: tuple[str, ...],
    words: list[tuple[str, bool]],
) -> None:
    answer = recommender.similar_to_track(7, 12, more=more, less=less)
    assert [one.id for one in answer] == [
        track for track, _ in by_hand(recommender, 7, words)[: len(answer)]
    ]
    for one, (_, relevance) in zip(answer, by_hand(recommender, 7, words), strict=False):
        assert one.steered_cosine == pytest.approx(relevance, abs=2e-4)
        assert one.why is not None
        assert one.why.tags == ()
        assert len(one.why.words) == len(words)


def test_a_row_says_how_much_each_word_moved_it(recommender: Recommender) -> None:
    answer = recommender.similar_to_track(7, 12, more=("calm",), less=("piano",))
    assert answer.seed == "band 7 - song 7, more calm, less piano"
    without_calm = [track for track, _ in by_hand(recommender, 7, [("piano", False)])]
    calm = percentile(recommender, "calm")
    for place, one in enumerate(answer):
        assert one.why is not None
        more, less = one.why.words
        assert (more.word, less.word) == ("more calm", "less piano")
        assert more.percentile == pytest.approx(calm[one.id], abs=1e-4)
        assert (more.shift > 0) == (more.percentile > 0.5)
        assert more.because.startswith("Mellow ")
        assert more.moved == without_calm.index(one.id) - place


def test_words_move_the_answers_their_way(recommender: Recommender) -> None:
    for more, text in ((("sadder",), "sad"), (("slower",), "slow")):
        fit = percentile(recommender, text)
        before = np.mean([fit[one.id] for one in recommender.similar_to_track(3, 10)])
        after = np.mean([fit[one.id] for one in recommender.similar_to_track(3, 10, more=more)])
        assert after > before + 0.05


@pytest.mark.parametrize("ranking", [None, Ranking(diversity=0.4), Ranking(local_scaling=True)])
def test_no_words_change_nothing(recommender: Recommender, ranking: Ranking | None) -> None:
    for seed in range(1, COUNT + 1):
        plain = recommender.similar_to_track(seed, 10, ranking=ranking)
        for more, less in (((), ()), ([], []), (iter(()), ())):
            same = recommender.similar_to_track(seed, 10, ranking=ranking, more=more, less=less)
            assert same == plain
        assert all(one.why is None for one in plain)
    assert plain.to_json()["neighbours"][0]["why"] is None


def test_all_questions_take_words(recommender: Recommender) -> None:
    wanted = recommender.similar_to_track(7, 8, more=("sad",))
    assert recommender.similar_to_tracks([7], n=8, more=("sad",)).neighbours == wanted.neighbours
    vector = recommender.vectors([7])[0]
    by_vector = recommender.similar_to_vector(vector, 9, more=("sad",))
    assert [one.id for one in by_vector if one.id != 7][:8] == [one.id for one in wanted]
    best = recommender.similar_to_tracks(
        [7, 8], [9], 8, strategy="best_score", more=("sad",), less=("piano",), why=True
    )
    assert len(best) == 8
    assert all(one.why and one.why.seed and len(one.why.words) == 2 for one in best)


def test_words_beside_a_filter_keep_the_librarys_percentiles(recommender: Recommender) -> None:
    where = Where(genre=("jazz",))
    answer = recommender.similar_to_track(7, COUNT, where=where, more=("sad",))
    assert len(answer) == COUNT // 2
    everywhere = percentile(recommender, "sad")
    for one in answer:
        assert one.id % 2 == 0
        assert one.why is not None
        assert one.why.words[0].percentile == pytest.approx(everywhere[one.id], abs=1e-4)
    none = recommender.similar_to_track(7, 3, where=Where(genre=("polka",)), more=("sad",))
    assert len(none) == 0
    assert none.note is not None


def test_words_beside_a_ranking(recommender: Recommender) -> None:
    capped = recommender.similar_to_track(
        7, 15, ranking=Ranking(per_artist=1, diversity=0.2), more=("sad",)
    )
    assert len({one.artist for one in capped}) == len(capped) == 15
    least = Ranking(min_score=0.5)
    wanted = [
        one.id
        for one in recommender.similar_to_track(7, COUNT, more=("sad",))
        if one.score is not None and one.score >= 0.5
    ]
    for n in (3, COUNT):
        some = recommender.similar_to_track(7, n, ranking=least, more=("sad",))
        assert [one.id for one in some] == wanted[:n]


def test_a_track_without_a_tempo_stays_where_it_is(recommender: Recommender) -> None:
    for one in recommender.similar_to_track(7, COUNT, more=("faster",)):
        if one.id % 5 == 0:
            assert one.why is not None
            assert one.why.words[0].because == ""
            assert abs(one.why.words[0].shift) < 0.15 * WEIGHT


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"more": ("xylophnoe",)}, QueryError, "no tag or genre fits 'xylophnoe'.* Mellow"),
        ({"less": ("calm", "qwrtz")}, QueryError, "'qwrtz'.* Mellow"),
        ({"more": ("calm",), "less": ("calmer",)}, InvalidOption, "choose one"),
        ({"more": ("louder",)}, QueryError, "no track of the catalog has a known loudness"),
        ({"more": (3,)}, InvalidOption, "3 is no word"),
        ({"more": ("",)}, QueryError, "names nothing"),
    ],
)
def test_what_cannot_steer_is_said_in_one_sentence(
    recommender: Recommender, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        recommender.similar_to_track(7, **options)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_an_empty_library_says_so(tmp_path: Path) -> None:
    with Recommender.open(plant(tmp_path, TAGS, [])) as recommender:
        with pytest.raises(QueryError, match="no tracks yet"):
            recommender.similar_to_vector(np.ones(8), more=("calm",))


def test_near_duplicates_are_folded_and_equals_are_in_the_order_of_their_ids(
    tmp_path: Path,
) -> None:
    near, same = [1.0, 0.3] + [0.0] * 6, [1.0, 0.0, 0.5] + [0.0] * 5
    tracks = [
        Planted("seed", {"sad": 0.1}, vector=[1.0] + [0.0] * 7),
        *(Planted(f"equal {n}", {"sad": 0.5}, vector=same, duration_s=100 * n) for n in (3, 1, 2)),
        Planted("copy", {"sad": 0.9}, vector=near, recording=90),
        Planted("other copy", {"sad": 0.9}, vector=near, recording=90),
        Planted("far", {"sad": 0.2}, vector=[0.2, 1.0] + [0.0] * 6),
    ]
    with Recommender.open(plant(tmp_path, TAGS, tracks)) as recommender:
        answer = recommender.similar_to_track(1, more=("sad",))
    assert [one.id for one in answer] == [5, 2, 3, 4, 7]
    assert [other.id for other in answer[0].duplicates] == [6]


def test_more_candidates_are_looked_at_than_are_near(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tracks = [
        Planted(
            f"song {number}",
            {"sad": 0.9 if number == 150 else 0.1},
            artist=f"band {number}",
            # Ever farther from the first; the second half is anywhere.
            vector=((number < 200) * np.eye(8)[0] + number / 1500 * rng.normal(size=8)).tolist(),
        )
        for number in range(1, 401)
    ]
    with Recommender.open(plant(tmp_path, TAGS, tracks)) as recommender:
        before = [one.id for one in recommender.similar_to_track(1, 40)]
        first = recommender.similar_to_track(1, 3, more=("sad",))[0]
    assert 150 not in before
    assert first.id == 150
    assert first.why is not None
    assert first.why.words[0].moved is not None
    assert first.why.words[0].moved > 40


def test_what_is_added_meanwhile_counts(tmp_path: Path) -> None:
    from contextlib import closing

    from sqlalchemy import update

    from indexer.catalog.schema import CatalogRow, EmbeddingRow, TrackRow
    from indexer.library import Library

    path = plant(tmp_path, TAGS, [Planted(f"{n}", {"sad": n / 10}) for n in range(1, 8)])
    with Recommender.open(path) as recommender:
        before = percentile_of(recommender.similar_to_track(7, 9, more=("sad",)), 1)
        with closing(Library.open_for_writing(path)) as library:
            with library.catalog.writing() as connection:
                activations = np.array([0.05, 0.95, 0.05, 0.05, 0.05], "<f2").tobytes()
                connection.execute(
                    update(EmbeddingRow)
                    .where(EmbeddingRow.recording_id == 1)
                    .values(activations=activations)
                )
                connection.execute(update(CatalogRow).values(change=2, facets_change=2))
                again = update(TrackRow).where(TrackRow.id == 1)
                connection.execute(again.values(change=2, facets_change=2))
        after = percentile_of(recommender.similar_to_track(7, 9, more=("sad",)), 1)
    assert before < 0.2 < 0.9 < after


def percentile_of(answer: Answer, track: int) -> float:
    (one,) = [one for one in answer if one.id == track]
    assert one.why is not None
    return one.why.words[0].percentile


def test_the_command_prints_what_words_do(run: Run, catalog: Path) -> None:
    asked = ("similar", 7, "--more", "calmer", "--less", "vocals", "-n", 3, "--catalog", catalog)
    code, out, err = run(*asked)
    assert (code, err) == (0, "")
    title, header, first, *_ = out.splitlines()
    assert title == "sounds like band 7 - song 7, more calm, less vocals:"
    assert header.split() == ["score", "cosine", "id", "why", "track"]
    assert "more calm 0." in first
    assert "less vocals 0." in first
    code, out, _ = run(*asked, "--json")
    (neighbour, *_) = json.loads(out)["neighbours"]
    assert set(neighbour["why"]["words"][0]) == {
        *("word", "percentile", "because", "shift", "moved")
    }
    code, out, err = run(*asked, "--more", "qwrtz")
    assert (code, out) == (1, "")
    assert "'qwrtz'" in err
