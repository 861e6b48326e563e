from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr
from safetensors.numpy import load_file, save_file

from indexer.analysis.track_analysis import analyse
from indexer.errors import ModelCorrupt, ModelMissing
from indexer.models.ensemble import (
    PROJECTIONS,
    Ensemble,
    ensemble_info,
    parse_parts,
    read_projection,
)
from indexer.models.registry import (
    available_models,
    import_model,
    load_model,
    model_info,
    verify_model,
)
from tests import sounds
from tests.parts import DIMS, write_part

if TYPE_CHECKING:
    from indexer.models.model import Model

COMBINATIONS = ["musicnn+mn04", "musicnn+fcn", "mn04+fcn", "musicnn+mn04+fcn"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(models))
    return models


@pytest.fixture(scope="module")
def all_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("parts")
    for number, name in enumerate(DIMS):
        write_part(models, name, seed=number)
    return models


@pytest.fixture(scope="module")
def model(all_parts: Path) -> Model:
    return Ensemble([load_model(all_parts / f"{name}.safetensors") for name in DIMS])


def song(seed: int, seconds: float = 30) -> np.ndarray:
    return sounds.music(seconds, sample_rate=32_000, channels=1, seed=seed)[0]


def test_parse_parts_splits_names_of_combinations() -> None:
    for name in COMBINATIONS:
        assert parse_parts(name) == tuple(name.split("+"))
    for name in (
        "musicnn",
        "ensemble",
        "mn04+musicnn",
        "mn04+mn04",
        "mn04+other",
        "mn04+",
        "+",
        "",
    ):
        assert parse_parts(name) == ()


@pytest.mark.parametrize("name", COMBINATIONS)
def test_there_is_a_projection_for_every_combination(name: str) -> None:
    parts = parse_parts(name)
    projection = read_projection(parts)
    assert {part: len(mean) for part, mean in projection.means.items()} == {
        part: DIMS[part] for part in parts
    }
    assert projection.axes.shape == (sum(DIMS[part] for part in parts), 192)
    np.testing.assert_allclose(projection.axes.T @ projection.axes, np.eye(192), atol=2e-3)
    assert all((deviation > 0).all() for deviation in projection.deviations.values())


def test_each_part_embeds_windows_of_its_own_rate_and_length(model: Model, all_parts: Path) -> None:
    window = song(1)
    low = soxr.resample(window, 32_000, 16_000, quality="HQ")
    pieces = {
        "musicnn": low.reshape(10, 48_000),
        "mn04": window.reshape(3, 320_000),
        "fcn": low[None, : 29 * 16_000],
    }
    vectors = []
    for name, windows in pieces.items():
        embedded, _ = load_model(all_parts / f"{name}.safetensors").embed_windows(windows)
        projection = read_projection(tuple(DIMS))
        standard = (embedded.mean(0) - projection.means[name]) / projection.deviations[name]
        vectors.append(standard / np.linalg.norm(standard))
    expected = np.concatenate(vectors) @ projection.axes / np.sqrt(3)
    embeddings, _ = model.embed_windows(window[None])
    assert embeddings.shape == (1, 192)
    np.testing.assert_allclose(embeddings[0], expected, atol=1e-5)
    assert np.linalg.norm(embeddings[0]) <= 1 + 1e-3


def test_a_tag_activation_is_the_mean_over_the_parts_that_have_it(
    model: Model, all_parts: Path
) -> None:
    window = song(2)
    assert model.info.tag_names == ("rock", "jazz", "sad", "piano", "x")
    _, activations = model.embed_windows(window[None])
    low = soxr.resample(window, 32_000, 16_000, quality="HQ")

    def tags(name: str, windows: np.ndarray) -> np.ndarray:
        return load_model(all_parts / f"{name}.safetensors").embed_windows(windows)[1].mean(0)

    rock, jazz, sad = tags("musicnn", low.reshape(10, 48_000))
    piano, jazz_too = tags("mn04", window.reshape(3, 320_000))
    sad_too, other, rock_too = tags("fcn", low[None, : 29 * 16_000])
    expected = [(rock + rock_too) / 2, (jazz + jazz_too) / 2, (sad + sad_too) / 2, piano, other]
    np.testing.assert_allclose(activations[0], expected, atol=1e-6)


def test_a_window_gives_the_same_bits_whatever_other_windows_are_given(model: Model) -> None:
    windows = np.stack([song(3), song(4)])
    together, _ = model.embed_windows(windows)
    for window, vector in zip(windows, together, strict=True):
        assert model.embed_windows(window[None])[0][0].tobytes() == vector.tobytes()


def test_silence_has_a_finite_embedding(model: Model) -> None:
    embeddings, activations = model.embed_windows(np.zeros((1, 30 * 32_000), np.float32))
    assert np.isfinite(embeddings).all()
    assert np.isfinite(activations).all()


def test_one_part_alone_is_refused_with_what_is_missing(folder: Path) -> None:
    with pytest.raises(ModelMissing) as caught:
        load_model("ensemble")
    assert str(caught.value) == (
        "an ensemble needs two or more of musicnn, mn04, fcn, and none is on this machine: "
        "run `soundalike model fetch musicnn`, or run `soundalike model import` with "
        "mn04_as_mAP_432.pt from release v0.0.1 of https://github.com/fschmid56/EfficientAT, or "
        "run `soundalike model import` with models/msd/fcn/best_model.pth from "
        "https://github.com/minzwon/sota-music-tagging-models"
    )
    write_part(folder, "mn04")
    with pytest.raises(ModelMissing, match=r"and only mn04 is on this machine: run .*best_model"):
        model_info("ensemble")
    with pytest.raises(ModelMissing, match=r"the model fcn is not .*best_model.pth"):
        verify_model("mn04+fcn")


def test_a_combination_stays_when_another_part_arrives(folder: Path) -> None:
    write_part(folder, "musicnn")
    write_part(folder, "mn04")
    two = model_info("ensemble")
    assert two.name == "musicnn+mn04"
    assert two == verify_model("ensemble") == load_model("ensemble").info
    write_part(folder, "fcn")
    three = model_info("ensemble")
    assert three.name == "musicnn+mn04+fcn"
    assert three.fingerprint != two.fingerprint
    assert model_info(two.name) == load_model(two.name).info == two
    assert [info.name for info in available_models()] == ["fcn", "mn04", "musicnn", "soundalike"]
    assert "none, mn04" in three.licence


def test_the_fingerprint_covers_parts_and_projection(folder: Path, tmp_path: Path) -> None:
    for name in ("mn04", "fcn"):
        write_part(folder, name)
    before = model_info("mn04+fcn").fingerprint
    write_part(folder, "fcn", seed=7)
    other_part = model_info("mn04+fcn").fingerprint
    write_part(folder, "fcn")
    assert model_info("mn04+fcn").fingerprint == before != other_part
    parts = ("mn04", "fcn")
    infos = [model_info(part) for part in parts]
    assert ensemble_info(infos, read_projection(parts)).fingerprint == before
    tensors = load_file(PROJECTIONS)
    tensors["fcn.mean"][3] += 0.01
    altered = tmp_path / "ensemble.safetensors"
    save_file(tensors, altered)
    other_projection = ensemble_info(infos, read_projection(parts, altered)).fingerprint
    assert other_projection not in (before, other_part)
    altered.write_bytes(b"cut")
    with pytest.raises(ModelCorrupt, match="install soundalike again"):
        read_projection(parts, altered)


def test_other_networks_under_the_names_of_parts_are_refused(folder: Path) -> None:
    write_part(folder, "mn04")
    path = write_part(folder, "musicnn").path
    path.rename(path.with_name("fcn.safetensors"))
    with pytest.raises(ModelCorrupt, match="holds the model musicnn"):
        load_model("mn04+fcn")
    path.with_name("fcn.safetensors").unlink()
    import_model(write_part(folder.parent, "mn04", seed=5).path, name="fcn", report=print)
    with pytest.raises(ModelCorrupt, match="has 384 numbers instead of 64"):
        model_info("mn04+fcn")


def test_damaged_parts_are_found(folder: Path) -> None:
    write_part(folder, "mn04")
    path = write_part(folder, "fcn").path
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    assert model_info("ensemble").name == "mn04+fcn"
    for read in (verify_model, load_model):
        with pytest.raises(ModelCorrupt, match=r"fcn.safetensors is damaged"):
            read("ensemble")


def test_describing_an_ensemble_loads_no_torch(folder: Path) -> None:
    write_part(folder, "mn04")
    write_part(folder, "fcn")
    code = (
        "import sys; from indexer.models.registry import model_info; "
        "assert model_info('ensemble').name == 'mn04+fcn'; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_files_of_any_length_are_analysed(model: Model, tmp_path: Path) -> None:
    vectors = []
    for seconds in (4, 31):
        file = sounds.write_audio(tmp_path / f"{seconds}.flac", sounds.music(seconds, seed=3))
        analysis = analyse(bytes(file), model, windows=3)
        assert analysis.windows == 1
        assert np.linalg.norm(analysis.embedding.astype(np.float64)) == pytest.approx(1, abs=1e-3)
        vectors.append(analysis.embedding.astype(np.float64))
    assert not np.allclose(vectors[0], vectors[1])


def test_the_published_networks_tell_songs_from_noise(
    teachers: Path, folder: Path, musicnn_models: Path
) -> None:
    import_model(teachers / "mn04_as_mAP_432.pt", report=print)
    import_model(teachers / "msd_fcn.pth", report=print)
    (folder / "musicnn.safetensors").write_bytes(
        (musicnn_models / "musicnn.safetensors").read_bytes()
    )
    model = load_model("ensemble")
    assert model.info.name == "musicnn+mn04+fcn"
    assert len(model.info.tag_names) == 200
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(30 * 32_000)).astype(np.float32)
    embeddings, activations = model.embed_windows([song(1), song(2), noise])
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    alike, different, different_too = (unit @ unit.T)[[0, 0, 1], [1, 2, 2]]
    assert alike > 0.8 > 0.4 > max(different, different_too)
    music = activations[:, model.info.tag_names.index("music")]
    assert music[:2].min() > 0.5 > music[2]
