"""Embeddings of windows of sound by a model, and the embedding of a track from its windows.

Importing this module loads no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from indexer.models.checkpoint import ModelInfo

    Array = npt.NDArray[np.float32]

__all__ = ["Model", "NetworkModel"]


class Model(ABC):
    """Turns windows of sound into embeddings and tag activations.

    Attributes
    ----------
    info : ModelInfo
        Name, fingerprint, sizes, tag names, front end.
    """

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    @abstractmethod
    def _embed(self, window: Array) -> tuple[Array, Array]:
        """Embedding (dim,) and tag activations (tags,) of one window (window_samples,)."""

    def embed_windows(self, waveforms: npt.ArrayLike) -> tuple[Array, Array]:
        """Embeddings and tag activations of windows of sound.

        A window gives the same bits on the same machine, whatever other windows are given.

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
        front_end = self.info.front_end
        samples = np.ascontiguousarray(waveforms, dtype=np.float32)
        if samples.ndim != 2 or samples.shape[1] != front_end.window_samples:
            raise ValueError(
                f"got waveforms of shape {samples.shape}, "
                f"expected (windows, {front_end.window_samples})"
            )
        embeddings = np.empty((len(samples), self.info.dim), dtype=np.float32)
        activations = np.empty((len(samples), len(self.info.tag_names)), dtype=np.float32)
        # One at a time: the last bits of a matrix product depend on its size, and a window's
        # embedding must not depend on the other windows. Batches of ten would save a sixth.
        for row, window in enumerate(samples):
            embeddings[row], activations[row] = self._embed(window)
        return embeddings, activations

    def pool(self, embeddings: npt.ArrayLike, activations: npt.ArrayLike) -> tuple[Array, Array]:
        """Embedding and tag activations of a track, from those of its windows.

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
            There are no windows, or the length of their mean is zero or not finite.
        """
        vectors = np.asarray(embeddings, dtype=np.float64)
        if len(vectors) == 0:
            raise ValueError("there are no windows to pool: give at least one")
        mean = vectors.mean(0)
        length = float(np.linalg.norm(mean))
        if not length > 0.0 or not np.isfinite(length):
            raise ValueError(f"the mean of the windows' embeddings has length {length}")
        activation = np.asarray(activations, dtype=np.float64).mean(0)
        return (mean / length).astype(np.float32), activation.astype(np.float32)


class NetworkModel(Model):
    """A model of one network.

    The network is given log-mels of the model's front end. One whose class sets `takes_waveform`
    is given the samples: the front end is part of it, and `info.front_end` describes it.
    """

    def __init__(self, info: ModelInfo, network: torch.nn.Module) -> None:
        super().__init__(info)
        self._network = network.eval()

    def _embed(self, window: Array) -> tuple[Array, Array]:
        import torch

        from indexer.features.melspectrogram import log_mel

        with torch.inference_mode():
            inputs = torch.tensor(window)
            if not getattr(self._network, "takes_waveform", False):
                front_end = self.info.front_end
                inputs = log_mel(inputs, front_end=front_end)[: front_end.window_frames]
            embedding, logits = self._network(inputs[None])
            return embedding[0].numpy(), torch.sigmoid(logits[0]).numpy()
