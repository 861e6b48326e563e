"""A model's file: weights, and all that is needed to use them, in one safetensors file.

The header's metadata holds, as JSON, the network (architecture and sizes), the front end, the
pooling, the names of the tags, the licence, and the fingerprint: SHA-256 over everything that makes
a vector what it is. Reading the header takes no torch; reading the weights checks the fingerprint.
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

FORMAT = "soundalike model 1"
"""First thing a header says; another number means another layout of the metadata."""

POOLINGS = ("mean",)
"""Ways from the embeddings of windows to that of a track: "mean", then unit length."""


@dataclass(frozen=True)
class NetworkConfig:
    """Which network it is, and its sizes.

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
    """What a model is, apart from its weights.

    Attributes
    ----------
    name : str
        What people call it.
    dim : int
        Numbers in an embedding.
    tag_names : tuple of str
        One for each tag activation, in order.
    network : NetworkConfig
    front_end : FrontEnd
    pooling : str
        One of `POOLINGS`.
    licence : str
        Licence and notice of the weights.
    source : str
        Where they come from and what was done to them.
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
    """A model card together with the file it was read from.

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
        """The card alone."""
        return ModelCard(**{one.name: getattr(self, one.name) for one in fields(ModelCard)})


def fingerprint(tensors: Mapping[str, npt.NDArray[Any]], card: ModelCard) -> str:
    """SHA-256 (hex) over the weights in order of name, and what turns sound into vectors with them.

    Name, licence and source are left out: they change no vector.
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
    """Read the header of a model file; the weights are neither read nor checked.

    Raises
    ------
    ModelMissing
        There is no such file.
    ModelCorrupt
        It is not a safetensors file, or not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    _require_file(path)
    try:
        with safe_open(path, framework="numpy") as file:
            return _parse(file.metadata() or {}, path)
    except SafetensorError as error:
        raise ModelCorrupt(f"{path} is not a sound model file ({error}): fetch it again") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def read(path: Path) -> tuple[ModelInfo, dict[str, npt.NDArray[Any]]]:
    """Read a model file whole and check its fingerprint.

    Returns
    -------
    info : ModelInfo
    tensors : dict of str to ndarray
        The weights by name.

    Raises
    ------
    ModelMissing, ModelCorrupt
        As `read_info`; also `ModelCorrupt` where the weights are not those of the fingerprint.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    info = read_info(path)
    try:
        tensors = load(path.read_bytes())
    except SafetensorError as error:
        raise ModelCorrupt(f"{path} is not a sound model file ({error}): fetch it again") from error
    found = fingerprint(tensors, info)
    if found != info.fingerprint:
        raise ModelCorrupt(
            f"{path} is damaged: its contents have fingerprint {found[:12]}, "
            f"its header says {info.fingerprint[:12]}: fetch it again"
        )
    return info, tensors


def write(path: Path, tensors: Mapping[str, npt.NDArray[Any]], card: ModelCard) -> ModelInfo:
    """Write a model file, whole or not at all, and return what it says of itself.

    Raises
    ------
    ModelError
        The file cannot be written.
    """
    from safetensors.numpy import save

    stamp = fingerprint(tensors, card)
    metadata = {key: json.dumps(value) for key, value in asdict(card).items()}
    metadata |= {"format": FORMAT, "fingerprint": stamp}
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
            f"{path} is not a model of this version of soundalike (its format is "
            f"{metadata.get('format', 'not stated')}, expected {FORMAT}): fetch it again"
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
        raise ModelCorrupt(f"the header of {path} is damaged ({error}): fetch it again") from error
    if info.pooling not in POOLINGS:
        raise ModelCorrupt(f"{path} asks for the unknown pooling {info.pooling!r}: fetch it again")
    return info
