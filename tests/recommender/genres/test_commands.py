from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint
from indexer.models.checkpoint import ModelCard
from indexer.models.network import NetworkConfig, build_network
from tests import sounds
from tests.catalogs import DIM, Planted, plant
from tests.recommender.genres.conftest import TAGS, voices

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def run(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, library: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line as the shell would, beside the library."""
    monkeypatch.chdir(library.parent)
    return run


def test_genres_are_trained_reported_and_predicted(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, library: Path
) -> None:
    classifier = library.with_suffix(".genres")
    assert not classifier.exists()
    code, out, err = run("genres", "predict")
    assert (code, out) == (1, "")
    assert "`soundalike genres train` makes it" in err
    code, out, err = run("genres", "train")
    assert code == 0
    assert "36 tracks of 3 genres by 12 artists" in out
    assert "training on all tracks" in err
    assert classifier.exists()

    code, out, err = run("genres", "predict")
    assert err == ""
    assert out.splitlines()[0].split() == ["probability", "genre", "id", "track"]
    assert "X - Nameless one" in out
    answer = json.loads(run("genres", "predict", "--json")[1])["predictions"]
    assert [set(one) for one in answer] == [{"id", "name", "own_genre", "predictions"}] * 2
    sure, unsure = sorted((one["predictions"][0]["probability"], one["id"]) for one in answer)[::-1]
    level = (sure[0] + unsure[0]) / 2
    kept = json.loads(run("genres", "predict", "--at-least", level, "--json")[1])["predictions"]
    likely = [one["id"] for one in answer if one["predictions"][0]["probability"] >= level]
    assert [one["id"] for one in kept] == likely
    assert run("genres", "predict", "--at-least", 1)[1] == "no prediction of at least 1\n"
    code, out, _ = run("genres", "predict", "1", "2")
    assert out.startswith(
        "Jazz band 0 - Jazz 0 0 (its tag: Jazz) sounds like:\nprobability  genre\n"
    )
    assert run("genre", "1")[1] == run("genres", "predict", "1")[1]

    code, out, _ = run("genres", "report", "--png", tmp_path / "c.png")
    assert code == 0
    assert "genre (row), predicted as (column)" in out
    assert "moods     mellow" in out
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = run("genres", "report", "--png", tmp_path / "c.jpg")
    assert (code, out) == (1, "")
    assert "does not end in .png" in err
    answer = json.loads(run("genres", "report", "--json")[1])
    assert answer["evaluation"]["accuracy"] > 0.85
    assert [one["genre"] for one in answer["genres"]] == ["Jazz", "Rock", "Techno"]


def test_a_classifier_that_may_be_guessing_warns(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    names = np.random.default_rng(0).permutation(["Jazz"] * 15 + ["Rock"] * 9)
    rng = np.random.default_rng(1)
    tracks = [
        Planted(f"{number}", genre=genre, artist=f"{number}", vector=rng.normal(size=DIM).tolist())
        for number, genre in enumerate(names)
    ]
    catalog = plant(tmp_path, TAGS, tracks)
    for arguments in (("train",), ("report", "--json"), ("predict", "1")):
        code, _, err = run("genres", *arguments, "--catalog", catalog)
        assert code == 0
        assert err.count("is not shown to be better than chance") == 1
        assert "always naming the commonest genre has 0.625" in err


def test_labels_that_do_not_do_are_one_sentence(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    table = tmp_path / "one.csv"
    table.write_text("path,genre\n0001.mp3,Jazz\n0002.mp3,Rock\n")
    code, out, err = run("genres", "train", "--labels", table, "--out", tmp_path / "c.genres")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "has 1 track by 1 artist" in err
    assert not (tmp_path / "c.genres").exists()


def test_a_file_of_another_catalog_or_none_is_one_sentence(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "c.genres").write_bytes(b"RIFF and so on")
    code, out, err = run("genre", "1", "--classifier", tmp_path / "c.genres")
    assert (code, out) == (1, "")
    assert "damaged" in err
    assert run("genre", "1", "--classifier", "x", "--model", "y")[0] == 2


def test_a_name_with_control_characters_does_not_reach_the_terminal(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    wild = [
        track if number % 3 else type(track)(**{**vars(track), "title": "\x1b[31mred"})
        for number, track in enumerate(voices())
    ]
    catalog = plant(tmp_path, TAGS, wild)
    for arguments in (("genres", "train"), ("genres", "report"), ("genre", "1")):
        code, out, _ = run(*arguments, "--catalog", catalog)
        assert code == 0
        assert "\x1b" not in out
    assert "\\x1b[31mred" in out


def test_a_file_outside_the_catalog_is_predicted(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, catalog_path: Path
) -> None:
    """With the labels of a table over real sound; the upload has no tags to read."""
    table = tmp_path / "labels.csv"
    rows = [f"album {n // 6}/{n:02}.{s},{'low' if n % 2 else 'high'},a{n}" for n, s in _suffixes()]
    table.write_text("\n".join(["path,genre,artist", *rows]))
    code, _, err = run("genres", "train", "--catalog", catalog_path, "--labels", table)
    assert code == 0, err
    upload = sounds.write_audio(tmp_path / "upload.opus", sounds.music(3.5, seed=60))
    code, out, _ = run("genre", upload, "--catalog", catalog_path, "--json")
    assert code == 0
    (predicted,) = json.loads(out)["predictions"]
    assert (predicted["id"], predicted["name"]) == (None, "upload.opus")
    assert sum(one["probability"] for one in predicted["predictions"]) == pytest.approx(1, abs=1e-3)
    shutil.copy(upload, tmp_path / "text.mp3")
    (tmp_path / "text.mp3").write_text("no sound")
    code, out, err = run("genre", tmp_path / "text.mp3", "--catalog", catalog_path)
    assert (code, out) == (1, "")
    assert "text.mp3" in err


def _suffixes() -> list[tuple[int, str]]:
    kinds = ("wav", "flac", "mp3", "ogg", "opus", "m4a")
    return [(number, kinds[number % 6]) for number in range(12)]


def test_a_supervised_model_names_genres_without_a_catalog(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    config = NetworkConfig("residual", {"channels": [[8, 2]], "dim": 8, "n_tags": 2})
    network = build_network(config)
    card = ModelCard("mine", 8, ("noise", "notes"), config, FrontEnd(), "mean", "none", "a test")
    tensors = {key: value.numpy().astype(np.float16) for key, value in network.state_dict().items()}
    model = checkpoint.write(tmp_path / "mine.safetensors", tensors, card).path
    upload = sounds.write_audio(tmp_path / "upload.wav", sounds.music(3.5, seed=60))
    code, out, err = run("genre", upload, "--model", model)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["upload.wav sounds like:", "probability  genre"]
    assert sorted(line.split()[1] for line in lines[2:]) == ["noise", "notes"]
    code, out, err = run("genre", tmp_path / "none.wav", "--model", model)
    assert (code, out) == (1, "")
    assert "none.wav" in err
    assert run("genre", upload, "--model", "no-such-model")[0] == 1
