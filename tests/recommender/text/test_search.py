from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from click.testing import CliRunner

from indexer.errors import InvalidOption, QueryError
from recommender import Recommender
from recommender.__main__ import cli
from recommender.retrieval.where import Where
from recommender.retrieval.words.vocabulary import Vocabulary
from recommender.text.search import SearchResult, by_meaning, find
from recommender.text.text_embedding import CARRIER, TextModel
from tests.catalogs import Planted, plant

TAGS = ("rock", "pop", "Mellow", "ambient", "sad", "metal", "instrumental", "90s", "vocal jazz")
Asking = Callable[..., SearchResult]

# A common tag lies high for all, a rare one low for all: only its place among the others tells.
COMMON, RARE = 0.7, 0.02


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    tracks = [
        Planted(
            f"filler {number}",
            {tag: float(p) for tag, p in zip(TAGS, rng.uniform(0.1, 0.2, len(TAGS)), strict=True)},
            genre="Rock" if number % 3 == 0 else None,
            tempo_bpm=100 + number,
        )
        for number in range(40)
    ]
    tracks += [
        Planted("quiet sea", {"Mellow": 0.8, "sad": 0.1, "instrumental": 0.3}, tempo_bpm=60),
        Planted("sad sea", {"Mellow": 0.7, "sad": 0.6}, year=1994, tempo_bpm=70),
        Planted("loud tears", {"metal": 0.9, "sad": 0.7}, genre="Heavy Metal", tempo_bpm=180),
        Planted("iron", {"metal": 0.3}, genre="Death Metal; Live"),
        Planted("old", {"90s": 0.6}, year=1972),
        Planted("ghost", {}, genre="Zouk", vector=[1, 0, 0, 0, 0, 0, 0, 0]),
        Planted("ghost's neighbour", {}, vector=[1, 0.1, 0, 0, 0, 0, 0, 0]),
    ]
    return plant(tmp_path_factory.mktemp("words"), TAGS, tracks)


@pytest.fixture
def ask(catalog: Path) -> Asking:
    def asking(text: str, n: int = 5, **options: object) -> SearchResult:
        with Recommender.open(catalog) as recommender:
            return find(recommender, text, n, **options)

    return asking


def titles(found: Sequence[object]) -> list[str]:
    return [hit.title for hit in found]


def test_the_strongest_tag_comes_first(ask: Asking) -> None:
    found = ask("calm")
    assert titles(found)[:2] == ["quiet sea", "sad sea"]
    assert found[0].matches[0].because == "Mellow 0.80"
    assert found[0].score == found[0].matches[0].percentile > 0.95


def test_all_words_should_hold(ask: Asking) -> None:
    assert titles(ask("calm sad"))[0] == "sad sea"
    assert titles(ask("sad metal"))[0] == "loud tears"


def test_a_score_is_the_geometric_mean_of_its_words(ask: Asking) -> None:
    for hit in ask("calm, sad, not metal"):
        mean = np.prod([match.percentile for match in hit.matches]) ** (1 / 3)
        assert hit.score == pytest.approx(mean, abs=2e-4)


def test_what_is_to_be_kept_away_from(ask: Asking) -> None:
    found = ask("sad -metal", 47)
    assert titles(found)[0] == "sad sea"
    assert "loud tears" not in titles(found)[:20]
    assert [match.word for match in found[0].matches] == ["sad", "not metal"]
    without = ask("not metal", 47)
    assert titles(without)[-2:] == ["iron", "loud tears"]


def test_the_files_genre_counts_more_than_the_sound(ask: Asking) -> None:
    found = ask("metal")
    assert titles(found)[:2] == ["loud tears", "iron"]
    assert found[1].matches[0].because == "genre Death Metal"


def test_a_genre_without_a_tag_finds_what_sounds_like_its_tracks(ask: Asking) -> None:
    found = ask("zouk")
    assert titles(found)[:2] == ["ghost", "ghost's neighbour"]
    assert found.words[0].tags == ()


def test_a_rare_tag_counts_as_much_as_a_common_one(tmp_path: Path) -> None:
    steps = np.linspace(-0.01, 0.01, 21)
    tracks = [
        Planted(f"{place}", {"rock": COMMON + s, "sad": RARE - s}) for place, s in enumerate(steps)
    ]
    path = plant(tmp_path, ("rock", "sad"), tracks)
    with Recommender.open(path) as recommender:
        found = find(recommender, "rock sad", 21)
    # What one gains the other loses, so the middle is the best of both.
    assert found[0].title == "10"
    assert {found[-1].title, found[-2].title} == {"0", "20"}


def test_years(ask: Asking) -> None:
    assert titles(ask("from 1994"))[0] == "sad sea"
    assert ask("from 1994")[0].matches[0].because == "1994"
    assert titles(ask("from 1994", 47))[-1] == "old"
    # The file says 1994; the other only sounds like it, and an old recording may.
    assert titles(ask("90s"))[:2] == ["sad sea", "old"]


def test_tempo(ask: Asking) -> None:
    assert titles(ask("slow"))[0] == "quiet sea"
    assert titles(ask("fast"))[0] == "loud tears"
    assert ask("fast")[0].matches[0].because == "180 BPM"
    assert titles(ask("120 bpm"))[0] == "filler 20"


def test_a_filter_keeps_percentiles_as_they_are(ask: Asking) -> None:
    found = ask("calm", 47, where=Where(genre=("Rock",)))
    assert len(found) == 14
    everywhere = {hit.id: hit.score for hit in ask("calm", 47)}
    assert all(everywhere[hit.id] == hit.score for hit in found)
    assert found.note == "the filter (genre Rock) keeps only 14 of the 47 tracks asked for"
    none = ask("calm", where=Where(genre=("Polka",)))
    assert len(none) == 0
    assert none.note == "the filter (genre Polka) keeps no track"


def test_one_recording_is_one_hit(tmp_path: Path) -> None:
    tracks = [Planted("a", {"sad": 0.9}, recording=7), Planted("b", {"sad": 0.9}, recording=7)]
    path = plant(tmp_path, TAGS, [*tracks, Planted("c", {"sad": 0.1})])
    with Recommender.open(path) as recommender:
        assert titles(find(recommender, "sad")) == ["a", "c"]


def test_equal_scores_are_in_the_order_of_their_ids(tmp_path: Path) -> None:
    path = plant(tmp_path, TAGS, [Planted(name) for name in "edcba"])
    with Recommender.open(path) as recommender:
        found = find(recommender, "sad")
    assert [hit.id for hit in found] == [1, 2, 3, 4, 5]
    assert {hit.score for hit in found} == {0.5}


def test_one_track_is_found(tmp_path: Path) -> None:
    path = plant(tmp_path, TAGS, [Planted("alone")])
    with Recommender.open(path) as recommender:
        assert titles(find(recommender, "sad, fast, 90s, not pop", 1_000_000)) == ["alone"]


def test_damaged_activations_come_last(tmp_path: Path) -> None:
    tracks = [Planted("nan", {"sad": float("nan")}), Planted("low", {"sad": 0.0})]
    path = plant(tmp_path, TAGS, tracks)
    with Recommender.open(path) as recommender:
        assert titles(find(recommender, "sad")) == ["low", "nan"]


def test_unknown_words_are_named_and_left_out(ask: Asking) -> None:
    found = ask("calm, xylophnoe")
    assert titles(found) == titles(ask("calm"))
    assert [one.text for one in found.unknown] == ["xylophnoe"]


@pytest.mark.parametrize("text", ["", " , ", "the music", "qwrtz", "piano"])
def test_a_text_without_a_known_word_says_what_is_known(ask: Asking, text: str) -> None:
    with pytest.raises(QueryError, match=r"known|nearest") as raised:
        ask(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("cosine", "nearest"), [(0.45, ("sad",)), (0.35, ())])
def test_nothing_is_suggested_where_nothing_is_near(
    cosine: float, nearest: tuple[str, ...]
) -> None:
    class Near:
        def embed(self, texts: Sequence[str]) -> np.ndarray:
            vectors = {"sad": (1, 0), "asdfgh": (cosine, np.sqrt(1 - cosine**2))}
            return np.array([vectors.get(text, (0, 0)) for text in texts], dtype=np.float32)

    known = Vocabulary(["sad"])
    (unknown,) = by_meaning(known.read("asdfgh"), known, cast("TextModel", Near())).unknown
    assert unknown.nearest == nearest


def test_years_without_tracks_are_named(ask: Asking) -> None:
    assert ask("1995", 1).note == "no track is known to be of 1995"
    assert ask("sad 1800s, before 1960", 1).note == (
        "no track is known to be of 1800s, before 1960"
    )
    for known in ("1994", "90s", "not 1995", "since 1990"):
        assert ask(known, 1).note is None


@pytest.mark.parametrize("n", [0, -1, 1.5, "3"])
def test_n_is_a_count(ask: Asking, n: object) -> None:
    with pytest.raises(InvalidOption):
        ask("sad", n)


def test_a_weight_without_lyrics_is_refused(ask: Asking) -> None:
    with pytest.raises(InvalidOption, match="text model"):
        ask("sad", lyrics_weight=0.5)
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidOption, match=r"0 .*to 1"):
            ask("sad", lyrics_weight=weight)


def test_an_empty_catalog(tmp_path: Path) -> None:
    path = plant(tmp_path, TAGS, [])
    with Recommender.open(path) as recommender:
        with pytest.raises(QueryError, match="no tracks yet"):
            find(recommender, "sad")
        with pytest.raises(QueryError, match="no tracks yet"):
            _ = recommender.vocabulary


def test_genres_are_listed_once_in_their_commonest_spelling(tmp_path: Path) -> None:
    tracks = [Planted("a", genre=genre) for genre in ("Soundtrack", "soundtrack", "Soundtrack")]
    path = plant(tmp_path, TAGS, [*tracks, Planted("b", genre="Other; Zouk")])
    with Recommender.open(path) as recommender:
        assert recommender.vocabulary.genres == ("Soundtrack", "Zouk")


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sentence_transformers", CARRIER):
        monkeypatch.setitem(__import__("sys").modules, name, None)


def command(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `soundalike find`."""
    done = CliRunner().invoke(cli, ["find", *words], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.usefixtures("without_extra")
def test_the_command_prints_a_table(catalog: Path) -> None:
    code, out, err = command("sad", "calm", "-n", "2", "--catalog", str(catalog))
    assert code == 0
    meaning, header, first, *_ = out.splitlines()
    assert meaning == "calm: Mellow, ambient"
    assert header.split() == ["score", "sad", "calm", "id", "track"]
    assert "sad sea" in first
    assert len(out.splitlines()) == 4
    assert err == ""


@pytest.mark.usefixtures("without_extra")
def test_the_command_says_what_it_left_out(catalog: Path) -> None:
    code, out, err = command("sad, metl", "--catalog", str(catalog))
    assert code == 0
    assert "loud tears" in out
    assert "'metl'" in err
    assert "metal" in err


@pytest.mark.usefixtures("without_extra")
def test_the_command_answers_in_json(catalog: Path) -> None:
    _, out, _ = command("sad -metal fast", "--json", "--catalog", str(catalog))
    answer = json.loads(out)
    assert list(answer) == ["text", "words", "unknown", "hits", "note"]
    assert len(answer["hits"]) == 10
    hit = answer["hits"][0]
    assert set(hit) >= {"id", "key", "title", "artist", "score", "matches", "lyrics"}
    assert [match["word"] for match in hit["matches"]] == ["sad", "not metal", "fast"]


@pytest.mark.usefixtures("without_extra")
def test_the_command_takes_a_filter_and_writes_a_playlist(catalog: Path, tmp_path: Path) -> None:
    place = tmp_path / "calm.m3u8"
    words = ("calm", "--genre", "rock", "-n", "3", "--catalog", str(catalog))
    code, out, err = command(*words, "--out", str(place))
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 5
    assert place.read_text().count("filler") == 3
    assert command(*words, "--out", "-")[1].startswith("#EXTM3U")
    assert command(*words, "--out", "-", "--json")[0] == 2
    code, out, err = command("calm", "--genre", "polka", "--catalog", str(catalog))
    assert code == 0
    assert "keeps no track" in err


@pytest.mark.usefixtures("without_extra")
def test_the_command_lists_what_is_known(catalog: Path) -> None:
    _, out, _ = command("--list", "--catalog", str(catalog))
    assert "Mellow, ambient" in next(line for line in out.splitlines() if " calm " in line)
    _, out, _ = command("--list", "--json", "--catalog", str(catalog))
    assert json.loads(out)["tags"] == list(TAGS)
    assert json.loads(out)["synonyms"]["fast"] == "tempo high"


@pytest.mark.usefixtures("without_extra")
@pytest.mark.parametrize("option", [("--lyrics-weight", "0.3"), ("--text-model", "nowhere")])
def test_without_the_extra_its_options_name_the_remedy(
    catalog: Path, option: tuple[str, str]
) -> None:
    code, out, err = command("sad", *option, "--catalog", str(catalog))
    assert (code, out) == (1, "")
    assert "pip install 'soundalike[lyrics]'" in err


@pytest.mark.usefixtures("without_extra")
def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    evil = Planted("\x1b[2Jgone", {"sad": 0.9}, genre="\x1b[31mRed")
    path = plant(tmp_path, TAGS, [evil, replace(evil, title="b")])
    for words in (("sad, \x1b[2J",), ("--list",), ("31mred", "--json")):
        _, out, err = command(*words, "--catalog", str(path))
        assert "\x1b" not in out + err


@pytest.mark.parametrize(
    ("text", "kept"),
    [("hip hop", [1, 2]), ("hip-hop", [1, 2]), ("rnb", [3, 4]), ("R&B", [3, 4]), ("pop", [5])],
)
def test_a_genre_filter_keeps_what_words_find_by_genre(
    tmp_path: Path, text: str, kept: list[int]
) -> None:
    genres = ["Hip-Hop", "Rap; hip hop", "R&B", "R'n'B/Soul", "Rock|Pop", "Other", None]
    tracks = [Planted(f"song {number}", genre=genre) for number, genre in enumerate(genres)]
    with Recommender.open(plant(tmp_path, ("piano",), tracks)) as recommender:
        found = find(recommender, text, len(genres))
        by_words = [hit.id for hit in found if hit.matches[0].because.startswith("genre ")]
        assert sorted(by_words) == kept
        assert recommender.ids(Where(genre=(text,))).tolist() == kept
