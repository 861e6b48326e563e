from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from indexer.errors import UnknownTrack
from recommender.__main__ import main
from recommender.engine import Recommender
from recommender.retrieval.ranking import Ranking
from tests import sounds
from tests.catalogs import Planted, plant
from tests.parts import write_part
from tests.waiting import LIMIT_S, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_similar_and_show_print_tracks(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path
) -> None:
    code, out, err = run("similar", "song 3", "-n", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "sounds like Band 0 - Song 3:"
    assert lines[1].split() == ["score", "cosine", "id", "track"]
    code, out, _ = run("similar", 4, "--json", "-n", 1)
    answer = json.loads(out)
    assert answer["seed"] == "Band 0 - Song 3"
    assert set(answer) == {"seed", "neighbours", "note"}
    assert set(answer["neighbours"][0]) == {
        *("id", "key", "title", "artist", "cosine", "score", "duplicates", "why")
    }
    code, out, _ = run("show", "song 3")
    shown = dict(line.split(maxsplit=1) for line in out.splitlines()[:3])
    assert shown == {"id": "4", "key": "album 0/03.ogg", "path": shown["path"]}
    assert re.search(r"^added +20\d\d-\d\d-\d\d \d\d:\d\d$", out, re.M)
    assert re.search(r"^bit rate +\d+ kbit/s$", out, re.M)
    assert re.search(r"^sample rate +44.1 kHz$", out, re.M)
    assert re.search(r"^loudness +-\d+\.\d LUFS$", out, re.M)
    assert "probability  tag" in out
    known = json.loads(run("show", 4, "--json")[1])
    assert (known["title"], known["codec"], len(known["tags"])) == ("Song 3", "vorbis", 8)


def test_a_file_outside_the_catalog_is_a_seed(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path, tmp_path: Path
) -> None:
    upload = sounds.write_audio(tmp_path / "upload.opus", sounds.music(3.5, seed=60))
    code, out, _err = run("similar", upload, "-n", 3)
    assert code == 0
    assert len(out.splitlines()) == 5
    assert json.loads(run("status", "--json")[1])["present"] == 12


def test_add_prints_the_neighbours_of_each_upload_and_keeps_it(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path, tmp_path: Path
) -> None:
    upload = sounds.write_audio(tmp_path / "upload.mp3", sounds.music(3.2, seed=61))
    bad = sounds.text_file(tmp_path / "bad.mp3")
    code, out, err = run("add", upload, bad, "-n", 2)
    assert code == 1
    assert out.startswith("sounds like upload:")
    assert "bad.mp3" in err
    answer = json.loads(run("add", upload, bad, "-n", 2, "--json")[1])
    assert [one["seed"] for one in answer["answers"]] == ["upload"]
    assert "bad.mp3" in answer["failures"][0]
    code, out, _ = run("add", upload, "--key", "user/7", "-n", 1)
    assert code == 0
    assert run("show", "user/7")[0] == 0
    other = sounds.write_audio(tmp_path / "other.mp3", sounds.music(3.9, seed=62))
    code, out, err = run("add", other, "--key", "user/7")
    assert (code, out) == (1, "")
    assert "already names another track" in err
    assert json.loads(run("status", "--json")[1])["present"] == 13
    assert json.loads(run("failures", "--json")[1])["failures"][0]["reason"] == "not audio"


def test_names_that_are_not_utf_8_are_names(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path, tmp_path: Path
) -> None:
    sound = sounds.write_audio(tmp_path / "sound.flac", sounds.music(3.3, seed=63))
    name = os.fsdecode(sounds.copy_as(sound, tmp_path, b"caf\xe9.flac"))
    code, out, _err = run("similar", name, "--json")
    assert (code, json.loads(out)["seed"]) == (0, "caf\\xe9.flac")
    assert run("add", name, "-n", 1)[0] == 0
    assert run("show", name)[0] == 0
    assert "no track fits" in run("similar", "caf\udce9")[2]
    assert "not valid Unicode" in run("add", sound, "--key", "\udcff")[2]
    assert "there is no catalog" in run("status", "--catalog", "caf\udce9.db")[2]


def test_a_removed_file_is_a_seed_like_any_other(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path, original_songs: Path
) -> None:
    assert run("remove", "song 3")[0] == 0
    code, out, _ = run("similar", original_songs / "album 0" / "03.ogg", "-n", 2)
    assert code == 0
    assert out.startswith("sounds like 03.ogg:")
    assert "soundalike add FILE" in run("similar", 4)[2]


def test_remove_forgets_and_naming_the_file_brings_it_back(
    run: Callable[..., tuple[int, str, str]],
    catalog_path: Path,
    original_songs: Path,
) -> None:
    assert run("remove", "song 3", "5")[0] == 0
    assert json.loads(run("status", "--json")[1])["present"] == 10
    _code, out, _ = run("index", original_songs, "--json")
    assert json.loads(out)["new"] == 0
    assert json.loads(run("status", "--json")[1])["present"] == 10
    assert run("add", original_songs / "album 0" / "03.ogg")[0] == 0
    assert run("show", 4)[0] == 0
    assert json.loads(run("status", "--json")[1])["present"] == 11


def test_index_counts_what_was_new_and_what_failed(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    sounds.write_audio(folder / "a.wav", sounds.music(3))
    sounds.text_file(folder / "b.mp3")
    (folder / "cover.jpg").touch()
    code, out, err = run("index", folder, "--workers", 1)
    assert (code, err) == (0, "")
    counts = "1 new, 0 changed, 0 moved, 0 missing, 1 failed, 1 other files passed over in "
    assert out.startswith(counts)
    assert run("index")[1].startswith("0 new, 0 changed, 0 moved, 0 missing, 0 failed, 1 unchanged")
    assert run("verify")[:2] == (0, "catalog.db is sound\n")
    assert run("rebuild")[1] == "1 vectors in the index\n"
    code, out, _err = run("failures")
    assert "not audio" in out
    for file in folder.iterdir():
        file.unlink()
    code, out, err = run("index")
    assert "0 missing" in out
    assert "is empty (--empty-is-gone if it really is): its 1 track is left as it is" in err
    assert run("index", "--empty-is-gone")[1].startswith("0 new, 0 changed, 0 moved, 1 missing")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the address space")
def test_a_file_may_take_as_much_memory_as_it_is_given(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    sounds.write_large_cover(tmp_path / "cover.m4a", size=150 << 20)
    one = ("index", tmp_path, "--workers", 1)
    assert "1 failed" in run(*one, "--memory", 64)[1]
    (failure,) = json.loads(run("failures", "--json")[1])["failures"]
    assert failure["reason"] == "out of memory"
    assert "--memory" in failure["message"]
    assert run(*one, "--retry-failed")[1].startswith("1 new")


def test_an_album_is_a_filter_and_a_cap_and_the_seed_can_be_listed(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    names = ["First", "First", "First", "Second", "Second", "Third"]
    plant(tmp_path, ["rock"], [Planted(f"Song {n}", album=name) for n, name in enumerate(names)])

    def albums(*options: object) -> list[str]:
        out = run("similar", 1, "--json", *options)[1]
        return sorted(names[one["id"] - 1] for one in json.loads(out)["neighbours"])

    assert albums() == ["First", "First", "Second", "Second", "Third"]
    assert albums("--per-album", 1) == ["First", "Second", "Third"]
    assert albums("--album", "second", "--album", "THIRD") == ["Second", "Second", "Third"]
    found = json.loads(run("similar", 1, "--include-same", "-n", 1, "--json")[1])["neighbours"]
    assert [(one["id"], round(one["cosine"], 3)) for one in found] == [(1, 1.0)]


def test_matching_seconds_are_named_when_asked_for(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path
) -> None:
    found = json.loads(run("similar", 4, "-n", 1, "--why-windows", "--json")[1])["neighbours"]
    windows = found[0]["why"]["windows"]
    assert 0 <= windows["first_s"] <= 7.3
    assert 0 < windows["cosine"] <= 1.001


def test_debug_shows_the_traceback(
    run: Callable[..., tuple[int, str, str]],
    catalog_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run("similar", "nothing")[0] == 1
    monkeypatch.setattr(sys, "argv", ["soundalike", "--debug", "similar", "nothing"])
    with pytest.raises(UnknownTrack, match="no track fits"):
        main()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("similar", "song 3"), 1, "there is no catalog at catalog.db"),
        (("status", "--catalog", "no/where.db"), 1, "there is no catalog at no/where.db"),
        (("index", "nowhere"), 1, "nowhere cannot be reached"),
        (("index",), 1, "no folders yet"),
        (("index", ".", "--catalog", "no/where.db"), 1, "does not exist"),
        (("index", ".", "--model", "nonsense"), 1, "is not on this machine"),
        (("similar",), 2, "Missing argument"),
        (("similar", "1", "--year", "nineties"), 2, "is no range"),
        (("similar", "1", "--year", "-"), 2, "is no range"),
        (("similar", "1", "--duration", "5x-"), 2, "is no range"),
        (("similar", "1", "--duration", "2m"), 2, "is no range"),
        (("similar", "1", "--added-since", "lately"), 2, "is no date"),
        (("similar", "1", "--added-since", "7"), 2, "is no date"),
        (("similar", "1", "--tag", "rock>1.2.3"), 2, "is no tag with a level"),
        (("similar", "1", "--strategy", "worst"), 2, "Invalid value"),
        (("similar", "1", "--min-score", "2"), 2, "Invalid value"),
        (("index", ".", "--stop-after", "soon"), 2, "is no duration"),
        (("index", ".", "--windows", "0"), 2, "not in the range"),
        (("index", ".", "--thorough", "--windows", "3"), 2, "leave --windows out"),
        (
            ("index", ".", "--dask", "tcp://a:1", "--workers", "2"),
            2,
            "`dask worker` its --nthreads",
        ),
        (("add", "."), 2, "is a folder"),
        (("index", ".", "--timeout", "nan"), 2, "not a valid integer"),
    ],
)
def test_errors_are_one_sentence(
    run: Callable[..., tuple[int, str, str]],
    arguments: tuple[str, ...],
    code: int,
    sentence: str,
) -> None:
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert sentence in err
    assert "Traceback" not in err
    assert code == 2 or len(err.splitlines()) == 1


def test_questions_without_an_answer(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path
) -> None:
    code, out, err = run("similar", "band 1")
    assert (code, out) == (1, "")
    assert "7 tracks fit" in err
    assert "Band 1 - Song 4" in err
    assert "no track fits 'nothing'" in run("similar", "nothing")[2]
    assert "n is 0" in run("similar", "4", "-n", 0)[2]
    assert "both liked and disliked" in run("similar", "4", "5", "--dislike", "song 3")[2]
    assert "no tag 'rokc': did you mean rock" in run("similar", "4", "--tag", "rokc")[2]
    assert "from 1999 to 1990" in run("similar", "4", "--year", "1999-1990")[2]
    assert "'H' is no musical key" in run("similar", "4", "--musical-key", "H")[2]
    code, out, err = run("similar", "4", "--artist", "nobody")
    assert code == 0
    assert out.splitlines()[1].split() == ["score", "cosine", "id", "track"]
    assert err == (
        "soundalike: none of the 10 asked for: the filter (artist nobody) keeps none of 12\n"
    )
    answer = json.loads(run("similar", "4", "--artist", "nobody", "--json")[1])
    assert (answer["neighbours"], answer["note"]) == ([], err.removeprefix("soundalike: ").strip())


def test_similar_takes_likes_dislikes_filters_and_a_ranking(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path
) -> None:
    def found(*options: object) -> list[int]:
        code, out, err = run("similar", *options, "--json", "--no-collapse")
        assert (code, err) == (0, "")
        return [one["id"] for one in json.loads(out)["neighbours"]]

    assert sorted(found("1", "song 1", "--dislike", "3", "-n", 20)) == list(range(4, 13))
    assert sorted(found("1", "--artist", "band 1", "--artist", "BAND 2")) == list(range(5, 13))
    assert sorted(found("1", "--duration", "-6")) == [2]
    assert sorted(found("1", "--duration", "10s-0m13s")) == [7, 8, 9]
    assert sorted(found("1", "--duration", "0:10-0:13")) == [7, 8, 9]
    assert found("1", "--year", "1990-") == found("1", "--tempo", "1-2") == []
    assert 0 < len(found("1", "--tag", "rock")) < 10
    assert found("1", "--added-since", "2999-01-01") == []
    assert len(found("1", "--added-since", "1d")) == 10
    assert len(found("1", "--tag", "rock>0", "--exclude", "2", "-n", 20)) == 10
    assert 2 not in found("1", "--exclude", "album 0/01.flac", "-n", 20)
    assert len(found("1", "--per-artist", 1)) == 3
    assert len(found("1", "--min-score", 0.99)) < 5
    best = found("1", "12", "--strategy", "best-score", "-n", 10)
    assert set(best) == set(range(2, 12))
    assert len(found("1", "--diversity", 0.5, "-n", 5)) == 5
    with Recommender.open(catalog_path) as recommender:
        ranking = Ranking(collapse=False, local_scaling=True)
        tamed = [one.id for one in recommender.similar_to_track(1, 11, ranking=ranking)]
    assert found("1", "--local-scaling", "-n", 11) == tamed != found("1", "-n", 11)
    assert "like Band 0 - Song 0" in run("similar", "1", "12", "--why", "--no-collapse")[1]


def test_a_missing_model_is_one_sentence(
    run: Callable[..., tuple[int, str, str]],
    catalog_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(tmp_path / "no models"))
    sounds.write_audio(tmp_path / "upload.wav", sounds.music(3))
    code, _out, err = run("index", tmp_path, "--model", "mine")
    assert code == 1
    assert "the model mine is not on this machine: run `soundalike model list`" in err
    assert run("similar", 4)[0] == 0


def test_lyrics_without_a_text_model_are_one_sentence(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, out, err = run("similar", 4, "--lyrics-weight", 0.3, "--text-model", tmp_path / "none")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1


def test_damaged_catalogs_are_named(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path
) -> None:
    (catalog_path.parent / "catalog.vectors").write_bytes(b"nonsense")
    code, _out, err = run("verify")
    assert code == 1
    assert "soundalike rebuild" in err
    catalog_path.write_text("not a database " * 20)
    assert "is not a database" in run("status")[2]


def test_control_characters_do_not_reach_the_terminal(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(2):
        sounds.write_audio(
            folder / f"{number}\x1b[31m.flac",
            sounds.music(3 + 2 * number, seed=number),
            tags={"title": "[bold]Red\x1b[31m", "artist": "\u202eB"},
        )
    assert run("index", folder)[0] == 0
    for arguments in (
        ("similar", "1"),
        ("similar", "1", "--json"),
        ("similar", "1", "--artist", "\x1b[2J", "--why"),
        ("show", "1"),
        ("status",),
    ):
        _code, out, err = run(*arguments)
        assert "\x1b" not in out + err
        assert "\u202e" not in out + err
    assert "[bold]Red" in run("show", "1")[1]


@pytest.mark.slow
@pytest.mark.parametrize("module", ["numpy", "recommender.commands.search"])
def test_an_interrupt_while_modules_are_imported_is_one_sentence(module: str) -> None:
    code = (
        "import runpy, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.argv = ['soundalike', 'similar', '1']\n"
        "runpy.run_module('recommender', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "soundalike: interrupted"


@pytest.mark.parametrize("arguments", [("status",), ("similar", "1", "--json")])
def test_a_reader_that_has_gone_ends_a_command_without_a_word(
    catalog_path: Path, arguments: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "recommender", *arguments, "--catalog", str(catalog_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait()) == (b"", 141)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_cleanly_and_prints_how_to_go_on(
    tmp_path: Path, original_songs: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "recommender", "index", str(original_songs), "--thorough"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ) as process:
        wait_for_file(process, tmp_path, "catalog.db-wal")
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + number, err
    assert "run the same command to go on" in err
    assert "Traceback" not in err
    assert "new" in out


def test_a_damaged_model_ends_the_run_before_any_file_is_blamed(
    run: Callable[..., tuple[int, str, str]],
    catalog_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    path = write_part(models, "fcn", name="mine").path
    content = bytearray(path.read_bytes())
    content[-100] ^= 0xFF
    path.write_bytes(content)
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(models))
    sounds.write_audio(tmp_path / "upload.wav", sounds.music(3))
    code, out, err = run("index", tmp_path, "--model", "mine")
    assert (code, out) == (1, "")
    assert "damaged" in err
    assert run("failures")[1] == "no failures\n"
