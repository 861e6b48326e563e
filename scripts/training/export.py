"""What was distilled becomes a model file like any other, its head in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.models import checkpoint
from indexer.models.checkpoint import ModelCard, ModelInfo
from training.classes import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.models.network import NetworkConfig, Soundalike

LICENCE = (
    "MIT for the head, which this project trained. The ear has the weights of MusiCNN under the "
    "ISC licence, whose notice follows. {musicnn}"
)


HEAD = ("embedding.", "tags.")
"""Layers kept in half precision; the ear stays as it was published."""


def export(
    network: Soundalike, config: NetworkConfig, path: Path, *, name: str, musicnn: ModelInfo
) -> ModelInfo:
    """Write the network as a model file.

    Parameters
    ----------
    network : Soundalike
        As `training.distill` makes it.
    config : NetworkConfig
        Of the network.
    musicnn : ModelInfo
        The model that it began with: front end, tag names and licence come from there.

    Raises
    ------
    ModelError
        The file cannot be written.
    """
    tensors = {
        key: tensor.numpy().astype(np.float16 if key.startswith(HEAD) else np.float32)
        for key, tensor in network.state_dict().items()
    }
    card = ModelCard(
        name=name,
        dim=int(config.sizes["dim"]),
        tag_names=(*musicnn.tag_names, *(label.lower() for label in CLASSES)),
        network=config,
        front_end=musicnn.front_end,
        pooling="mean",
        licence=LICENCE.format(musicnn=musicnn.licence),
        source="scripts/train.py; MODEL_CARD.md says on which music and how long",
    )
    return checkpoint.write(path, tensors, card)
