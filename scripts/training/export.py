"""A trained student becomes a model file like any other, with half-precision weights."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from indexer import checkpoint
from indexer.checkpoint import ModelCard, ModelInfo
from training.classes import CLASSES
from training.student import fold

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.network import Duet, NetworkConfig

LICENCE = (
    "MIT for what this project trained. The first branch begins with the weights of MusiCNN under "
    "the ISC licence, whose notice follows. {musicnn}"
)


def export(
    student: Duet, config: NetworkConfig, path: Path, *, name: str, musicnn: ModelInfo
) -> ModelInfo:
    """Write the student as a model file.

    Parameters
    ----------
    student : Duet
        As trained; it is not changed.
    config : NetworkConfig
        Of the student.
    musicnn : ModelInfo
        The model that it began with: front end, tag names and licence come from there.

    Raises
    ------
    ModelError
        The file cannot be written.
    """
    folded = copy.deepcopy(student).eval()
    fold(folded)
    tensors = {key: t.numpy().astype(np.float16) for key, t in folded.state_dict().items()}
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
