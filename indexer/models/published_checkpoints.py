"""Published PyTorch checkpoints, and their conversion to weights and card of a model.

They are pickles: only files with the published SHA-256 are opened, and without the code that a
pickle can run (`weights_only`). Importing this module loads no torch.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from indexer.errors import ModelCorrupt
from indexer.models.checkpoint import ModelCard, NetworkConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_MIT = """
Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE."""


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A checkpoint that others published.

    Attributes
    ----------
    name : str
        Name of the model that it is converted to.
    file : str
        Name of the published file.
    source : str
        The release or repository that has it.
    sha256 : str
        SHA-256 (hex) of the file.
    licence : str
        Licence and notice of the weights.
    """

    name: str
    file: str
    source: str
    sha256: str
    licence: str


MN04 = PublishedCheckpoint(
    "mn04",
    "mn04_as_mAP_432.pt",
    "release v0.0.1 of https://github.com/fschmid56/EfficientAT",
    "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    f"MIT. Copyright (c) 2022 Florian Schmid\n{_MIT}",
)
FCN = PublishedCheckpoint(
    "fcn",
    "models/msd/fcn/best_model.pth",
    "https://github.com/minzwon/sota-music-tagging-models",
    "6012aa7eecf864a8081faedca56af054521e8dfb9c5c98659a3dd5d3e1e66f21",
    "MIT. Copyright (c) 2020 Music Technology Group, Universitat Pompeu Fabra. Code developed by "
    f"Minz Won.\n{_MIT}",
)
PUBLISHED = {published.name: published for published in (MN04, FCN)}
"""Checkpoints by the name of the model that they become."""


def convert_checkpoint(
    content: bytes, published: PublishedCheckpoint
) -> tuple[dict[str, Array], ModelCard]:
    """Weights and model card of a published checkpoint.

    Parameters
    ----------
    content : bytes
        Content of the file; the caller has compared its SHA-256.
    published : PublishedCheckpoint

    Raises
    ------
    ModelCorrupt
        The checkpoint cannot be read, or a weight is missing.
    """
    import torch

    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        variables = {name: variable.numpy() for name, variable in state.items()}
        return _CONVERSIONS[published.name](variables, published)
    except (pickle.UnpicklingError, KeyError, AttributeError, RuntimeError) as error:
        raise ModelCorrupt(
            f"{published.file} lacks weights of the network ({error}): download it again"
        ) from error


def _mn04(
    variables: dict[str, Array], published: PublishedCheckpoint
) -> tuple[dict[str, Array], ModelCard]:
    from indexer.models import efficientat

    tensors = efficientat.convert_mn04_variables(variables)
    for name in ("tags.weight", "tags.bias"):
        tensors[name] = tensors[name][list(efficientat.MUSIC_CLASSES)]
    tags = efficientat.music_tags()
    sizes = {"width": efficientat.WIDTH, "n_tags": len(tags)}
    return tensors, ModelCard(
        name=published.name,
        dim=int(tensors["dense.weight"].shape[1]),
        tag_names=tags,
        network=NetworkConfig("efficientat", sizes),
        front_end=efficientat.FRONT_END,
        pooling="mean",
        licence=published.licence,
        source=(
            f"{published.file}, {published.source}; batch normalisations folded in, of AudioSet's "
            "527 classes those about music"
        ),
    )


def _fcn(
    variables: dict[str, Array], published: PublishedCheckpoint
) -> tuple[dict[str, Array], ModelCard]:
    from indexer.models import fcn

    tensors, channels = fcn.convert_fcn_variables(variables)
    tags = fcn.msd_tags()
    return tensors, ModelCard(
        name=published.name,
        dim=channels[-1],
        tag_names=tags,
        network=NetworkConfig("fcn", {"channels": channels, "n_tags": len(tags)}),
        front_end=fcn.FRONT_END,
        pooling="mean",
        licence=published.licence,
        source=(
            f"{published.file}, {published.source}; batch normalisations folded in, filters that "
            "are multiplied by zero left out"
        ),
    )


_CONVERSIONS = {"mn04": _mn04, "fcn": _fcn}
