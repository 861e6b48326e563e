"""Model files with random weights: small networks, and ensembles of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint
from indexer.models.checkpoint import ModelCard, ModelInfo, NetworkConfig
from indexer.models.ensemble import ENSEMBLE, joined_tags
from indexer.models.model import BATCH_WINDOWS
from indexer.models.network import build_network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FRONT_ENDS = {
    "musicnn": FrontEnd(),
    "mn04": FrontEnd(
        sample_rate=32_000,
        n_fft=1024,
        hop_length=320,
        n_mels=128,
        fmax=15_000.0,
        window_frames=1000,
        win_length=800,
        pre_emphasis=0.97,
        filters="kaldi",
        scale="log(P + 1e-5)",
    ),
    "fcn": FrontEnd(window_frames=1813, filters="htk", scale="decibels"),
}
NETWORKS = {
    "musicnn": NetworkConfig(
        "musicnn",
        {"filters": [[2, 7, 38], [1, 32, 1]], "midend": 4, "dim": 20, "n_tags": 3},
    ),
    "mn04": NetworkConfig("efficientat", {"width": 0.4, "n_tags": 2}),
    "fcn": NetworkConfig("fcn", {"channels": [4, 4, 4, 4, 64], "n_tags": 3}),
}
TAGS = {"musicnn": ("rock", "jazz", "sad"), "mn04": ("piano", "jazz"), "fcn": ("sad", "x", "rock")}
DIMS = {"musicnn": 20, "mn04": 384, "fcn": 64}


def write_part(folder: Path, part: str, *, seed: int = 0, name: str | None = None) -> ModelInfo:
    """Write a model file of the network of `part`, by default under that name."""
    name = name or part
    torch.manual_seed(seed)
    network = build_network(NETWORKS[part])
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear):
            # Large enough that different sounds have different embeddings.
            torch.nn.init.normal_(layer.weight, std=1.6 / layer.weight[0].numel() ** 0.5)
    tensors = {key: t.numpy() for key, t in network.state_dict().items()}
    card = ModelCard(
        name=name,
        dim=DIMS[part],
        tag_names=TAGS[part],
        network=NETWORKS[part],
        front_end=FRONT_ENDS[part],
        pooling="mean",
        licence=f"none, {part}",
        source="random",
    )
    return checkpoint.write(folder / f"{name}.safetensors", tensors, card)


def write_joined(
    folder: Path,
    infos: Sequence[ModelInfo],
    *,
    name: str = "joined",
    dim: int = 16,
    every: Mapping[str, int] | None = None,
    pieces: Mapping[str, int] | None = None,
) -> ModelInfo:
    """Write the model file of an ensemble of models, its axes drawn at random."""
    features = sum(info.dim for info in infos)
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((features, dim)))[0]
    parts = [
        {
            "name": info.name,
            "fingerprint": info.fingerprint,
            "every": (every or {}).get(info.name, 1),
            "pieces": (pieces or {}).get(info.name, BATCH_WINDOWS),
        }
        for info in infos
    ]
    card = ModelCard(
        name=name,
        dim=dim,
        tag_names=joined_tags([info.tag_names for info in infos]),
        network=NetworkConfig(ENSEMBLE, {"parts": parts}),
        front_end=FrontEnd(),
        pooling="mean",
        licence="none",
        source="random",
    )
    tensors = {"axes": axes.astype(np.float16)}
    return checkpoint.write(folder / f"{name}.safetensors", tensors, card)
