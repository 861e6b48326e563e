from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from training.joint_space import write_ensemble

from indexer.models import checkpoint
from indexer.models.ensemble import parts_of
from indexer.models.model import BATCH_WINDOWS
from indexer.models.registry import load_model, model_info
from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from pathlib import Path


def test_axes_are_those_of_the_training_music(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    embeddings = {
        name: (1 + rng.standard_normal((40, model_info(name).dim))).astype(np.float32)
        for name in ("musicnn", "fcn")
    }
    path = tmp_path / "two.safetensors"
    setting = {"name": "two", "every": {"musicnn": 2}, "pieces": {"fcn": 1}}
    info = write_ensemble(embeddings, path, dim=8, **setting)
    assert (info.name, info.dim) == ("two", 8)
    assert [(part.name, part.every, part.pieces) for part in parts_of(info.network)] == [
        ("musicnn", 2, BATCH_WINDOWS),
        ("fcn", 1, 1),
    ]
    assert info.licence.startswith("MIT; its networks: musicnn: ISC; fcn: MIT.")
    _, tensors = checkpoint.read(path)
    joined = np.concatenate([unit_rows(part) for part in embeddings.values()], axis=1)
    axes = tensors["axes"].astype(np.float64)
    np.testing.assert_allclose(axes.T @ axes, np.eye(8), atol=2e-3)
    # No 8 axes hold more of the training music.
    most = np.square(np.linalg.svd(joined, compute_uv=False)[:8]).sum()
    assert np.square(joined @ axes).sum() >= 0.999 * most
    assert load_model(path).info == info
    again = write_ensemble(embeddings, tmp_path / "again.safetensors", dim=8, **setting)
    assert again.fingerprint == info.fingerprint
