"""The default model: networks by name, and the means and axes of their joint space.

Means and axes are of the embeddings of training music: no label is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint
from indexer.models.checkpoint import ModelCard, NetworkConfig
from indexer.models.ensemble import ENSEMBLE, centred_units, joined_tags, principal_axes
from indexer.models.model import BATCH_WINDOWS
from indexer.models.registry import model_info

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.models.checkpoint import ModelInfo

    Array = NDArray[np.float32]


def write_ensemble(
    embeddings: Mapping[str, Array],
    path: Path,
    *,
    name: str,
    every: Mapping[str, int],
    pieces: Mapping[str, int],
    centring: float,
    dim: int,
) -> ModelInfo:
    """Fit the joint space to training music and write the model file.

    Parameters
    ----------
    embeddings : mapping of model name to float32 (tracks, dimensions)
        Of training music, by each network, in the order of the ensemble.
    every, pieces : mapping of model name to int
        Of networks that embed every so many windows only, or at most so many pieces.
    centring : float
        Share of the mean that is taken from the unit vectors.
    dim : int
        Principal axes that are kept.

    Raises
    ------
    ModelMissing, ModelCorrupt, ModelError
    """
    infos = [model_info(network) for network in embeddings]
    means = [centring * centred_units(part).mean(0) for part in embeddings.values()]
    joined = np.concatenate(
        [centred_units(part, m) for part, m in zip(embeddings.values(), means, strict=True)], 1
    )
    parts = [
        {
            "name": info.name,
            "fingerprint": info.fingerprint,
            "every": every.get(info.name, 1),
            "pieces": pieces.get(info.name, BATCH_WINDOWS),
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
        licence=_licence(infos),
        source=f"scripts/train.py fit, {len(joined)} clips; MODEL_CARD.md says which",
    )
    tensors = {
        "mean": np.concatenate(means).astype(np.float32),
        "axes": principal_axes(joined, dim).astype(np.float16),
    }
    return checkpoint.write(path, tensors, card)


def _licence(infos: Sequence[ModelInfo]) -> str:
    summary = "; ".join(f"{info.name}: {info.licence.partition('.')[0]}" for info in infos)
    return "\n\n".join([f"MIT; its networks: {summary}.", *(info.licence for info in infos)])
