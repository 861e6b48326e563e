"""The default model: networks by name, and the principal axes of their joint space.

The axes are of the embeddings of training music: no label is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint
from indexer.models.checkpoint import ModelCard, NetworkConfig
from indexer.models.ensemble import ENSEMBLE, joined_tags, principal_axes
from indexer.models.model import BATCH_WINDOWS
from indexer.models.registry import model_info
from indexer.vectors.unit_vectors import unit_rows

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
    dim: int,
) -> ModelInfo:
    """Fit the joint space to training music and write the model file.

    Parameters
    ----------
    embeddings : mapping of model name to float32 (tracks, dimensions)
        Of training music, by each network, in the order of the ensemble.
    every, pieces : mapping of model name to int
        Of networks that embed every so many windows only, or at most so many pieces.
    dim : int
        Principal axes that are kept.

    Raises
    ------
    ModelMissing, ModelCorrupt, ModelError
    """
    infos = [model_info(network) for network in embeddings]
    joined = np.concatenate([unit_rows(part) for part in embeddings.values()], 1)
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
    tensors = {"axes": principal_axes(joined, dim).astype(np.float16)}
    return checkpoint.write(path, tensors, card)


def _licence(infos: Sequence[ModelInfo]) -> str:
    summary = "; ".join(f"{info.name}: {info.licence.partition('.')[0]}" for info in infos)
    return "\n\n".join([f"MIT; its networks: {summary}.", *(info.licence for info in infos)])
