from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from indexer.analysis.pools import tags_pool
from indexer.analysis.sandbox import Sandbox
from indexer.catalog.records import Track
from indexer.errors import InvalidOption, ModelCorrupt, ModelMissing, QueryError
from recommender import Recommender
from recommender.__main__ import cli
from recommender.commands.options.lyrics import with_lyrics
from recommender.retrieval.answers import Answer, Neighbour
from recommender.retrieval.words.word_fit import percentiles
from recommender.text.fusion import blend, blend_scores
from recommender.text.lyrics import (
    LARGEST_FILE,
    LONGEST,
    PASSAGE,
    LyricVectors,
    decode_text,
    lyrics_of,
    lyrics_path,
    plain_lyrics,
)
from recommender.text.search import find
from recommender.text.text_embedding import FOLDER_VARIABLE, TextModel, is_available
from tests import sounds
from tests.catalogs import Planted, plant

TAGS = ("rock", "sad", "Mellow")
SEA = "The ship went down beneath the waves\nSalt water in my lungs, the ocean took my brave"
ROAD = "Driving my truck down the highway\nDust on the wheels and a long road home"
HEART = "You broke my heart, I cry alone\nSince you have left me, tears are all I own"


def needs_model(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test of the real text model."""
    for mark in (
        pytest.mark.skipif(
            not is_available(),
            reason="needs sentence-transformers and a text model: the extra `test` brings both",
        ),
        pytest.mark.slow,
    ):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def model() -> TextModel:
    return TextModel()


@pytest.fixture(scope="module")
def pool() -> Iterator[Sandbox[None]]:
    """A worker that reads tags, as `LyricVectors` starts one."""
    with tags_pool() as running:
        yield running


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Four tracks that sound alike; three have lyrics, two beside them and one in its tags."""
    path = plant(tmp_path, TAGS, [Planted(name) for name in ("sea", "road", "heart", "none")])
    music = tmp_path / "music"
    (music / "0001.lrc").write_text(
        "[ar:Somebody]\n" + "".join(f"[00:1{k}.00]{line}\n" for k, line in enumerate(SEA.split()))
    )
    (music / "0002.TXT").write_text(ROAD)
    tags = sounds.id3v2({"USLT": b"\x03eng\0" + HEART.encode()})
    (music / "0003.mp3").write_bytes(tags + b"\xff\xfb\x90\x00" + bytes(413))
    return path


@pytest.fixture
def tracks(catalog: Path) -> list[Track]:
    with Recommender.open(catalog) as recommender:
        return recommender.tracks(recommender.ids())


# What lyrics are


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("grün ☂".encode(), "grün ☂"),
        ("\ufeffgrün".encode(), "grün"),
        ("grün ☂".encode("utf-16"), "grün ☂"),
        (b"\xfe\xff" + "grün".encode("utf-16-be"), "grün"),
        ("grün".encode("utf-16-le"), "grün"),
        ("grün".encode("utf-16-be"), "grün"),
        ("grün".encode("utf-32"), "grün"),
        ("grün – “so”".encode("cp1252"), "grün – “so”"),
        ("grün".encode("utf-32-be"), "grün"),
        ("Белая берёза под окном".encode("cp1251"), "Белая берёза под окном"),
        ("さくら さくら".encode("shift_jis"), "さくら さくら"),
        ("月亮代表我的心 你问我爱你有多深".encode("gb18030"), "月亮代表我的心 你问我爱你有多深"),
        ("Wsiąść do pociągu byle".encode("cp1250"), "Wsiąść do pociągu byle"),
        (b"", ""),
    ],
)
def test_encodings(content: bytes, text: str) -> None:
    assert decode_text(content) == text


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0",
        b"\xff\xfe\x00\xdc\x00\xdc",
        b"\xff\xfe\0\0\xff\xff\xff\xff",
        np.random.default_rng(0).bytes(1000),
    ],
)
def test_what_is_no_text_has_no_lyrics(tmp_path: Path, content: bytes, pool: Sandbox[None]) -> None:
    (tmp_path / "a.lrc").write_bytes(content)
    assert lyrics_of(b"/no/such/file.mp3", [os.fsencode(tmp_path / "a.lrc")], pool) is None


def test_a_letter_cut_in_two_at_the_end_is_left_out() -> None:
    text = "a" + "я" * LARGEST_FILE
    assert decode_text(text.encode()[:LARGEST_FILE]) == text[: LARGEST_FILE // 2]


def test_unicode_is_read_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    assert decode_text("берёза".encode()) == "берёза"
    assert decode_text("Белая берёза".encode("cp1251")) == ""


def test_no_bytes_are_too_strange() -> None:
    rng = np.random.default_rng(0)
    for length in (1, 2, 3, 5, 100):
        for lead in (b"", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\xef\xbb\xbf", b"\0"):
            text = plain_lyrics(decode_text(lead + rng.bytes(length)))
            text.encode()


def test_times_and_headings_are_no_words() -> None:
    lrc = (
        "\ufeff[ti:Title]\r\n[offset:+500]\r\n[00:01.00][00:31.00]First <00:01.50>line\r\n"
        "[1:02:03.45]Second\r\n\r\n[Chorus]\r\n[00:05]\r\n  [00:07:12] Third [sic]  \r\n"
    )
    assert plain_lyrics(lrc) == "First line\nSecond\nThird [sic]"
    assert plain_lyrics("[instrumental]\n") == ""


def test_lyrics_are_bounded_and_clean() -> None:
    assert len(plain_lyrics("la " * 100_000)) <= LONGEST
    assert plain_lyrics("a\x1b[31mb\udcff\0c") == "a [31mb c"


def test_where_lyrics_are_looked_for(tmp_path: Path, pool: Sandbox[None]) -> None:
    bare = os.fsencode(sounds.write_audio(tmp_path / "b.mp3", sounds.music(1)))
    lrc, txt = tmp_path / "x.lrc", tmp_path / "x.txt"
    lrc.write_text("[00:01.00]timed")
    txt.write_text("plain")
    beside = [os.fsencode(lrc), os.fsencode(txt)]
    assert lyrics_of(bare, beside, pool) == "timed"
    lrc.write_text("[ar:only headings]")
    assert lyrics_of(bare, beside, pool) == "plain"
    tagged = tmp_path / "t.mp3"
    tagged.write_bytes(
        sounds.id3v2({"USLT": b"\x03eng\0tagged"}) + Path(os.fsdecode(bare)).read_bytes()
    )
    assert lyrics_of(os.fsencode(tagged), beside, pool) == "tagged"
    assert lyrics_of(bare, [], pool) is None
    assert lyrics_of(b"/no/such/file.mp3", [b"/no/such/file.lrc"], pool) is None


def test_a_pipe_is_not_waited_for(tmp_path: Path, pool: Sandbox[None]) -> None:
    os.mkfifo(tmp_path / "a.lrc")
    assert lyrics_of(b"/no/such/file.mp3", [os.fsencode(tmp_path / "a.lrc")], pool) is None


# Numbers


def test_percentiles() -> None:
    shares = percentiles(np.array([3.0, 1.0, np.nan, 2.0, 2.0]))
    np.testing.assert_allclose(shares, [7 / 8, 1 / 8, np.nan, 1 / 2, 1 / 2])
    assert np.isnan(percentiles(np.full(2, np.nan))).all()
    assert len(percentiles(np.empty(0))) == 0


def test_blending() -> None:
    sound, lyrics = np.array([0.9, 0.5, 0.9]), np.array([0.1, 0.9, np.nan])
    np.testing.assert_allclose(blend_scores(sound, lyrics, 0.0), sound)
    np.testing.assert_allclose(blend_scores(sound, lyrics, 1.0), [0.1, 0.9, 0.5])
    np.testing.assert_allclose(blend_scores(sound, lyrics, 0.5), np.sqrt([0.09, 0.45, 0.45]))


# With the real model


@pytest.fixture
def vectors(catalog: Path, model: TextModel, tracks: list[Track]) -> LyricVectors:
    lyrics = LyricVectors(lyrics_path(catalog), model)
    assert lyrics.update(tracks) == 3
    return lyrics


@needs_model
def test_meanings_that_are_near_have_near_vectors(
    model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network is not to be used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    sorrow, grief, truck = model.embed(["sorrow", "grief", "a truck"])
    assert sorrow.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm([sorrow, grief, truck], axis=1), 1, atol=1e-5)
    assert sorrow @ grief > 0.6 > 0.4 > sorrow @ truck


@needs_model
def test_lyrics_find_their_track(catalog: Path, vectors: LyricVectors, model: TextModel) -> None:
    assert len(vectors) == 3
    with Recommender.open(catalog) as recommender:
        for text, title in (
            ("drowning at sea", "sea"),
            ("a lonely highway", "road"),
            ("divorce and grief", "heart"),
        ):
            found = find(recommender, text, text_model=model, lyrics=vectors, lyrics_weight=1.0)
            assert found[0].title == title
            assert found[0].lyrics == pytest.approx(5 / 6, abs=1e-4)
            assert {hit.title: hit.lyrics for hit in found}["none"] is None


@needs_model
def test_sound_and_words_together(tmp_path: Path, model: TextModel) -> None:
    heard = {"sea": 0.9, "road": 0.1, "still": 0.8}
    path = plant(tmp_path, TAGS, [Planted(name, {"sad": p}) for name, p in heard.items()])
    (tmp_path / "music" / "0001.txt").write_text(ROAD)
    (tmp_path / "music" / "0003.txt").write_text(HEART)
    lyrics = LyricVectors(lyrics_path(path), model)
    with Recommender.open(path) as recommender:
        lyrics.update(recommender.tracks(recommender.ids()))

        def first(weight: float) -> str | None:
            return find(recommender, "sad", text_model=model, lyrics=lyrics, lyrics_weight=weight)[
                0
            ].title

        assert first(0.0) == "sea"
        assert first(0.6) == "still"


@needs_model
def test_free_text_is_matched_by_meaning(catalog: Path, model: TextModel) -> None:
    with Recommender.open(catalog) as recommender:
        found = find(recommender, "weeping, not grieving, zither tax", text_model=model)
        assert [(word.tags, word.wanted, word.by) for word in found.words] == [
            (("sad",), True, "meaning"),
            (("sad",), False, "meaning"),
        ]
        (unknown,) = found.unknown
        assert unknown.text == "zither tax"
        assert unknown.nearest == ()


@needs_model
def test_only_what_changed_is_embedded_again(
    catalog: Path, vectors: LyricVectors, model: TextModel, tracks: list[Track]
) -> None:
    music = catalog.parent / "music"
    opened = LyricVectors(vectors.path, model)
    assert len(opened) == 3
    assert opened.update(tracks) == 0
    before = opened.vector(1)
    # Another date, the same words.
    os.utime(music / "0001.lrc", (1, 1))
    assert opened.update(tracks) == 0
    (music / "0001.lrc").write_text(ROAD)
    assert opened.update(tracks) == 1
    assert before is not None
    assert not np.allclose(opened.vector(1), before, atol=0.1)
    (music / "0002.TXT").unlink()
    assert opened.update(tracks) == 0
    assert opened.vector(2) is None
    (music / "0004.txt").write_text(SEA)
    assert opened.update(tracks[2:]) == 1
    assert len(opened) == 2
    assert len(LyricVectors(vectors.path, model)) == 2


@needs_model
def test_an_interrupted_run_goes_on(catalog: Path, model: TextModel, tracks: list[Track]) -> None:
    lyrics = LyricVectors(lyrics_path(catalog), model)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lyrics.update(tracks, batch=1, on_progress=interrupt)
    again = LyricVectors(lyrics_path(catalog), model)
    assert len(again) == 1
    assert again.update(tracks) == 2


@needs_model
def test_a_cache_that_does_not_fit_is_made_again(
    vectors: LyricVectors, model: TextModel, tracks: list[Track]
) -> None:
    content = vectors.path.read_bytes()
    other_model = content.replace(model.fingerprint.encode(), b"0" * len(model.fingerprint))
    assert other_model != content
    for damaged in (content[:-10], os.urandom(500), b"", other_model):
        vectors.path.write_bytes(damaged)
        assert len(LyricVectors(vectors.path, model)) == 0
    again = LyricVectors(vectors.path, model)
    assert again.update(tracks) == 3


@needs_model
def test_a_cache_that_cannot_be_written_is_no_failure(
    vectors: LyricVectors, model: TextModel, tracks: list[Track], caplog: pytest.LogCaptureFixture
) -> None:
    lyrics = LyricVectors(vectors.path.parent / "no such folder" / "x.safetensors", model)
    assert lyrics.update(tracks) == 3
    assert len(lyrics) == 3
    assert "cannot be written" in caplog.text


@needs_model
def test_long_lyrics_count_to_their_end(
    catalog: Path, model: TextModel, tracks: list[Track]
) -> None:
    filler = "la la la\n" * (PASSAGE // 9)
    lyrics = LyricVectors(lyrics_path(catalog), model)
    (sea,) = model.embed(["a shipwreck in the ocean"])
    near = {}
    for end in ("", f"{SEA}\n" * 16):
        (catalog.parent / "music" / "0004.txt").write_text(filler + end)
        lyrics.update(tracks)
        near[end] = float(lyrics.likeness([4], sea)[0])
    assert near[f"{SEA}\n" * 16] > near[""] + 0.1


# A song as the seed


def answer(*cosines: float) -> Answer:
    neighbours = tuple(
        Neighbour(id=number, key=str(number), title=None, artist=None, cosine=cosine, score=0.5)
        for number, cosine in enumerate(cosines, start=1)
    )
    return Answer("a song", neighbours, note="fewer than were asked for")


class Sung:
    """Lyric vectors of two dimensions, as `blend` asks for them."""

    def __init__(self, **angles: float) -> None:
        self._angles = {int(name[1:]): angle for name, angle in angles.items()}

    def vector(self, track_id: int) -> np.ndarray | None:
        angle = self._angles.get(track_id)
        return None if angle is None else np.array([np.cos(angle), np.sin(angle)], np.float32)

    def likeness(self, ids: np.ndarray, vector: np.ndarray) -> np.ndarray:
        found = [self.vector(int(track_id)) for track_id in ids]
        return np.array([np.nan if one is None else one @ vector for one in found], np.float32)


def test_lyrics_choose_among_what_sounds_alike() -> None:
    near = answer(0.99, 0.98, 0.97, 0.96)
    sung = Sung(t9=0.0, t1=1.5, t2=1.0, t4=0.1)
    by = {
        w: [one.id for one in blend(near, sung.vector(9), sung, weight=w, n=3)]
        for w in (0.0, 0.5, 1.0)
    }
    assert by[0.0] == [1, 2, 3]
    assert by[1.0] == [4, 2, 3]
    assert by[0.5][0] == 2
    assert blend(near, sung.vector(9), sung, weight=0.3, n=2).note is None
    assert blend(near, sung.vector(9), sung, weight=0.3, n=5).note == near.note
    assert len(blend(answer(), sung.vector(9), sung, weight=0.5, n=3)) == 0


def test_a_seed_without_lyrics_is_said() -> None:
    with pytest.raises(QueryError, match=r"no lyrics of a song .*\.lrc"):
        blend(answer(0.9), None, Sung(t1=0.0), weight=0.5, n=1)
    with pytest.raises(InvalidOption):
        blend(answer(0.9), np.ones(2, np.float32), Sung(t9=0.0), weight=2, n=1)


# The model's folder


def test_a_folder_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers", reason="needs the extra `lyrics`")
    with pytest.raises(ModelMissing, match=r"modules\.json"):
        TextModel(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ModelMissing, match="nowhere"):
        TextModel()


def test_no_model_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers", reason="needs the extra `lyrics`")
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr("recommender.text.text_embedding.CARRIER", "no_such_package")
    assert not is_available()
    with pytest.raises(ModelMissing, match=f"--text-model or {FOLDER_VARIABLE}"):
        TextModel()


@needs_model
@pytest.mark.parametrize("damage", ["no weights", "cut weights", "no json"])
def test_a_damaged_model(tmp_path: Path, model: TextModel, damage: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in model.folder.rglob("*"):
        if file.is_file():
            path = folder / file.relative_to(model.folder)
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(file)
    (weights,) = folder.glob("*.safetensors")
    weights.unlink()
    if damage == "cut weights":
        weights.write_bytes((model.folder / weights.name).read_bytes()[:100_000])
    if damage == "no json":
        (folder / "modules.json").unlink()
        (folder / "modules.json").write_text("{")
    with pytest.raises(ModelCorrupt, match="download it again") as raised:
        TextModel(folder).embed(["a"])
    assert "\n" not in str(raised.value)


# The command


@needs_model
def test_the_command_blends_and_keeps_the_vectors(catalog: Path) -> None:
    words = ["find", "drowning at sea", "--lyrics-weight", "0.9", "--catalog", str(catalog)]
    done = CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["hits"][0]["title"] == "sea"
    assert lyrics_path(catalog).exists()
    table = CliRunner().invoke(cli, words, catch_exceptions=False).stdout.splitlines()
    assert "lyrics" in table[0].split()
    assert table[1].endswith("sea")


@needs_model
def test_lyrics_of_seeds_in_the_catalog_and_outside(catalog: Path, tmp_path: Path) -> None:
    upload = tmp_path / "upload.mp3"
    upload.touch()
    (tmp_path / "upload.lrc").write_text("[00:01.00]The boat sank in the storm, sailors drowned")
    near = answer(0.99, 0.98, 0.97, 0.96)
    with Recommender.open(catalog) as recommender:
        for queries, first in (([str(upload)], 1), (["Band - heart", "none"], 3)):
            blended_answer = with_lyrics(
                recommender, near, queries, weight=1.0, text_model=None, n=2
            )
            assert blended_answer[0].id == first
        with pytest.raises(QueryError, match="no lyrics of a song"):
            with_lyrics(recommender, near, ["4"], weight=1.0, text_model=None, n=2)


@needs_model
def test_a_library_without_lyrics_says_so(tmp_path: Path) -> None:
    path = plant(tmp_path, TAGS, [Planted("a")])
    words = ["find", "sad", "--lyrics-weight", "0.3", "--catalog", str(path)]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (1, "")
    assert re.search(r"no lyrics were found: .*\.lrc", done.stderr)
