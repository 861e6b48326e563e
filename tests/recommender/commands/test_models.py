"""`soundalike model`, and indexing with models other than the default."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.library import Library
from indexer.models.registry import DEFAULT_MODEL, model_info
from recommender.engine import Recommender
from tests import sounds
from tests.parts import write_joined, write_part

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(folder))
    return folder


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Three songs that even networks with random weights tell apart."""
    folder = tmp_path / "songs"
    folder.mkdir()
    noise = 0.2 * np.random.default_rng(0).standard_normal((1, 6 * 44_100))
    tone = 0.2 * np.sin(2 * np.pi * 3000 / 44_100 * np.arange(8 * 44_100))[np.newaxis]
    for number, sound in enumerate([sounds.music(4), noise, tone]):
        sounds.write_audio(
            folder / f"{number}.flac",
            sound.astype(np.float32),
            tags={"title": f"Song {number}", "artist": "Band"},
        )
    return folder


@pytest.mark.slow
def test_a_catalog_keeps_its_model_until_another_is_named(
    run: Run, folder: Path, songs: Path
) -> None:
    parts = [write_part(folder, part, name=f"my-{part}") for part in ("mn04", "fcn")]
    write_joined(folder, parts, name="two")
    code, out, err = run("index", songs, "--model", "two", "--workers", 1)
    assert (code, err) == (0, "")
    assert "3 new" in out
    code, out, _err = run("similar", "song 0", "-n", 2, "--json")
    assert code == 0
    assert len(json.loads(out)["neighbours"]) == 2
    with Recommender.open("catalog.db") as recommender:
        assert (recommender.model.name, recommender.model.dim) == ("two", 16)
        assert recommender.model.tag_names == ("piano", "jazz", "sad", "x", "rock")
        vector = recommender.analyse(songs / "2.flac").embedding
        stored = recommender.vectors([recommender.track("song 2").id])[0]
        assert vector is not None
        np.testing.assert_allclose(vector.astype(np.float32), stored, atol=1e-3)

    code, out, _err = run("index")
    assert code == 0
    assert "3 unchanged" in out
    assert active_model() == ("two", 12)
    assert run("index", "--model", DEFAULT_MODEL, "--workers", 1)[0] == 0
    assert active_model() == (DEFAULT_MODEL, 12)
    # A network of the model in use that has gone is one sentence, and no answer.
    assert run("index", "--model", "two", "--workers", 1)[0] == 0
    parts[0].path.unlink()
    new = sounds.write_audio(folder.parent / "new.flac", sounds.music(5, seed=9))
    code, out, err = run("similar", new)
    assert (code, out) == (1, "")
    assert "my-mn04" in err
    assert len(err.splitlines()) == 1


def active_model() -> tuple[str, int]:
    with closing(Library.open_for_writing("catalog.db")) as library:
        active = library.catalog.active_model()
    assert active is not None
    return active.name, active.windows


def test_indexing_with_the_file_of_a_model(run: Run, folder: Path, songs: Path) -> None:
    outside = folder.parent / "elsewhere"
    outside.mkdir()
    info = write_part(outside, "fcn", name="mine")
    code, out, _err = run("index", songs, "--model", info.path, "--workers", 1)
    assert code == 0
    assert "3 new" in out
    assert model_info("mine").fingerprint == info.fingerprint
    info.path.unlink()
    code, out, _err = run("index")
    assert code == 0
    assert "3 unchanged" in out


def test_importing_and_listing(run: Run, folder: Path, tmp_path: Path) -> None:
    code, out, err = run("model", "import", write_part(tmp_path, "mn04", name="mine").path)
    assert (code, out) == (0, "mine is ready (384 dimensions, 2 tags)\n")
    assert "stored the model mine" in err
    code, out, err = run("model", "list", "--json")
    assert code == 0
    installed = json.loads(out)["installed"]
    assert {one["name"]: one["origin"] for one in installed} == {
        "fcn": "shipped",
        "mine": "imported",
        "mn04": "shipped",
        "musicnn": "shipped",
        "soundalike": "shipped",
    }
    code, out, _err = run("model", "list")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "imported" in lines["mine"]
    assert "192" in lines["soundalike"]


def test_a_shipped_model_is_listed_and_the_shadowed_file_is_named(run: Run, folder: Path) -> None:
    own = write_part(folder, "fcn", name=DEFAULT_MODEL)
    code, out, err = run("model", "list")
    assert code == 0
    (line,) = (line for line in out.splitlines() if line.startswith(DEFAULT_MODEL))
    assert "shipped" in line
    assert f"{own.path} is not used: a model shipped with soundalike has its name" in err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not a model", "not an intact model file"),
        (b"", "not an intact model file"),
        (None, "there is no model file"),
    ],
)
def test_bad_files_are_one_sentence(
    run: Run, folder: Path, content: bytes | None, sentence: str
) -> None:
    file = folder.parent / "model.pt"
    if content is not None:
        file.write_bytes(content)
    for arguments in (("model", "import", file), ("index", ".", "--model", file)):
        code, out, err = run(*arguments)
        assert (code, out) == (1, "")
        assert sentence in err
        assert len(err.splitlines()) == 1
    assert list(folder.iterdir()) == []
