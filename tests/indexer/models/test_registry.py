from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from indexer.errors import ModelCorrupt, ModelError, ModelMissing
from indexer.models import checkpoint
from indexer.models.checkpoint import NetworkConfig
from indexer.models.registry import (
    DEFAULT_MODEL,
    Model,
    ModelInfo,
    available_models,
    ensure_model,
    fetch_model,
    import_model,
    load_model,
    model_folder,
    model_info,
    origin,
    shadowed_models,
    verify_model,
)
from tests.parts import write_part

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model(musicnn_models: Path) -> Model:
    return load_model(musicnn_models / "musicnn.safetensors")


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(folder))
    return folder


def own_models() -> list[ModelInfo]:
    return [info for info in available_models() if origin(info) != "shipped"]


@pytest.fixture
def own_copy(musicnn_models: Path, empty_folder: Path) -> Path:
    empty_folder.mkdir()
    copy = empty_folder / "musicnn.safetensors"
    copy.write_bytes((musicnn_models / "musicnn.safetensors").read_bytes())
    return copy


def noise(windows: int, seed: int = 0) -> np.ndarray:
    samples = 0.1 * np.random.default_rng(seed).standard_normal((windows, 48_000))
    return samples.astype(np.float32)


def test_the_check_signal_gives_the_published_embedding_and_tags(model: Model) -> None:
    time = np.arange(48_000) / 16_000
    gate = np.sign(np.sin(2 * np.pi * 2 * time))
    tone = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.2 * gate * np.sin(2 * np.pi * 880 * time)
    embeddings, activations = model.embed_windows(tone[None].astype(np.float32))
    assert embeddings.dtype == activations.dtype == np.float32
    assert embeddings.shape == (1, model.info.dim) == (1, 200)
    expected = [-0.17718, -0.12703, -0.28483, -0.27512, -0.35315, 0.81306]
    np.testing.assert_allclose(embeddings[0, :6], expected, atol=2e-5)
    assert np.linalg.norm(embeddings[0]) == pytest.approx(16.8617, abs=1e-4)
    best = np.argsort(-activations[0])[:3]
    assert [model.info.tag_names[i] for i in best] == ["electronic", "ambient", "electronica"]
    np.testing.assert_allclose(activations[0, best], [0.64997, 0.42766, 0.18816], atol=2e-5)


def test_the_same_window_gives_the_same_bits(model: Model) -> None:
    """Whatever its neighbours, the number of threads, and where it lies in memory."""
    windows = noise(5)
    embeddings, activations = model.embed_windows(windows)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            for i, window in enumerate(windows):
                one, one_activation = model.embed_windows(window[None])
                assert one[0].tobytes() == embeddings[i].tobytes()
                assert one_activation[0].tobytes() == activations[i].tobytes()
    finally:
        torch.set_num_threads(threads)
    shifted = np.empty(windows.size + 3, dtype=np.float32)[3:].reshape(windows.shape)
    shifted[:] = windows
    assert model.embed_windows(shifted)[0].tobytes() == embeddings.tobytes()


def test_another_process_gives_the_same_bits(model: Model, musicnn_models: Path) -> None:
    code = (
        "import sys, numpy as np, torch; torch.set_num_threads(1); "
        "from indexer.models.registry import load_model; "
        "x = (0.1 * np.random.default_rng(9).standard_normal((2, 48000))).astype(np.float32); "
        "sys.stdout.buffer.write(load_model(sys.argv[1]).embed_windows(x)[0].tobytes())"
    )
    path = str(musicnn_models / "musicnn.safetensors")
    other = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    assert other.stdout == model.embed_windows(noise(2, seed=9))[0].tobytes()


def test_read_only_and_float64_windows_are_accepted(model: Model) -> None:
    windows = noise(1)
    windows.setflags(write=False)
    embeddings, _ = model.embed_windows(windows)
    np.testing.assert_array_equal(model.embed_windows(windows.astype(np.float64))[0], embeddings)


def test_no_windows_give_no_embeddings(model: Model) -> None:
    embeddings, activations = model.embed_windows(noise(0))
    assert embeddings.shape == (0, 200)
    assert activations.shape == (0, 50)


@pytest.mark.parametrize("shape", [(48_000,), (1, 47_999), (1, 1, 48_000)])
def test_windows_of_another_shape_are_refused(model: Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected \\(windows, 48000\\)"):
        model.embed_windows(np.zeros(shape, dtype=np.float32))


def test_pooling_is_the_mean_made_unit_length(model: Model) -> None:
    embeddings = np.array([[3.0, 0.0], [3.0, 8.0]], dtype=np.float32)
    vector, activation = model.pool(embeddings, np.array([[0.2, 1.0], [0.4, 0.0]]))
    np.testing.assert_allclose(vector, [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(activation, [0.3, 0.5], rtol=1e-6)
    assert vector.dtype == activation.dtype == np.float32


@pytest.mark.parametrize(
    "embeddings",
    [np.zeros((0, 2)), np.zeros((3, 2)), np.array([[1.0, -1.0], [-1.0, 1.0]]), [[np.nan, 1.0]]],
)
def test_windows_without_a_mean_direction_cannot_be_pooled(
    model: Model, embeddings: np.ndarray
) -> None:
    with pytest.raises(ValueError, match="windows"):
        model.pool(embeddings, np.zeros((len(embeddings), 1)))


def test_the_error_for_a_missing_model_names_the_remedy(empty_folder: Path) -> None:
    for ask in (load_model, model_info):
        with pytest.raises(ModelMissing) as caught:
            ask("musicnn")
        assert str(caught.value) == (
            "the model musicnn is not on this machine: run `soundalike model fetch musicnn`"
        )
    with pytest.raises(ModelMissing, match="the model nosuch is not on this machine"):
        load_model("nosuch")
    with pytest.raises(ModelMissing, match="no model file"):
        load_model(empty_folder / "x.safetensors")
    assert own_models() == []


def test_a_name_that_is_not_known_cannot_be_fetched(empty_folder: Path) -> None:
    with pytest.raises(ModelMissing, match="no model 'nosuch' to fetch: choose one of musicnn"):
        fetch_model("nosuch", report=print)


def test_fetching_from_a_file_then_again(empty_folder: Path, musicnn_wheel: Path) -> None:
    lines: list[str] = []
    info = fetch_model("musicnn", report=lines.append, wheel=musicnn_wheel)
    assert info == model_info("musicnn")
    assert own_models() == [info]
    assert info.path == empty_folder / "musicnn.safetensors"
    before = info.path.stat()
    assert fetch_model("musicnn", report=lines.append) == info
    assert "already there" in lines[-1]
    assert info.path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.slow
def test_fetching_through_pip(model: Model, empty_folder: Path) -> None:
    lines: list[str] = []
    info = fetch_model("musicnn", report=lines.append)
    assert "through pip" in lines[0]
    assert info.fingerprint == model.info.fingerprint
    assert load_model("musicnn").info == info


def test_a_damaged_model_is_refused_and_replaced(own_copy: Path, musicnn_wheel: Path) -> None:
    content = bytearray(own_copy.read_bytes())
    content[-1000] ^= 0x10
    own_copy.write_bytes(content)
    with pytest.raises(ModelCorrupt, match="is damaged"):
        load_model("musicnn")
    own_copy.write_bytes(content[:-5000])
    with pytest.raises(ModelCorrupt):
        load_model("musicnn")
    assert own_models() == []
    lines: list[str] = []
    fetch_model("musicnn", report=lines.append, wheel=musicnn_wheel)
    assert "replacing a damaged file" in lines[0]
    assert load_model("musicnn").info.name == "musicnn"


def test_weights_that_do_not_fit_the_network_are_refused(own_copy: Path) -> None:
    info, tensors = checkpoint.read(own_copy)
    del tensors["tags.bias"]
    checkpoint.write(own_copy, tensors, info.card)
    with pytest.raises(ModelCorrupt, match="do not fit its network 'musicnn'"):
        load_model("musicnn")
    checkpoint.write(own_copy, tensors, dataclasses.replace(info.card, network=NetworkConfig("x")))
    with pytest.raises(ModelCorrupt, match="'x' is not known"):
        load_model("musicnn")


def test_the_header_is_read_without_torch(own_copy: Path) -> None:
    code = (
        "import sys; from indexer.models.registry import model_info, available_models; "
        "assert model_info('musicnn') in available_models(); "
        "sys.exit('torch' in sys.modules or 'librosa' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_where_models_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SOUNDALIKE_MODELS", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert model_folder() == tmp_path / ".cache" / "soundalike" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert model_folder() == tmp_path / "x" / "soundalike" / "models"
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(tmp_path / "own"))
    assert model_folder() == tmp_path / "own"


def test_a_shipped_model_is_found_and_never_shadowed(empty_folder: Path) -> None:
    shipped = model_info(DEFAULT_MODEL)
    assert origin(shipped) == "shipped"
    assert load_model(DEFAULT_MODEL).info == verify_model(DEFAULT_MODEL) == shipped
    assert available_models() == [shipped]
    empty_folder.mkdir()
    own = write_part(empty_folder, "fcn", name=DEFAULT_MODEL)
    other = write_part(empty_folder, "mn04")
    assert model_info(DEFAULT_MODEL) == shipped
    assert available_models() == [other, shipped]
    assert shadowed_models() == [own.path]
    assert load_model(own.path).info == own
    assert origin(other) == "imported"


def test_importing_a_model_file(empty_folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    original = write_part(tmp_path, "fcn")
    info = import_model(original.path, report=lines.append)
    assert info == model_info("fcn")
    assert info.path == empty_folder / "fcn.safetensors"
    assert info.card == original.card
    assert info.fingerprint == original.fingerprint
    assert import_model(original.path, report=lines.append) == info
    assert "already there" in lines[-1]
    renamed = import_model(original.path, name="my-model.2", report=lines.append)
    assert renamed == load_model("my-model.2").info
    assert renamed.fingerprint == info.fingerprint
    assert [one.name for one in own_models()] == ["fcn", "my-model.2"]


def test_importing_replaces_no_other_model(empty_folder: Path, tmp_path: Path) -> None:
    first = import_model(write_part(tmp_path, "fcn", seed=1).path, report=print)
    second = write_part(tmp_path, "fcn", seed=2)
    with pytest.raises(ModelError, match=r"with --name, or remove .*fcn.safetensors first"):
        import_model(second.path, report=print)
    assert verify_model("fcn") == first
    with pytest.raises(ModelError, match=r"has the name soundalike: .* with --name$"):
        import_model(second.path, name=DEFAULT_MODEL, report=print)
    lines: list[str] = []
    assert origin(import_model(model_info(DEFAULT_MODEL).path, report=lines.append)) == "shipped"
    assert "already there" in lines[0]


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "", ".", ".hidden", "ensemble", "a+b", "a b", "x\n", "\x1b[2J"]
)
def test_a_name_that_is_no_file_name_is_refused(
    empty_folder: Path, tmp_path: Path, name: str
) -> None:
    original = write_part(tmp_path, "fcn")
    with pytest.raises(ModelError, match="cannot be the name of a model"):
        import_model(original.path, name=name, report=print)
    _, tensors = checkpoint.read(original.path)
    stated = dataclasses.replace(original.card, name=name)
    checkpoint.write(original.path, tensors, stated)
    with pytest.raises(ModelError, match="cannot be the name of a model"):
        import_model(original.path, report=print)
    assert not empty_folder.exists()
    assert not (tmp_path / "up.safetensors").exists()


def test_damaged_and_unfit_models_are_not_imported(empty_folder: Path, tmp_path: Path) -> None:
    original = write_part(tmp_path, "fcn")
    content = original.path.read_bytes()
    _, tensors = checkpoint.read(original.path)
    for bad in (content[:-10], content[:-1] + b"?", b"", b"\xff" * 100):
        original.path.write_bytes(bad)
        with pytest.raises(ModelCorrupt):
            import_model(original.path, report=print)
    del tensors["tags.bias"]
    checkpoint.write(original.path, tensors, original.card)
    with pytest.raises(ModelCorrupt, match="do not fit its network"):
        import_model(original.path, report=print)
    assert not empty_folder.exists()


def test_a_model_named_by_its_file_is_imported_first(empty_folder: Path, tmp_path: Path) -> None:
    original = write_part(tmp_path, "fcn")
    assert ensure_model(original.path, report=print) == model_info("fcn")
    assert ensure_model(str(original.path), report=print) == ensure_model("fcn", report=print)
    with pytest.raises(ModelMissing, match="there is no file"):
        ensure_model("none.safetensors", report=print)


def test_a_checkpoint_to_import_cannot_be_fetched(empty_folder: Path) -> None:
    with pytest.raises(
        ModelMissing, match=r"model import` with mn04_as_mAP_432.pt from release v0.0.1"
    ):
        fetch_model("mn04", report=print)
