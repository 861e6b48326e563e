from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from indexer.errors import ModelCorrupt, ModelError, ModelMissing
from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint
from indexer.models.checkpoint import ModelCard, NetworkConfig

CARD = ModelCard(
    name="tiny",
    dim=4,
    tag_names=("loud", "leise ♪"),
    network=NetworkConfig("musicnn", {"n_mels": 20, "filters": [[2, 3, 4]]}),
    front_end=FrontEnd(n_mels=20),
    pooling="mean",
    licence="MIT",
    source="a test",
)
TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b.weight": np.ones(5, dtype=np.float16),
}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "tiny.safetensors"
    checkpoint.write(path, TENSORS, CARD)
    return path


def test_what_is_written_is_read(written: Path) -> None:
    info, tensors = checkpoint.read(written)
    assert info == checkpoint.read_info(written)
    assert info.path == written
    assert info.fingerprint == checkpoint.fingerprint(TENSORS, CARD)
    for name in (field.name for field in dataclasses.fields(CARD)):
        assert getattr(info, name) == getattr(CARD, name)
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        np.testing.assert_array_equal(tensor, TENSORS[name])
    assert list(written.parent.iterdir()) == [written]


@pytest.mark.parametrize(
    "change",
    [
        {"network": NetworkConfig("musicnn", {"n_mels": 21, "filters": [[2, 3, 4]]})},
        {"network": NetworkConfig("other", CARD.network.sizes)},
        {"front_end": FrontEnd(n_mels=20, hop_length=512)},
        {"tag_names": ("leise ♪", "loud")},
        {"dim": 5},
    ],
)
def test_what_changes_vectors_changes_the_fingerprint(change: dict[str, Any]) -> None:
    other = dataclasses.replace(CARD, **change)
    assert checkpoint.fingerprint(TENSORS, other) != checkpoint.fingerprint(TENSORS, CARD)


def test_weights_change_the_fingerprint_and_their_order_does_not() -> None:
    stamp = checkpoint.fingerprint(TENSORS, CARD)
    assert checkpoint.fingerprint(dict(reversed(TENSORS.items())), CARD) == stamp
    moved = TENSORS | {"a": TENSORS["a"] + np.float32(1e-6)}
    assert checkpoint.fingerprint(moved, CARD) != stamp
    reshaped = TENSORS | {"a": TENSORS["a"].reshape(3, 2)}
    assert checkpoint.fingerprint(reshaped, CARD) != stamp
    transposed = TENSORS | {"a": np.asfortranarray(TENSORS["a"])}
    assert checkpoint.fingerprint(transposed, CARD) == stamp


def test_words_about_a_model_do_not_change_its_fingerprint() -> None:
    renamed = dataclasses.replace(CARD, name="other", licence="ISC", source="elsewhere")
    assert checkpoint.fingerprint(TENSORS, renamed) == checkpoint.fingerprint(TENSORS, CARD)


def test_every_flipped_byte_is_noticed(written: Path) -> None:
    content = written.read_bytes()
    original, _ = checkpoint.read(written)
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0x01
        written.write_bytes(damaged)
        try:
            info, _ = checkpoint.read(written)
        except ModelCorrupt:
            continue
        # Only words outside the fingerprint can differ.
        assert info.fingerprint == original.fingerprint
        differing = {k for k, v in vars(info).items() if v != getattr(original, k)}
        assert len(differing) == 1
        assert differing <= {"name", "licence", "source"}


@pytest.mark.parametrize("length", [0, 1, 7, 8, 100, -20, -1])
def test_a_cut_file_is_refused(written: Path, length: int) -> None:
    written.write_bytes(written.read_bytes()[:length])
    with pytest.raises(ModelCorrupt, match=r"tiny\.safetensors"):
        checkpoint.read_info(written)
    with pytest.raises(ModelCorrupt, match=r"tiny\.safetensors"):
        checkpoint.read(written)


def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file(TENSORS, path)
    with pytest.raises(ModelCorrupt, match="not a model file of this version"):
        checkpoint.read_info(path)


def test_an_unknown_pooling_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    with pytest.raises(ModelCorrupt, match="unknown pooling 'median'"):
        checkpoint.write(path, TENSORS, dataclasses.replace(CARD, pooling="median"))


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no model file"):
        checkpoint.read_info(tmp_path / "none.safetensors")
    with pytest.raises(ModelCorrupt, match="not a model file"):
        checkpoint.read_info(tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be written"):
        checkpoint.write(tmp_path / "file" / "m.safetensors", TENSORS, CARD)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_write_that_fails_leaves_the_old_file(written: Path) -> None:
    before = written.read_bytes()
    written.with_name(f".{written.name}.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(ModelError, match="No space left"):
        checkpoint.write(written, TENSORS | {"c": np.zeros(3, np.float32)}, CARD)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]
