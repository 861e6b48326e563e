from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from indexer.errors import ModelCorrupt, ModelError, ModelMissing
from indexer.models import checkpoint
from indexer.models.checkpoint import NetworkConfig
from indexer.models.registry import (
    DEFAULT_MODEL,
    ModelInfo,
    available_models,
    ensure_model,
    import_model,
    load_model,
    model_folder,
    model_info,
    origin,
    shadowed_models,
    verify_model,
)
from tests.parts import write_joined, write_part

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(folder))
    return folder


def own_models() -> list[ModelInfo]:
    return [info for info in available_models() if origin(info) != "shipped"]


@pytest.fixture
def own_copy(empty_folder: Path) -> Path:
    """The published network under a name of the user's."""
    empty_folder.mkdir()
    info, tensors = checkpoint.read(model_info("musicnn").path)
    card = dataclasses.replace(info.card, name="mine")
    return checkpoint.write(empty_folder / "mine.safetensors", tensors, card).path


def test_the_error_for_a_missing_model_names_the_remedy(empty_folder: Path) -> None:
    for ask in (load_model, model_info, verify_model):
        with pytest.raises(ModelMissing) as caught:
            ask("nosuch")
        assert str(caught.value) == (
            "the model nosuch is not on this machine: run `soundalike model list` for those that "
            "are"
        )
    with pytest.raises(ModelMissing, match="no model file"):
        load_model(empty_folder / "x.safetensors")
    assert own_models() == []


def test_the_shipped_models_fit_into_8_mb_and_keep_their_notices() -> None:
    shipped = {info.name: info for info in available_models() if origin(info) == "shipped"}
    assert sorted(shipped) == ["fcn", "mn04", "musicnn", "soundalike"]
    assert sum(info.path.stat().st_size for info in shipped.values()) < 8_000_000
    authors = {"fcn": "Minz Won", "mn04": "Florian Schmid", "musicnn": "Music Technology Group"}
    for name, author in authors.items():
        assert author in shipped[name].licence
        assert shipped[name].licence in shipped["soundalike"].licence
    assert "THE SOFTWARE IS PROVIDED" in shipped["soundalike"].licence
    for info in shipped.values():
        assert verify_model(info.name) == info
        assert len(set(info.tag_names)) == len(info.tag_names)
        assert not [tag for tag in info.tag_names if tag != tag.strip() or ";" in tag]


def test_weights_that_do_not_fit_the_network_are_refused(own_copy: Path) -> None:
    info, tensors = checkpoint.read(own_copy)
    del tensors["tags.bias"]
    checkpoint.write(own_copy, tensors, info.card)
    with pytest.raises(ModelCorrupt, match="do not fit its network 'musicnn'"):
        load_model("mine")
    checkpoint.write(own_copy, tensors, dataclasses.replace(info.card, network=NetworkConfig("x")))
    with pytest.raises(ModelCorrupt, match="'x' is not known"):
        load_model("mine")


def test_the_header_is_read_without_torch(own_copy: Path) -> None:
    code = (
        "import sys; from indexer.models.registry import model_info, available_models; "
        "assert model_info('mine') in available_models(); assert model_info(); "
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
    assert own_models() == []
    empty_folder.mkdir()
    own = write_part(empty_folder, "fcn", name=DEFAULT_MODEL)
    other = write_part(empty_folder, "mn04", name="mine")
    assert model_info(DEFAULT_MODEL) == shipped
    assert own_models() == [other]
    assert shadowed_models() == [own.path]
    assert load_model(own.path).info == own
    assert origin(other) == "imported"


def test_importing_a_model_file(empty_folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    original = write_part(tmp_path, "fcn", name="mine")
    info = import_model(original.path, report=lines.append)
    assert info == model_info("mine")
    assert info.path == empty_folder / "mine.safetensors"
    assert info.card == original.card
    assert info.fingerprint == original.fingerprint
    assert import_model(original.path, report=lines.append) == info
    assert "already there" in lines[-1]
    renamed = import_model(original.path, name="my-model.2", report=lines.append)
    assert renamed == load_model("my-model.2").info
    assert renamed.fingerprint == info.fingerprint
    assert [one.name for one in own_models()] == ["mine", "my-model.2"]


def test_importing_replaces_no_other_model(empty_folder: Path, tmp_path: Path) -> None:
    first = import_model(write_part(tmp_path, "fcn", name="mine", seed=1).path, report=print)
    second = write_part(tmp_path, "fcn", name="mine", seed=2)
    with pytest.raises(ModelError, match=r"with --name, or remove .*mine.safetensors first"):
        import_model(second.path, report=print)
    assert verify_model("mine") == first
    for shipped in (DEFAULT_MODEL, "fcn"):
        with pytest.raises(ModelError, match=rf"has the name {shipped}: .* with --name$"):
            import_model(second.path, name=shipped, report=print)
    lines: list[str] = []
    assert origin(import_model(model_info(DEFAULT_MODEL).path, report=lines.append)) == "shipped"
    assert "already there" in lines[0]


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "", ".", ".hidden", "a+b", "a b", "x\n", "\x1b[2J"]
)
def test_a_name_that_is_no_file_name_is_refused(
    empty_folder: Path, tmp_path: Path, name: str
) -> None:
    original = write_part(tmp_path, "fcn", name="mine")
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
    original = write_part(tmp_path, "fcn", name="mine")
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
    original = write_part(tmp_path, "fcn", name="mine")
    assert ensure_model(original.path, report=print) == model_info("mine")
    assert ensure_model(str(original.path), report=print) == ensure_model("mine", report=print)
    with pytest.raises(ModelMissing, match="there is no model file"):
        ensure_model("none.safetensors", report=print)


def test_an_ensemble_is_imported_where_its_networks_are(empty_folder: Path, tmp_path: Path) -> None:
    part = write_part(tmp_path, "fcn", name="mine")
    whole = write_joined(tmp_path, [part, model_info("musicnn")])
    with pytest.raises(ModelMissing, match="the model mine is not on this machine"):
        import_model(whole.path, report=print)
    assert not empty_folder.exists()
    import_model(part.path, report=print)
    assert import_model(whole.path, report=print) == verify_model("joined")
    assert load_model("joined").sample_rates == (16_000,)
