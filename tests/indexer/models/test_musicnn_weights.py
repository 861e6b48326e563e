from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.errors import ModelCorrupt, ModelMissing
from indexer.models import musicnn_weights
from indexer.models.tensor_bundle import read_tensor_bundle

if TYPE_CHECKING:
    from pathlib import Path


def quiet(line: str) -> None:
    assert line


def test_conversion_leaves_the_dead_filters_out(musicnn_wheel: Path) -> None:
    tensors, card = musicnn_weights.convert_wheel(musicnn_wheel.read_bytes())
    shapes = [[23, 7, 38], [14, 7, 67], [3, 128, 1], [7, 64, 1], [17, 32, 1]]
    assert card.network.sizes["filters"] == shapes
    assert sum(t.nbytes for t in tensors.values()) < 1_000_000
    assert all(t.dtype == np.float32 and np.isfinite(t).all() for t in tensors.values())
    for branch in range(5):
        norms = np.linalg.norm(
            tensors[f"spectral.{branch}.weight"].reshape(shapes[branch][0], -1), axis=1
        )
        assert norms.min() > 1e-3


def test_dead_and_living_filters_are_far_apart(musicnn_wheel: Path) -> None:
    """No norm is near the bound that separates them."""
    with zipfile.ZipFile(musicnn_wheel) as archive:
        variables = read_tensor_bundle(
            archive.read("musicnn/MSD_musicnn/.index"),
            archive.read("musicnn/MSD_musicnn/.data-00000-of-00001"),
        )
    names = ["conv2d/kernel", *(f"conv2d_{i}/kernel" for i in range(1, 5))]
    norms = np.concatenate([np.sqrt(np.square(variables[n]).sum((0, 1, 2))) for n in names])
    assert len(norms) == 561
    assert not ((norms > 5e-6) & (norms < 4e-3)).any()


def test_tag_names_and_licence_are_taken_from_the_wheel(musicnn_wheel: Path) -> None:
    _, card = musicnn_weights.convert_wheel(musicnn_wheel.read_bytes())
    assert len(card.tag_names) == len(set(card.tag_names)) == 50
    assert (card.tag_names[0], card.tag_names[-1]) == ("rock", "happy")
    assert [card.tag_names.index(t) for t in ("electronic", "ambient", "electronica")] == [
        4,
        28,
        18,
    ]
    assert card.licence.startswith("ISC")
    assert "Music Technology Group, Universitat Pompeu Fabra 2019" in card.licence
    assert "THE SOFTWARE IS PROVIDED" in card.licence


def test_a_wheel_that_is_not_the_published_one_is_refused(
    musicnn_wheel: Path, tmp_path: Path
) -> None:
    content = bytearray(musicnn_wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel = tmp_path / "musicnn-0.1.0-py3-none-any.whl"
    wheel.write_bytes(content)
    target = tmp_path / "musicnn.safetensors"
    with pytest.raises(ModelCorrupt, match=r"not the published wheel.*SHA-256"):
        musicnn_weights.fetch(target, report=quiet, wheel=wheel)
    assert not target.exists()


def test_a_missing_wheel_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"none\.whl cannot be read \(No such file"):
        musicnn_weights.fetch(tmp_path / "m.safetensors", report=quiet, wheel=tmp_path / "none.whl")


def test_no_network_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(
        ModelMissing, match=r"pip could not download musicnn==0\.1\.0 \(.+\)"
    ) as caught:
        musicnn_weights.fetch(tmp_path / "m.safetensors", report=quiet)
    assert "\n" not in str(caught.value)


def test_a_python_without_pip_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    with pytest.raises(ModelMissing, match=r"No module named pip"):
        musicnn_weights.fetch(tmp_path / "m.safetensors", report=quiet)


def test_something_else_than_a_wheel_cannot_be_converted(musicnn_wheel: Path) -> None:
    with pytest.raises(ModelCorrupt, match="lacks a part"):
        musicnn_weights.convert_wheel(b"not a zip file")
    with pytest.raises(ModelCorrupt, match="lacks a part"):
        musicnn_weights.convert_wheel(musicnn_wheel.read_bytes()[:1000])
