"""Models by name: shipped with the package, or in the user's model folder.

Models are safetensors files (`indexer.models.checkpoint`). Shipped ones are in
`indexer/models/weights`; the model folder is `$SOUNDALIKE_MODELS`, else
`$XDG_CACHE_HOME/soundalike/models`, else `~/.cache/soundalike/models`. A name means the shipped
model where there is one, so that it means the same on every machine: a file of that name in the
folder is not used (`shadowed_models` lists such files). The file of an ensemble names the models
that its networks are in. Importing this module loads no torch; `load_model` does.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import ModelCorrupt, ModelError, ModelMissing
from indexer.models import checkpoint
from indexer.models.checkpoint import ModelCard, ModelInfo, NetworkConfig
from indexer.models.ensemble import Ensemble, parts_of
from indexer.models.model import Model, NetworkModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    from indexer.models.ensemble import Part

__all__ = [
    "DEFAULT_MODEL",
    "Model",
    "ModelCard",
    "ModelInfo",
    "NetworkConfig",
    "available_models",
    "ensure_model",
    "import_model",
    "load_model",
    "model_folder",
    "model_info",
    "origin",
    "shadowed_models",
    "verify_model",
]

DEFAULT_MODEL = "soundalike"

SHIPPED = Path(__file__).with_name("weights")
"""Folder of the models shipped with the package."""

_SUFFIX = ".safetensors"
_NAME = re.compile(r"\w[\w.-]*")


def model_folder() -> Path:
    """The user's model folder, which need not exist yet."""
    configured = os.environ.get("SOUNDALIKE_MODELS")
    if configured:
        return Path(configured)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "soundalike" / "models"


def load_model(name: str | Path = DEFAULT_MODEL) -> Model:
    """Load a model, its weights checked against its fingerprint.

    Parameters
    ----------
    name : str or Path
        Name of a model, or path of a safetensors file.

    Raises
    ------
    ModelMissing
        It is not on this machine, or a network of it is not.
    ModelCorrupt
        Its file is damaged, or its network is unknown to this version.
    """
    info, tensors = checkpoint.read(_model_path(name))
    parts = _parts(info)
    if not parts:
        return _network_model(info, tensors)
    return Ensemble(info, [_network_model(*_read_part(part, info)) for part in parts], tensors)


def _network_model(info: ModelInfo, tensors: dict[str, NDArray[Any]]) -> NetworkModel:
    import torch

    from indexer.models.network import build_network

    network = build_network(info.network)
    try:
        network.load_state_dict({key: torch.tensor(t) for key, t in tensors.items()})
    except RuntimeError as error:
        raise ModelCorrupt(
            f"the weights in {info.path} do not fit its network {info.network.architecture!r}: "
            "get it again"
        ) from error
    return NetworkModel(info, network)


def _parts(info: ModelInfo) -> tuple[Part, ...]:
    try:
        return parts_of(info.network)
    except (KeyError, TypeError) as error:
        raise ModelCorrupt(
            f"{info.path} does not name its networks as this version of soundalike does: get it "
            "again, or upgrade"
        ) from error


def _read_part(part: Part, whole: ModelInfo) -> tuple[ModelInfo, dict[str, NDArray[Any]]]:
    """A network of an ensemble, checked against the fingerprint in the ensemble's file."""
    info, tensors = checkpoint.read(_model_path(part.name))
    _require_version(info, part, whole)
    return info, tensors


def _require_version(info: ModelInfo, part: Part, whole: ModelInfo) -> None:
    if info.fingerprint != part.fingerprint:
        raise ModelCorrupt(
            f"{info.path} is another version of the network {part.name} than the model "
            f"{whole.name} is made of: get both again"
        )


def model_info(name: str | Path = DEFAULT_MODEL) -> ModelInfo:
    """Model card and fingerprint of a model on this machine; its weights are not read.

    Raises
    ------
    ModelMissing, ModelCorrupt
        As `load_model`, but weights are not checked against fingerprints.
    """
    info = checkpoint.read_info(_model_path(name))
    for part in _parts(info):
        _require_version(checkpoint.read_info(_model_path(part.name)), part, info)
    return info


def verify_model(name: str | Path = DEFAULT_MODEL) -> ModelInfo:
    """Check a model's weights against its fingerprint, without torch; return its `ModelInfo`.

    Raises
    ------
    ModelMissing, ModelCorrupt
    """
    info, _ = checkpoint.read(_model_path(name))
    for part in _parts(info):
        _read_part(part, info)
    return info


def available_models() -> list[ModelInfo]:
    """All models on this machine, sorted by name, without shadowed files.

    Damaged files are left out; `model_info(name)` raises the reason.
    """
    names = {path.stem for folder in (SHIPPED, model_folder()) for path in _files(folder)}
    found = []
    for name in sorted(names):
        try:
            found.append(model_info(name))
        except ModelError:
            continue
    return found


def shadowed_models() -> list[Path]:
    """Files in the model folder that are not used, because a shipped model has their name."""
    return [path for path in _files(model_folder()) if (SHIPPED / path.name).exists()]


def origin(info: ModelInfo) -> str:
    """Origin of a model: "shipped" or "imported"."""
    return "shipped" if info.path.parent == SHIPPED else "imported"


def import_model(
    path: Path, *, report: Callable[[str], None], name: str | None = None
) -> ModelInfo:
    """Copy a model file into the model folder, unless it is there.

    Parameters
    ----------
    path : Path
        A safetensors file, as `scripts/train.py` writes them.
    report : callable
        Called with a line for each step.
    name : str, optional
        Name for the model; by default the one in the file.

    Raises
    ------
    ModelMissing
        There is no such file.
    ModelCorrupt
        The file is no model, or damaged.
    ModelError
        The model cannot be written, or another model has its name.
    """
    load_model(path)  # raises if the weights do not fit the network
    info, tensors = checkpoint.read(path)
    card = info.card
    if name is not None:
        card = replace(card, name=name)
    if not _NAME.fullmatch(card.name):
        raise ModelError(
            f"{card.name!r} cannot be the name of a model: use letters, digits, dots and hyphens; "
            "give another name with --name"
        )
    fingerprint = checkpoint.fingerprint(tensors, card)
    for folder in (SHIPPED, model_folder()):
        target = folder / f"{card.name}{_SUFFIX}"
        known = _read_intact(target, report)
        if known is not None and known.fingerprint == fingerprint:
            report(f"the model {card.name} is already there: {target}")
            return known
        if known is not None:
            remedy = "" if folder == SHIPPED else f", or remove {target} first"
            raise ModelError(
                f"another model has the name {card.name}: import this one under another name "
                f"with --name{remedy}"
            )
    info = checkpoint.write(target, tensors, card)
    report(f"stored the model {info.name} in {target}")
    return info


def ensure_model(name: str | Path = DEFAULT_MODEL, *, report: Callable[[str], None]) -> ModelInfo:
    """As `verify_model`, after importing the model if `name` is the path of a file.

    Raises
    ------
    ModelMissing, ModelCorrupt, ModelError
    """
    if _is_file_name(name):
        return import_model(Path(name), report=report)
    return verify_model(name)


def _read_intact(path: Path, report: Callable[[str], None]) -> ModelInfo | None:
    """`ModelInfo` of a file, or None if there is no file or a damaged one."""
    try:
        return checkpoint.read(path)[0]
    except ModelMissing:
        return None
    except ModelCorrupt as error:
        report(f"replacing a damaged file: {error}")
        return None


def _model_path(name: str | Path) -> Path:
    if _is_file_name(name):
        return Path(name)
    path = _find(str(name))
    if path is None:
        raise ModelMissing(
            f"the model {name} is not on this machine: run `soundalike model list` for those "
            "that are"
        )
    return path


def _find(name: str) -> Path | None:
    paths = (folder / f"{name}{_SUFFIX}" for folder in (SHIPPED, model_folder()))
    return next((path for path in paths if path.exists()), None)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _is_file_name(name: str | Path) -> bool:
    text = str(name)
    return isinstance(name, Path) or os.sep in text or text.endswith(_SUFFIX)
