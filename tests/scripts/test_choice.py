"""The rule of choice, the candidates it is applied to, and the music they are compared on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from evaluation import candidates
from evaluation.candidates import PREVIOUS, QUESTIONS, run_stages
from evaluation.choice import MOST_LOST, Task, choose, judge
from evaluation.joinings import FADE_S, JOININGS, cross_faded, cut, in_order, shuffled
from evaluation.music import read_development, read_training

from indexer.errors import QueryError
from recommender.evaluation.metrics import cosines
from tests import sounds

if TYPE_CHECKING:
    from collections.abc import Sequence


def task(artists: Sequence[str], *, name: str = "task", first: int = 0) -> Task:
    """Queries of two genres in turn, every one of which has something to find."""
    labels = tuple("ab"[number % 2] for number in range(len(artists)))
    return Task(name, np.arange(first, first + len(artists)), labels, tuple(artists), 2)


def singles(count: int = 40) -> Task:
    return task([f"artist {number}" for number in range(count)])


def scores(one: Task, value: float, *, spread: float = 0.0, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((len(one.queries), 2))
    return value + spread * noise


def test_queries_are_those_with_something_to_find_by_another_artist() -> None:
    one = Task("t", np.arange(5), ("a", "a", "a", "b", ""), ("x", "x", "y", "z", ""), 1)
    assert one.queries.tolist() == [0, 1, 2]
    assert one.query_artists == ["x", "x", "y"]
    nameless = Task("t", np.arange(2), ("a", "a"), ("", ""), 1)
    assert nameless.query_artists == ["track 0", "track 1"]
    there = one.among(np.array([True, False, True, True, True]))
    assert (there.rows.tolist(), there.labels) == ([0, 2, 3, 4], ("a", "a", "b", ""))
    vectors = np.eye(3, dtype=np.float32)[[0, 1, 0, 2, 2]]
    assert one.scores(cosines(vectors))[0].tolist() == [1.0, 1.0]


def test_a_clear_winner_wins_and_a_tie_only_where_it_costs_less() -> None:
    tasks = [singles(), singles(30)]
    old = [scores(one, 0.5, spread=0.1) for one in tasks]

    def changed(mean: float, spread: float) -> list[np.ndarray]:
        return [
            values + scores(one, mean, spread=spread, seed=1)
            for one, values in zip(tasks, old, strict=True)
        ]

    for candidate, wins, wins_if_cheaper in (
        (changed(0.05, 0.02), True, True),
        (old, False, True),
        (changed(-0.002, 0.03), False, True),
        (changed(-0.009, 0.001), False, False),
        (changed(0.0, 0.001), False, True),
    ):
        verdict = judge(tasks, old, candidate, random_state=0)
        assert verdict.low <= verdict.mean <= verdict.high
        assert verdict.mean == pytest.approx(verdict.by_task.mean())
        assert verdict.wins(is_cheaper=False) == wins
        assert verdict.wins(is_cheaper=True) == wins_if_cheaper


@pytest.mark.parametrize(("lost", "wins"), [(0.8 * MOST_LOST, True), (1.2 * MOST_LOST, False)])
def test_a_task_that_loses_too_much_vetoes(lost: float, wins: bool) -> None:
    tasks = [singles(), singles()]
    old = [scores(one, 0.5) for one in tasks]
    verdict = judge(tasks, old, [old[0] + 0.2, old[1] - lost], random_state=0)
    assert verdict.low > 0
    assert verdict.wins(is_cheaper=False) == verdict.wins(is_cheaper=True) == wins


def test_artists_are_drawn_whole() -> None:
    """Queries of one artist rise and fall together: they are no independent evidence."""
    many = task([f"artist {number // 10}" for number in range(60)])
    gains = np.repeat([0.3, -0.1, 0.2, 0.0, 0.1, 0.1], 10)
    widths = []
    for one in (many, singles(60)):
        old = scores(one, 0.5)
        verdict = judge([one], [old], [old + gains[:, None]], random_state=0)
        assert verdict.mean == pytest.approx(0.1)
        widths.append(verdict.high - verdict.low)
    assert widths[0] > 2 * widths[1]


def test_the_one_in_place_stays_unless_it_is_beaten() -> None:
    one = singles()
    old = scores(one, 0.5, spread=0.1)
    gain = 0.01 * scores(one, 1, spread=0.5, seed=1)
    candidates_in_order = {
        "first": [old],
        "worse": [old - gain],
        "better": [old + 2 * gain],
        "less": [old + gain],
    }
    winner, verdicts = choose([one], candidates_in_order, cheaper=False, random_state=0)
    assert winner == "better"
    assert verdicts.pop("first") is None
    judged = {
        name: verdict.wins(is_cheaper=False)
        for name, verdict in verdicts.items()
        if verdict is not None
    }
    assert judged == {"worse": False, "better": True, "less": False}
    same = {"first": [old], "same": [old]}
    assert choose([one], same, cheaper=False, random_state=0)[0] == "first"
    assert choose([one], same, cheaper=True, random_state=0)[0] == "same"


class ByNetwork(dict[str, np.ndarray]):
    """The array of a network under every name that begins with the network's."""

    def __missing__(self, name: str) -> np.ndarray:
        return self[name.partition(",")[0]]


def test_stages_hand_their_winner_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up embeddings, each with something of the genre; only networks make a difference."""
    files, training = 60, 20
    rng = np.random.default_rng(0)
    genre = np.arange(files + training)[:, None] % 2 - 0.5
    arrays = ByNetwork()
    for network in candidates.NETWORKS:
        noise = rng.standard_normal((files + training, 12))
        arrays[network] = (noise + 1.6 * genre * (rng.random(12) < 0.4)).astype(np.float32)
    one = task([f"artist {number // 2}" for number in range(files)])
    paths = [Path(f"/music/clips/{number}.mp3") for number in range(files)]
    known = tmp_path / "previous.npz"
    names = [f"clips/{number}.mp3" for number in reversed(range(files))]
    np.savez(known, paths=names, vectors=rng.standard_normal((files, 5)).astype(np.float16))
    monkeypatch.setattr(candidates, "PREVIOUS_EMBEDDINGS", known)
    rest = range(files, files + training)
    chosen, stages = run_stages(arrays, [one], paths, rest, seed=0)
    assert [stage.title for stage in stages] == [question.title for question in QUESTIONS]
    assert next(iter(stages[0].scores)) == PREVIOUS
    assert stages[0].winner == " + ".join(chosen.networks)
    by_name = {stage.title: stage.winner for stage in stages}
    # What makes no difference is left as it is, or becomes cheaper.
    assert by_name["joining of windows"] == candidates.FRAMES
    assert (chosen.every, chosen.pieces, chosen.normalised) == (4, 1, False)
    vectors = chosen.vectors(arrays, rest)
    assert len(vectors) == files + training
    np.testing.assert_array_equal(
        one.scores(cosines(vectors[:files])), stages[-1].scores[stages[-1].winner][0]
    )
    with pytest.raises(QueryError, match=r"previous.npz does not have .*1000.mp3"):
        run_stages(arrays, [one], [Path("clips/1000.mp3"), *paths[1:]], rest, seed=0)


RATE = 16_000


def test_joinings_keep_length_power_and_order() -> None:
    windows = np.random.default_rng(0).standard_normal((12, 3 * RATE)).astype(np.float32)
    assert in_order(windows, rate=RATE).tolist() == windows.ravel().tolist()
    mixed = shuffled(windows, rate=RATE).reshape(windows.shape)
    assert not np.array_equal(mixed, windows)
    assert np.array_equal(np.sort(mixed[:, 0]), np.sort(windows[:, 0]))
    assert np.array_equal(mixed, shuffled(windows, rate=RATE).reshape(windows.shape))
    faded = cross_faded(windows, rate=RATE)
    fade = round(FADE_S * RATE)
    assert len(faded) == windows.size - 11 * fade
    seam = np.concatenate([faded[n * (3 * RATE - fade) :][:fade] for n in range(1, 12)])
    assert np.square(seam).mean() == pytest.approx(1, abs=0.05)
    assert np.array_equal(faded[: 3 * RATE - fade], windows[0][:-fade])
    assert np.array_equal(faded[-(3 * RATE - fade) :], windows[-1][fade:])
    for join in JOININGS.values():
        assert np.array_equal(join(windows[:1], rate=RATE), windows[0])


def test_joined_samples_are_cut_into_whole_pieces_or_repeated() -> None:
    samples = np.arange(10, dtype=np.float32)
    assert cut(samples, 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert cut(samples, 10).tolist() == [samples.tolist()]
    assert cut(samples[:3], 7).tolist() == [[0, 1, 2, 0, 1, 2, 0]]


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    for name in "abcdef":
        sounds.write_audio(folder / f"{name}.wav", sounds.music(1, channels=1))
    write_table(
        folder / "mood4q.csv",
        [
            {"path": "a.wav", "genre": "Rock", "quadrant": "Q1", "artist": "One"},
            {"path": "b.wav", "genre": "", "quadrant": "Q2", "artist": "ONE"},
            {"path": "gone.wav", "genre": "Rock", "quadrant": "Q1", "artist": "Two"},
        ],
    )
    clip = {"artist": "X", "genre": "pop", "group": "emotify", "licence": "CC-BY", "split": "train"}
    write_table(
        folder / "clips.csv",
        [
            clip | {"path": "c.wav", "split": "eval"},
            clip | {"path": "d.wav", "split": "eval", "group": "other"},
            clip | {"path": "e.wav"},
            clip | {"path": "f.wav", "licence": "CC-BY-NC-ND"},
            clip | {"path": "gone.wav"},
        ],
    )
    return folder


def test_development_music_is_that_of_the_tables_that_is_there(music: Path) -> None:
    paths, tasks = read_development(music, None)
    assert [path.name for path in paths] == ["a.wav", "b.wav", "c.wav"]
    found = {one.name: (one.rows.tolist(), one.labels, one.artists, one.k) for one in tasks}
    assert found == {
        "songs: genre": ([0], ("Rock",), ("one",), 5),
        "songs: mood": ([0, 1], ("Q1", "Q2"), ("one", "one"), 5),
        "Emotify: genre": ([2], ("pop",), ("x",), 5),
    }
    assert [path.name for path in read_training(music, None)] == ["e.wav"]


def test_soundtracks_lie_in_a_folder_of_their_own(music: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    rows = []
    for name, split in (("g", "eval"), ("h", "train")):
        sounds.write_audio(corpus / f"{name}.wav", sounds.music(1, channels=1))
        rows.append({"path": f"{name}.wav", "group": "game", "artist": "Y", "split": split})
    write_table(music / "debian_tracks.csv", rows)
    paths, tasks = read_development(music, corpus)
    assert paths[-1] == corpus / "g.wav"
    assert (tasks[-1].name, tasks[-1].rows.tolist()) == ("soundtracks: group", [3])
    assert read_training(music, corpus)[-1] == corpus / "h.wav"
    assert len(read_development(music, None)[1]) == len(tasks) - 1


def test_folders_without_music_are_named(music: Path, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"has none of the tables mood4q.csv, ten_genres.csv"):
        read_development(tmp_path, None)
    with pytest.raises(QueryError, match="no table with a split `train`"):
        read_training(tmp_path, None)
    write_table(music / "ten_genres.csv", [{"path": "a.wav", "artist": "One"}])
    with pytest.raises(QueryError, match=r"ten_genres.csv in .* has no column 'genre'"):
        read_development(music, None)
