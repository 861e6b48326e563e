"""Embeddings of windows of sound by a model, and the embedding of a track from its windows.

Importing this module loads no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import torch

    from indexer.features.melspectrogram import FrontEnd
    from indexer.models.checkpoint import ModelInfo

    Array = npt.NDArray[np.float32]
    Waveforms = Mapping[int, npt.NDArray[np.float32]]

__all__ = ["BATCH_WINDOWS", "Features", "Model", "NetworkModel", "PowerSpectra"]

BATCH_WINDOWS = 12
"""Windows that are embedded at once; those of a longer stream come in batches of so many."""


@dataclass(frozen=True, eq=False)
class Features:
    """What a model makes of the windows of one batch.

    Attributes
    ----------
    vector : float32 (features,)
        Mean over the windows of the networks' embeddings, side by side.
    probabilities : float32 (outputs,)
        Mean over the windows of the probabilities of the networks' tags, side by side.
    windows : int
        How many windows there were.
    """

    vector: Array
    probabilities: Array
    windows: int


class PowerSpectra:
    """Power spectrograms of windows of sound, each computed once.

    Parameters
    ----------
    waveforms : mapping of int to float32 (windows, samples)
        By sample rate: the same windows at each, mono, nominal range -1 to 1, finite.
    """

    def __init__(self, waveforms: Waveforms) -> None:
        self._waveforms = waveforms
        self._spectra: dict[tuple[object, ...], torch.Tensor] = {}

    @property
    def windows(self) -> int:
        """Number of windows."""
        return len(next(iter(self._waveforms.values())))

    def of(self, front_end: FrontEnd, *, frames: int) -> torch.Tensor:
        """Power spectrograms (windows, frames, bins) as a front end takes them.

        Parameters
        ----------
        frames : int
            How many, from the middle of each window; fewer where a window has no more that begin
            inside it.

        Raises
        ------
        ValueError
            The waveforms are not there at its sample rate, or have another shape.
        """
        import torch

        from indexer.features.melspectrogram import power_spectrogram

        try:
            samples = np.require(self._waveforms[front_end.sample_rate], np.float32, ["C", "W"])
        except KeyError:
            raise ValueError(f"no waveforms at {front_end.sample_rate} Hz were given") from None
        if samples.ndim != 2 or samples.size == 0:
            raise ValueError(f"got waveforms of shape {samples.shape}, not (windows, samples)")
        hop = front_end.hop_length
        count = max(1, samples.shape[1] // hop)
        frames = min(frames, count)
        first = (count - frames) // 2
        # Frames reach beyond the samples that they are of by half their length.
        margin = min(first, -(-front_end.n_fft // (2 * hop)))
        key = (front_end.transform, first, frames)
        if key not in self._spectra:
            cut = samples[:, (first - margin) * hop : (first + frames + margin) * hop]
            power = power_spectrogram(torch.from_numpy(cut), front_end=front_end)
            self._spectra[key] = power[:, margin : margin + frames]
        return self._spectra[key]


class Model(ABC):
    """Turns windows of sound into embeddings and tag activations.

    Attributes
    ----------
    info : ModelInfo
        Name, fingerprint, sizes, tag names, front end.
    sample_rates : tuple of int
        Rates in Hz at which `embed` wants the windows.
    """

    def __init__(self, info: ModelInfo, sample_rates: Sequence[int]) -> None:
        self.info = info
        self.sample_rates = tuple(sample_rates)

    @abstractmethod
    def embed(self, waveforms: Waveforms) -> Features:
        """Features of windows of one track, of at most `BATCH_WINDOWS`, in their order.

        Parameters
        ----------
        waveforms : mapping of int to float32 (windows, samples)
            By sample rate, each of `sample_rates`: the same windows of 3 s, mono, nominal range -1
            to 1, finite.

        Raises
        ------
        ValueError
            `waveforms` lacks a rate or has another shape.
        """

    @abstractmethod
    def pool(self, batches: Sequence[Features]) -> tuple[Array, Array]:
        """Embedding and tag activations of a track, from the features of its windows.

        Returns
        -------
        embedding : ndarray, shape (dim,), float32, unit length
        activations : ndarray, shape (tags,), float32
            Probability of each tag.

        Raises
        ------
        ValueError
            There are no windows, or the length of their mean is zero or not finite.
        """


class NetworkModel(Model):
    """A model of one network.

    Parameters
    ----------
    network : torch.nn.Module
        As `indexer.models.network.build_network` makes it, its weights loaded.
    """

    def __init__(self, info: ModelInfo, network: torch.nn.Module) -> None:
        super().__init__(info, [info.front_end.sample_rate])
        self._network = network.eval()

    def embed(self, waveforms: Waveforms) -> Features:
        """See `Model.embed`."""
        return self.embed_spectra(PowerSpectra(waveforms))

    def embed_spectra(
        self, spectra: PowerSpectra, *, every: int = 1, pieces: int = BATCH_WINDOWS
    ) -> Features:
        """Features of windows whose power spectrograms are shared with other networks.

        Parameters
        ----------
        every : int
            Take every second or third window only.
        pieces : int
            Take at most so many pieces of the network's length, see `indexer.models.splice`.
        """
        import torch

        from indexer.features.melspectrogram import mel_scaled
        from indexer.models.splice import splice

        front_end, length = self.info.front_end, self.info.front_end.window_frames
        windows = -(-spectra.windows // every)
        with torch.inference_mode():
            # An equal share of the pieces, or all that there is: shared with other networks.
            share = -(-length * pieces // max(1, windows))
            power = spectra.of(front_end, frames=share)[::every]
            frames = mel_scaled(power, front_end=front_end)
            embeddings, logits = self._network(splice(frames, length, at_most=pieces))
            return Features(
                embeddings.double().mean(0).float().numpy(),
                torch.sigmoid(logits).double().mean(0).float().numpy(),
                spectra.windows,
            )

    def pool(self, batches: Sequence[Features]) -> tuple[Array, Array]:
        """See `Model.pool`: the mean over the windows, brought to unit length."""
        mean = mean_features(batches)
        return unit(mean.vector), mean.probabilities


def mean_features(batches: Sequence[Features]) -> Features:
    """Means over all windows of some batches.

    Raises
    ------
    ValueError
        There are no batches.
    """
    if not batches:
        raise ValueError("there are no windows to pool: give at least one")
    if len(batches) == 1:
        return batches[0]
    windows = [batch.windows for batch in batches]
    vector = np.average([batch.vector for batch in batches], axis=0, weights=windows)
    probabilities = np.average([one.probabilities for one in batches], axis=0, weights=windows)
    return Features(vector.astype(np.float32), probabilities.astype(np.float32), sum(windows))


def unit(vector: Array) -> Array:
    """A vector brought to unit length.

    Raises
    ------
    ValueError
        Its length is zero or not finite.
    """
    values = vector.astype(np.float64)
    length = float(np.linalg.norm(values))
    if not length > 0.0 or not np.isfinite(length):
        raise ValueError(f"the mean of the windows' embeddings has length {length}")
    return (values / length).astype(np.float32)
