from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.special
import soxr

from indexer.analysis.track_analysis import ALL_WINDOWS, analyse
from indexer.errors import ModelCorrupt, ModelMissing
from indexer.models import checkpoint
from indexer.models.ensemble import (
    Ensemble,
    joined_tags,
    parts_of,
    principal_axes,
    tag_votes,
)
from indexer.models.model import BATCH_WINDOWS, NetworkModel, PowerSpectra
from indexer.models.registry import load_model, model_info, verify_model
from tests import sounds
from tests.parts import DIMS, write_joined, write_part

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.models.checkpoint import ModelInfo
    from indexer.models.model import Model, Waveforms


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder with models: of the shipped names, there are those that a test writes."""
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setattr("indexer.models.registry.SHIPPED", tmp_path / "none")
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(models))
    return models


@pytest.fixture
def joined(folder: Path) -> ModelInfo:
    infos = [write_part(folder, part) for part in DIMS]
    return write_joined(folder, infos, every={"musicnn": 2}, pieces={"mn04": 1})


@pytest.fixture(scope="module")
def default() -> Model:
    return load_model()


def windows_of(seed: int, count: int = 5, *, noise: float = 0.0) -> Waveforms:
    sound = sounds.music(3 * count, sample_rate=32_000, channels=1, seed=seed)[0]
    sound = sound + noise * np.random.default_rng(seed).standard_normal(len(sound))
    low = soxr.resample(sound, 32_000, 16_000, quality="HQ")
    return {
        32_000: sound.reshape(count, -1).astype(np.float32),
        16_000: low.reshape(count, -1).astype(np.float32),
    }


def embedding(model: Model, waveforms: Waveforms) -> np.ndarray:
    return model.pool([model.embed(waveforms)])[0]


def test_an_embedding_is_the_projection_of_the_networks_unit_vectors(
    folder: Path, joined: ModelInfo
) -> None:
    model = load_model("joined")
    assert isinstance(model, Ensemble)
    assert model.info == model_info("joined") == verify_model("joined") == joined
    assert model.sample_rates == (16_000, 32_000)
    waveforms = windows_of(1, 7)
    spectra = PowerSpectra(waveforms)
    _, tensors = checkpoint.read(joined.path)
    vectors = []
    for part in parts_of(joined.network):
        network = load_model(part.name)
        assert isinstance(network, NetworkModel)
        assert (part.every, part.pieces == 1) == (1 + (part.name == "musicnn"), part.name == "mn04")
        features = network.embed_spectra(spectra, every=part.every, pieces=part.pieces)
        vector, _ = network.pool([features])
        vectors.append(vector)
    expected = np.concatenate(vectors) @ tensors["axes"].astype(np.float32)
    found = embedding(model, waveforms)
    assert found.shape == (16,)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_tag_has_the_mean_log_odds_of_the_networks_that_have_it(
    folder: Path, joined: ModelInfo
) -> None:
    assert joined.tag_names == ("rock", "jazz", "sad", "piano", "x")
    waveforms = windows_of(2, noise=0.05)
    model = load_model("joined")
    _, activations = model.pool([model.embed(waveforms)])
    musicnn = load_model("musicnn").embed({16_000: waveforms[16_000][::2]}).probabilities
    mn04, fcn = (load_model(name).embed(waveforms).probabilities for name in ("mn04", "fcn"))
    networks = np.concatenate([musicnn, mn04, fcn]).astype(np.float64)
    rock, jazz, sad, piano, jazz_too, sad_too, other, rock_too = scipy.special.logit(
        networks.clip(1e-7, 1 - 1e-7)
    )
    log_odds = [(rock + rock_too) / 2, (jazz + jazz_too) / 2, (sad + sad_too) / 2, piano, other]
    np.testing.assert_allclose(activations, scipy.special.expit(log_odds), atol=1e-6)


def test_votes_average_over_those_that_have_a_tag() -> None:
    networks = [("a", "b"), ("b", "c"), ("b",)]
    names = joined_tags(networks)
    assert names == ("a", "b", "c")
    third = pytest.approx(1 / 3)
    assert tag_votes(networks, names).tolist() == [
        [1, 0, 0, 0, 0],
        [0, third, third, 0, third],
        [0, 0, 0, 1, 0],
    ]


def test_axes_are_orthonormal_also_of_few_rows() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((40, 10)).astype(np.float32) * np.linspace(3, 0.1, 10)
    axes = principal_axes(rows, 10)
    energies = np.square(rows @ axes).sum(0)
    assert (np.diff(energies) < 0).all()
    for count in (4, 8):
        some = principal_axes(rows[:6], count)
        np.testing.assert_allclose(some.T @ some, np.eye(count), atol=1e-5)


def test_the_default_model_embeds_a_track_the_same_whatever_came_before(
    default: Model,
) -> None:
    assert parts_of(default.info.network)
    waveforms = windows_of(3)
    first = embedding(default, waveforms)
    assert np.linalg.norm(first.astype(np.float64)) == pytest.approx(1, abs=1e-6)
    embedding(default, windows_of(4, 12))
    assert embedding(default, waveforms).tobytes() == first.tobytes()
    backwards = dict(reversed(waveforms.items()))
    assert embedding(default, backwards).tobytes() == first.tobytes()
    with pytest.raises(ValueError, match="no waveforms at 32000 Hz"):
        default.embed({16_000: waveforms[16_000]})


def test_the_default_model_tells_songs_from_noise(default: Model) -> None:
    hiss = {rate: 0 * sound for rate, sound in windows_of(1).items()}
    rng = np.random.default_rng(0)
    hiss = {
        rate: (0.1 * rng.standard_normal(sound.shape)).astype(np.float32)
        for rate, sound in hiss.items()
    }
    found = [default.pool([default.embed(one)]) for one in (windows_of(1), windows_of(2), hiss)]
    one, other, noise = (vector for vector, _ in found)
    assert one @ other > 0.2 + max(one @ noise, other @ noise)
    music = [activations[default.info.tag_names.index("music")] for _, activations in found]
    assert min(music[:2]) > 0.5 > music[2]


def test_all_of_a_track_in_batches_is_near_its_spread_windows(
    default: Model, tmp_path: Path
) -> None:
    """Of a sound that does not change, every choice of windows has nearly one embedding."""
    rate = 16_000
    bar = sounds.music(6, sample_rate=rate, channels=1, seed=5)
    file = sounds.write_audio(tmp_path / "loop.wav", np.tile(bar, 15), sample_rate=rate)
    spread = analyse(bytes(file), default)
    whole = analyse(bytes(file), default, windows=ALL_WINDOWS)
    assert (spread.windows, whole.windows) == (BATCH_WINDOWS, 30)
    assert float(spread.embedding.astype(np.float64) @ whole.embedding.astype(np.float64)) > 0.98


def test_files_of_any_length_are_analysed(default: Model, tmp_path: Path) -> None:
    for seconds, windows in ((1.2, 1), (4, 1), (31, 10)):
        file = sounds.write_audio(tmp_path / f"{seconds}.flac", sounds.music(seconds, seed=3))
        analysis = analyse(bytes(file), default)
        assert analysis.windows == windows
        assert np.linalg.norm(analysis.embedding.astype(np.float64)) == pytest.approx(1, abs=1e-3)


def assert_refused(kind: type[Exception], sentence: str) -> None:
    for read in (load_model, verify_model):
        with pytest.raises(kind, match=sentence) as caught:
            read("joined")
        assert len(str(caught.value).splitlines()) == 1


def test_a_network_that_is_missing_is_named(folder: Path, joined: ModelInfo) -> None:
    (folder / "mn04.safetensors").unlink()
    assert_refused(ModelMissing, r"the model mn04 is not on this machine")


def test_another_version_of_a_network_is_refused(folder: Path, joined: ModelInfo) -> None:
    write_part(folder, "fcn", seed=7)
    assert_refused(
        ModelCorrupt,
        r"fcn.safetensors is another version of the network fcn than the model joined is made of",
    )


@pytest.mark.parametrize("part", ["joined", "fcn"])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_files_are_refused(folder: Path, joined: ModelInfo, part: str, damage: str) -> None:
    path = folder / f"{part}.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content if damage == "changed" else content[:-1000])
    sentence = "damaged" if damage == "changed" else "is not an intact model file"
    assert_refused(ModelCorrupt, rf"{part}.safetensors {sentence}|{part}.safetensors is {sentence}")


@pytest.mark.parametrize("shape", [{"mean": (468,)}, {"axes": (467, 16)}, {"axes": (468, 15)}])
def test_axes_that_do_not_fit_the_networks_are_refused(
    folder: Path, joined: ModelInfo, shape: dict[str, tuple[int, ...]]
) -> None:
    _, tensors = checkpoint.read(joined.path)
    changed = tensors | {name: np.ones(size, np.float16) for name, size in shape.items()}
    checkpoint.write(joined.path, changed, joined.card)
    with pytest.raises(ModelCorrupt, match=r"the weights in .*joined.safetensors do not fit"):
        load_model("joined")


@pytest.mark.parametrize(
    "sizes", [{}, {"parts": [{"name": "fcn"}]}, {"parts": [{"name": "fcn", "weight": 1}]}]
)
def test_a_description_of_another_form_is_refused(
    folder: Path, joined: ModelInfo, sizes: dict[str, object]
) -> None:
    _, tensors = checkpoint.read(joined.path)
    network = checkpoint.NetworkConfig("ensemble", sizes)
    checkpoint.write(joined.path, tensors, _with_network(joined, network))
    assert_refused(ModelCorrupt, "does not name its networks as this version of soundalike does")


def _with_network(info: ModelInfo, network: checkpoint.NetworkConfig) -> checkpoint.ModelCard:
    return checkpoint.ModelCard(**{**vars(info.card), "network": network})


def test_a_file_of_another_format_is_refused(folder: Path, joined: ModelInfo) -> None:
    content = joined.path.read_bytes()
    assert content.count(b"soundalike model 2") == 1
    joined.path.write_bytes(content.replace(b"soundalike model 2", b"soundalike model 1"))
    assert_refused(ModelCorrupt, r"not a model file of this version .*format is soundalike model 1")


def test_the_fingerprint_covers_networks_and_axes(folder: Path, joined: ModelInfo) -> None:
    infos = [model_info(part) for part in DIMS]
    setting = {"every": {"musicnn": 2}, "pieces": {"mn04": 1}}
    assert write_joined(folder, infos, **setting).fingerprint == joined.fingerprint
    others = {
        write_joined(folder, infos, every={"musicnn": 2}).fingerprint,
        write_joined(folder, infos, pieces={"mn04": 1}).fingerprint,
        write_joined(folder, infos[:2], **setting).fingerprint,
        write_joined(folder, infos, dim=15, **setting).fingerprint,
        write_joined(
            folder, [*infos[:2], write_part(folder, "fcn", seed=7)], **setting
        ).fingerprint,
    }
    assert len(others | {joined.fingerprint}) == 6
