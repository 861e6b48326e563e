"""Model files: weights and model card in one safetensors file.

The header's metadata holds, as JSON, the network (architecture and sizes), the front end, the
pooling, the names of the tags, the licence, and the fingerprint: SHA-256 over everything that an
embedding depends on. Reading a file loads no torch; reading the weights checks the fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import ModelCorrupt, ModelError, ModelMissing
from indexer.features.melspectrogram import FrontEnd
from indexer.filesystem import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

FORMAT = "soundalike model 2"
"""Value of `format` in the metadata; its number changes with the layout."""

POOLINGS = ("mean",)
"""Poolings of windows' embeddings to that of a track; "mean": the mean, brought to unit length."""


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of a network, and its sizes.

    Attributes
    ----------
    architecture : str
        A key of `indexer.models.network.ARCHITECTURES`.
    sizes : mapping
        The keyword arguments of that network's class, as JSON has them (numbers and lists).
    """

    architecture: str
    sizes: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class ModelCard:
    """Description of a model: everything but its weights.

    Attributes
    ----------
    name : str
        Name of the model, as users type it.
    dim : int
        Length of an embedding.
    tag_names : tuple of str
        Names of the tag activations, in order.
    network : NetworkConfig
    front_end : FrontEnd
    pooling : str
        One of `POOLINGS`.
    licence : str
        Licence and notice of the weights.
    source : str
        Where the weights come from and how they were changed.
    """

    name: str
    dim: int
    tag_names: tuple[str, ...]
    network: NetworkConfig
    front_end: FrontEnd
    pooling: str
    licence: str
    source: str


@dataclass(frozen=True)
class ModelInfo(ModelCard):
    """Model card, fingerprint and file of a model on this machine.

    Attributes
    ----------
    fingerprint : str
        SHA-256 (hex) over weights, network, front end, pooling, `dim` and tag names. Equal
        fingerprints mean comparable vectors.
    path : Path
        The safetensors file.
    """

    fingerprint: str
    path: Path

    @property
    def card(self) -> ModelCard:
        """The model card alone."""
        return ModelCard(**{one.name: getattr(self, one.name) for one in fields(ModelCard)})


def fingerprint(tensors: Mapping[str, npt.NDArray[Any]], card: ModelCard) -> str:
    """SHA-256 (hex) of a model: of all that its embeddings and tag activations depend on.

    That is the weights in order of name, network, front end, pooling, `dim` and tag names. Name,
    licence and source of the model are left out.
    """
    recipe = {
        "network": asdict(card.network),
        "front_end": asdict(card.front_end),
        "pooling": card.pooling,
        "dim": card.dim,
        "tag_names": card.tag_names,
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(json.dumps([name, tensor.dtype.str, tensor.shape]).encode())
        digest.update(tensor.data)
    return digest.hexdigest()


def read_info(path: Path) -> ModelInfo:
    """Read the model card and fingerprint of a model file; the weights are not checked.

    Raises
    ------
    ModelMissing
        There is no such file.
    ModelCorrupt
        It is not a model file of this version of soundalike.
    """
    from safetensors import SafetensorError, safe_open

    _require_file(path)
    try:
        with safe_open(path, framework="numpy") as file:
            return _parse(file.metadata() or {}, path)
    except SafetensorError as error:
        raise ModelCorrupt(f"{path} is not an intact model file ({error}): get it again") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def read(path: Path) -> tuple[ModelInfo, dict[str, npt.NDArray[Any]]]:
    """Read a model file and check its weights against the fingerprint.

    Returns
    -------
    info : ModelInfo
    tensors : dict of str to ndarray
        The weights by name.

    Raises
    ------
    ModelMissing, ModelCorrupt
        As `read_info`; also `ModelCorrupt` if the weights do not have that fingerprint.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    info = read_info(path)
    try:
        tensors = load(path.read_bytes())
    except SafetensorError as error:
        raise ModelCorrupt(f"{path} is not an intact model file ({error}): get it again") from error
    found = fingerprint(tensors, info)
    if found != info.fingerprint:
        raise ModelCorrupt(
            f"{path} is damaged: its weights have fingerprint {found[:12]}, "
            f"its header has {info.fingerprint[:12]}: get it again"
        )
    return info, tensors


def write(path: Path, tensors: Mapping[str, npt.NDArray[Any]], card: ModelCard) -> ModelInfo:
    """Write a model file, atomically, and return its `ModelInfo`.

    Raises
    ------
    ModelError
        The file cannot be written.
    """
    from safetensors.numpy import save

    metadata = {key: json.dumps(value) for key, value in asdict(card).items()}
    metadata |= {"format": FORMAT, "fingerprint": fingerprint(tensors, card)}
    content = save({name: np.ascontiguousarray(t) for name, t in tensors.items()}, metadata)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(content)
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {error.strerror or error}") from error
    return read_info(path)


def _require_file(path: Path) -> None:
    # safetensors raises a plain FileNotFoundError, and a memory-mapping error for a folder.
    if not path.exists():
        raise ModelMissing(f"there is no model file {path}: check the path")
    if not path.is_file():
        raise ModelCorrupt(f"{path} is not a model file: name a .safetensors file")


def _parse(metadata: Mapping[str, str], path: Path) -> ModelInfo:
    if metadata.get("format") != FORMAT:
        raise ModelCorrupt(
            f"{path} is not a model file of this version of soundalike (its format is "
            f"{metadata.get('format', 'not stated')}, expected {FORMAT}): get it again"
        )
    try:
        values = {
            k: json.loads(v) for k, v in metadata.items() if k not in ("format", "fingerprint")
        }
        info = ModelInfo(
            **values
            | {
                "network": NetworkConfig(**values["network"]),
                "front_end": FrontEnd(**values["front_end"]),
                "tag_names": tuple(values["tag_names"]),
            },
            fingerprint=metadata["fingerprint"],
            path=path,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelCorrupt(f"the header of {path} is damaged ({error}): get it again") from error
    if info.pooling not in POOLINGS:
        raise ModelCorrupt(
            f"{path} has the unknown pooling {info.pooling!r}: get it again, or upgrade"
        )
    return info
