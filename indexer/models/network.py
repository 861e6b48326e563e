"""Networks from log-mel to embedding and tag logits (torch).

MusiCNN, from Pons & Serra, "musicnn: pre-trained convolutional neural networks for music audio
tagging" (2019, arXiv 1909.06654): filters of musically chosen shapes over the spectrogram, wide in
frequency for timbre, long in time for tempo; three convolutions over time; pooling over time; two
dense layers. `ResidualNet` is trained from scratch. `ARCHITECTURES` has these and those of the
other modules by the name that a checkpoint gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from indexer.errors import ModelCorrupt
from indexer.models.checkpoint import NetworkConfig
from indexer.models.efficientat import EfficientAT
from indexer.models.fcn import FCN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ARCHITECTURES",
    "MusiCNN",
    "NetworkConfig",
    "ResidualNet",
    "build_network",
]


class Normalisation(nn.Module):
    """Batch normalisation with fixed statistics: a scale and a shift for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, ...) -> the same shape."""
        shape = (-1,) + (1,) * (x.ndim - 2)
        return x * self.scale.view(shape) + self.shift.view(shape)


class SpectralFilters(nn.Module):
    """Convolution over the spectrogram and the maximum of each filter over frequency.

    The original computes convolution, ReLU, normalisation, then the maximum over frequency. All
    three before the maximum are monotone, so it is taken first, over the bare convolution: the rest
    then runs on `bands - width + 1` times fewer numbers. Where a scale is negative, the order is
    reversed and the minimum is wanted: those filters are negated before and after.

    Plain convolutions: with the few filters left of the published weights, a Fourier transform
    along frequency saved 15 % of the time of the network, `torch.jit` nothing.
    """

    def __init__(self, filters: int, frames: int, bands: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(filters, 1, frames, bands))
        self.bias = nn.Parameter(torch.zeros(filters))
        nn.init.kaiming_uniform_(self.weight)
        self.norm = Normalisation(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 1, frames, bands) -> (batch, filters, frames)."""
        length = self.weight.shape[2]
        x = F.pad(x, (0, 0, (length - 1) // 2, length // 2))
        sign = torch.where(self.norm.scale < 0, -1.0, 1.0)
        maxima = F.conv2d(x, self.weight * sign.view(-1, 1, 1, 1)).amax(3) * sign.view(-1, 1)
        features: torch.Tensor = self.norm(F.relu(maxima + self.bias.view(-1, 1)))
        return features


class TimeConvolution(nn.Module):
    """Convolution over time, ReLU, normalisation."""

    def __init__(self, channels_in: int, channels: int, frames: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels, frames, padding=frames // 2)
        self.norm = Normalisation(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels_in, frames) -> (batch, channels, frames)."""
        features: torch.Tensor = self.norm(F.relu(self.conv(x)))
        return features


class MusiCNN(nn.Module):
    """Musically motivated CNN (Pons & Serra 2019).

    Parameters
    ----------
    n_mels : int
        Mel bands of the input.
    filters : sequence of (filters, frames, bands)
        Shapes of the filters over the spectrogram. Published: (204, 7, 38) and (204, 7, 67) for
        timbre, (51, 128, 1), (51, 64, 1) and (51, 32, 1) for tempo.
    midend : int
        Channels of each of the three convolutions over time.
    dim : int
        Length of the embedding, the penultimate layer.
    n_tags : int
        Number of tags.
    """

    def __init__(
        self,
        *,
        n_mels: int = 96,
        filters: Sequence[Sequence[int]],
        midend: int = 64,
        dim: int = 200,
        n_tags: int = 50,
    ) -> None:
        super().__init__()
        if any(bands > n_mels for _, _, bands in filters):
            raise ValueError(f"a filter is wider than {n_mels} mel bands")
        channels = sum(count for count, _, _ in filters)
        self.input_norm = Normalisation(1)
        self.spectral = nn.ModuleList(SpectralFilters(*shape) for shape in filters)
        self.midend = nn.ModuleList(
            TimeConvolution(inputs, midend) for inputs in (channels, midend, midend)
        )
        self.dense = nn.Linear(2 * (channels + 3 * midend), dim)
        self.embedding_norm = Normalisation(dim)
        self.tags = nn.Linear(dim, n_tags)

    def forward(self, log_mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding and tag logits.

        Parameters
        ----------
        log_mel : Tensor, shape (batch, frames, n_mels), float32

        Returns
        -------
        embedding : Tensor, shape (batch, dim), float32
        logits : Tensor, shape (batch, n_tags), float32
            Their sigmoid is the probability of each tag.
        """
        x = self.input_norm(log_mel[:, None])
        front = torch.cat([branch(x) for branch in self.spectral], 1)
        first = self.midend[0](front)
        second = self.midend[1](first) + first
        third = self.midend[2](second) + second
        features = torch.cat([front, first, second, third], 1)  # (batch, channels, frames)
        pooled = torch.stack([features.amax(2), features.mean(2)], 2).flatten(1)  # max0, mean0, ...
        embedding = self.embedding_norm(F.relu(self.dense(pooled)))
        return embedding, self.tags(embedding)


class Convolution(nn.Module):
    """Convolution and ReLU; the input is added where it has the shape of the output."""

    def __init__(self, channels_in: int, channels: int, stride: int, width: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, width, stride, width // 2)
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels_in, frames, bands) -> (batch, channels, frames, bands) by stride."""
        features = F.relu(self.conv(x))
        return features + x if self.residual else features


class ResidualNet(nn.Module):
    """A small residual network (after He et al. 2015, arXiv 1512.03385) for a user's own classes.

    Strided convolutions over the spectrogram; the mean over time of each band and the maximum of
    each channel are the input of the classifier.

    Parameters
    ----------
    n_mels : int
        Mel bands of the input.
    channels : sequence of (channels, stride)
        Convolutions: the first 5 by 5, the others 3 by 3.
    dim : int
        Length of the embedding, the layer before the classes.
    n_tags : int
        Number of classes.
    """

    def __init__(
        self, *, n_mels: int = 96, channels: Sequence[Sequence[int]], dim: int, n_tags: int
    ) -> None:
        super().__init__()
        self.input_norm = Normalisation(1)
        self.convolutions = nn.Sequential()
        inputs, bands = 1, n_mels
        for number, (count, step) in enumerate(channels):
            self.convolutions.append(Convolution(inputs, count, step, 3 if number else 5))
            inputs, bands = count, -(-bands // step)
        self.embedding = nn.Linear(inputs * (bands + 1), dim)
        self.tags = nn.Linear(dim, n_tags)

    def forward(self, log_mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding and class logits; shapes as `MusiCNN.forward`."""
        # Channels last: a quarter less time on a CPU.
        x = self.input_norm(log_mel[:, None]).contiguous(memory_format=torch.channels_last)
        maps = self.convolutions(x)
        embedding = self.embedding(torch.cat([maps.mean(2).flatten(1), maps.amax((2, 3))], 1))
        return embedding, self.tags(F.relu(embedding))


ARCHITECTURES: Mapping[str, type[nn.Module]] = {
    "musicnn": MusiCNN,
    "residual": ResidualNet,
    "efficientat": EfficientAT,
    "fcn": FCN,
}
"""Networks by the name that a checkpoint gives them."""


def build_network(config: NetworkConfig) -> nn.Module:
    """Build the network that `config` describes, its weights not yet loaded.

    Its `forward` maps log-mels (batch, frames, n_mels) to an embedding (batch, dim) and tag logits
    (batch, n_tags).

    Raises
    ------
    ModelCorrupt
        The architecture is unknown, or the sizes do not fit it.
    """
    try:
        architecture = ARCHITECTURES[config.architecture]
    except KeyError:
        raise ModelCorrupt(
            f"the model's network {config.architecture!r} is not known to this version of "
            f"soundalike (known: {', '.join(ARCHITECTURES)}): fetch the model again, or upgrade"
        ) from None
    try:
        return architecture(**config.sizes)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelCorrupt(
            f"the sizes of the model's network {config.architecture!r} do not fit it ({error}): "
            "fetch the model again"
        ) from error
