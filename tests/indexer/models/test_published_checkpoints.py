"""Converted checkpoints give the outputs of independent loaders of the same files."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from indexer.errors import ModelCorrupt, ModelError, ModelMissing
from indexer.models import efficientat, fcn
from indexer.models.published_checkpoints import FCN, MN04, convert_checkpoint
from indexer.models.registry import available_models, import_model, load_model, origin

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

FILES = {"mn04": "mn04_as_mAP_432.pt", "fcn": "msd_fcn.pth"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    models = tmp_path / "models"
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(models))
    return models


def loader(teachers: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, teachers / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sound(samples: int, rate: int) -> np.ndarray:
    """A tone that comes and goes, a sweep, noise, and some silence."""
    rng = np.random.default_rng(3)
    t = np.arange(samples) / rate
    wave = 0.3 * np.sin(2 * np.pi * 220 * t) * (np.sin(2 * np.pi * 2 * t) > 0)
    wave += 0.2 * np.sin(2 * np.pi * (100 + 300 * t) * t) + 0.02 * rng.standard_normal(samples)
    wave[-samples // 10 :] = 0.0
    return wave.astype(np.float32)


def test_mn04_equals_an_independent_loader(teachers: Path, folder: Path) -> None:
    import_model(teachers / FILES["mn04"], report=print)
    model = load_model("mn04")
    wave = sound(320_000, 32_000)
    embeddings, activations = model.embed_windows(wave[None])
    other = loader(teachers, "mn04")
    expected, probabilities, names = other.embed(wave, 32_000)
    assert model.info.dim == 384
    np.testing.assert_allclose(embeddings[0], expected, atol=1e-5)
    music = list(efficientat.MUSIC_CLASSES)
    np.testing.assert_allclose(activations[0], probabilities[music], atol=1e-5)
    assert model.info.tag_names == tuple(names[number].lower() for number in music)


def test_fcn_equals_an_independent_loader(teachers: Path, folder: Path) -> None:
    import_model(teachers / FILES["fcn"], report=print)
    model = load_model("fcn")
    wave = sound(464_000, 16_000)
    embeddings, activations = model.embed_windows(wave[None])
    other = loader(teachers, "fcn")
    torch.set_flush_denormal(True)  # the loader keeps the dead filters: 3 s instead of 0.2
    expected, probabilities, names = other.embed(wave, 16_000, other.load(teachers / FILES["fcn"]))
    torch.set_flush_denormal(False)
    assert model.info.dim == 64
    np.testing.assert_allclose(embeddings[0], expected, atol=1e-5)
    np.testing.assert_allclose(activations[0], probabilities, atol=1e-5)
    assert list(model.info.tag_names) == names


def test_denormal_numbers_do_not_slow_the_fcn_down(teachers: Path, folder: Path) -> None:
    """They made it 15 times slower; after the conversion, flushing them saves nothing."""
    import_model(teachers / FILES["fcn"], report=print)
    model = load_model("fcn")
    waves = sound(464_000, 16_000)[None]

    def fastest() -> float:
        spent = []
        for _ in range(4):
            began = time.process_time()
            model.embed_windows(waves)
            spent.append(time.process_time() - began)
        return min(spent)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        as_it_is = fastest()
        torch.set_flush_denormal(True)
        assert as_it_is < 3 * fastest()
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", FILES)
def test_importing_twice_changes_nothing(teachers: Path, folder: Path, name: str) -> None:
    lines: list[str] = []
    info = import_model(teachers / FILES[name], report=lines.append)
    assert info.path == folder / f"{name}.safetensors"
    assert "stored the model" in lines[-1]
    assert info.licence.startswith("MIT. Copyright (c) 202")
    assert "THE SOFTWARE IS PROVIDED" in info.licence
    assert origin(info) == "imported"
    before = info.path.stat()
    assert import_model(teachers / FILES[name], report=lines.append) == info
    assert import_model(info.path, report=lines.append) == info
    assert "already there" in lines[-2]
    assert "already there" in lines[-1]
    assert info.path.stat().st_mtime_ns == before.st_mtime_ns
    assert [path.name for path in folder.iterdir()] == [f"{name}.safetensors"]
    assert info in available_models()


def test_a_damaged_import_is_replaced(teachers: Path, folder: Path) -> None:
    info = import_model(teachers / FILES["fcn"], report=print)
    info.path.write_bytes(info.path.read_bytes()[:-1000])
    lines: list[str] = []
    assert import_model(teachers / FILES["fcn"], report=lines.append) == info
    assert lines[0].startswith("replacing a damaged file")
    load_model("fcn")


def test_a_cut_file_is_refused(teachers: Path, folder: Path, tmp_path: Path) -> None:
    cut = tmp_path / "mn04_as_mAP_432.pt"
    cut.write_bytes((teachers / FILES["mn04"]).read_bytes()[:-1])
    with pytest.raises(ModelCorrupt, match="byte for byte, one of the published"):
        import_model(cut, report=print)
    assert not folder.exists()


class Harmful:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors", ""])
def test_a_foreign_pickle_is_refused_and_never_run(
    folder: Path, tmp_path: Path, suffix: str
) -> None:
    trace = tmp_path / "trace"
    file = tmp_path / f"model{suffix}"
    file.write_bytes(pickle.dumps(Harmful(str(trace))))
    with pytest.raises(ModelCorrupt):
        import_model(file, report=print)
    assert not trace.exists()
    torch.save({"weight": torch.zeros(3)}, file)
    with pytest.raises(ModelCorrupt):
        import_model(file, report=print)
    assert not folder.exists()


def test_not_even_a_published_checkpoint_runs_code(tmp_path: Path) -> None:
    """A file with the published SHA-256 is loaded with `weights_only` all the same."""
    trace = tmp_path / "trace"
    file = tmp_path / "harmful.pt"
    torch.save(Harmful(str(trace)), file)
    for published in (MN04, FCN):
        with pytest.raises(ModelCorrupt, match="lacks weights of the network"):
            convert_checkpoint(file.read_bytes(), published)
    torch.save({"weight": torch.zeros(3)}, file)
    with pytest.raises(ModelCorrupt, match="lacks weights of the network"):
        convert_checkpoint(file.read_bytes(), FCN)
    assert not trace.exists()


def test_importing_something_else_than_a_file(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="there is no file"):
        import_model(tmp_path / "none.pt", report=print)
    with pytest.raises(ModelError, match="Is a directory"):
        import_model(tmp_path, report=print)
    (tmp_path / "empty.pt").touch()
    with pytest.raises(ModelCorrupt):
        import_model(tmp_path / "empty.pt", report=print)


def test_fcn_without_dead_filters_has_the_same_embedding() -> None:
    rng = np.random.default_rng(0)
    channels = (4, 6, 5, 4, 8)
    state = {
        "spec.mel_scale.fb": rng.random((257, 96)),
        "dense.weight": rng.standard_normal((3, 8)),
        "dense.bias": rng.standard_normal(3),
    }
    norms = {"spec_bn": 1} | {f"layer{n + 1}.bn": size for n, size in enumerate(channels)}
    for name, size in norms.items():
        state[f"{name}.weight"] = 0.5 + rng.random(size)
        state[f"{name}.bias"] = rng.standard_normal(size)
        state[f"{name}.running_mean"] = rng.standard_normal(size)
        state[f"{name}.running_var"] = 0.5 + rng.random(size)
    for number, (inputs, size) in enumerate(zip((1, *channels), channels, strict=False)):
        state[f"layer{number + 1}.conv.weight"] = 0.2 * rng.standard_normal((size, inputs, 3, 3))
        state[f"layer{number + 1}.conv.bias"] = rng.standard_normal(size)
    for layer, dead in (("layer1", [1]), ("layer2", [0, 5]), ("layer5", [3])):
        state[f"{layer}.bn.weight"][dead] = 0.0
        state[f"{layer}.bn.bias"][dead] = 0.0
    tensors, left = fcn.convert_fcn_variables(state)
    assert left == [3, 4, 5, 4, 8]
    network = fcn.FCN(channels=left, n_tags=3).eval()
    network.load_state_dict({key: torch.tensor(t) for key, t in tensors.items()})
    wave = torch.from_numpy(sound(464_000, 16_000))[None]
    with torch.no_grad():
        embedding, _ = network(wave)
        x = network.decibels(wave)[:, None]
        for name, pool in zip(norms, [None, (2, 4), (2, 4), (2, 4), (3, 5), (4, 4)], strict=True):
            layer = {key: torch.tensor(v, dtype=torch.float32) for key, v in state.items()}
            if pool is not None:
                conv = name.replace("bn", "conv")
                x = torch.nn.functional.conv2d(
                    x, layer[f"{conv}.weight"], layer[f"{conv}.bias"], padding=1
                )
            x = torch.nn.functional.batch_norm(
                x,
                layer[f"{name}.running_mean"],
                layer[f"{name}.running_var"],
                layer[f"{name}.weight"],
                layer[f"{name}.bias"],
            )
            if pool is not None:
                x = torch.nn.functional.max_pool2d(torch.relu(x), pool)
    torch.testing.assert_close(embedding, x.flatten(1), rtol=1e-4, atol=1e-4)
    assert embedding[0, 3] == 0


def test_the_tables_of_tags_are_complete() -> None:
    tags = efficientat.music_tags()
    assert len(tags) == len(set(tags)) == len(efficientat.MUSIC_CLASSES) == 157
    assert (tags[0], tags[11], tags[-1]) == ("singing", "music", "scary music")
    tags = fcn.msd_tags()
    assert len(tags) == len(set(tags)) == 50
    assert (tags[0], tags[33], tags[-1]) == ("rock", "Hip-Hop", "happy")
    assert not [tag for tag in (*tags, *efficientat.music_tags()) if "\n" in tag or ";" in tag]


def test_kaldis_mel_bands_cover_the_spectrum() -> None:
    basis = efficientat.mel_basis()
    assert basis.shape == (128, 513)
    assert basis.min() == 0.0
    assert basis.max() <= 1.0
    hz = np.arange(513) * 32_000 / 1024
    assert not basis[:, hz >= 15_000].any()
    # Neighbouring triangles add up to 1 between the first and the last peak.
    np.testing.assert_allclose(basis[:, (hz > 60) & (hz < 14_500)].sum(0), 1.0, atol=1e-5)


def test_the_registry_loads_no_torch() -> None:
    code = (
        "import sys, indexer.models.registry, indexer.models.published_checkpoints; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
