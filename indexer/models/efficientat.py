"""EfficientAT: a MobileNet for AudioSet's labels (torch).

Schmid, Koutini and Widmer, "Efficient large-scale audio tagging via transformer-to-CNN knowledge
distillation" (2023, arXiv 2211.04772): MobileNetV3 (Howard et al. 2019, arXiv 1905.02244) over a
log-mel spectrogram of sound at 32 kHz, trained on AudioSet.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_BLOCKS = (  # kernel, expanded channels, channels, squeeze and excitation, hard swish, stride
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)


class Convolution(nn.Module):
    """Convolution, with its batch normalisation folded in, and activation."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        width: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, width, stride, width // 2, groups=groups)
        self.activation = activation or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels_in, bands, frames) -> (batch, channels, bands, frames) by stride."""
        features: torch.Tensor = self.activation(self.conv(x))
        return features


class SqueezeExcitation(nn.Module):
    """Weights each channel by a function of the means of all channels (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _multiple_of_8(channels // 4)
        self.fc1 = nn.Linear(channels, squeezed)
        self.fc2 = nn.Linear(squeezed, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, bands, frames) -> the same shape."""
        weight = torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3))))))
        return x * weight[:, :, None, None]


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, excitation, projection (Sandler et al. 2018)."""

    def __init__(
        self,
        channels_in: int,
        expanded: int,
        channels: int,
        *,
        kernel: int,
        squeeze: bool,
        hard_swish: bool,
        stride: int,
    ) -> None:
        super().__init__()
        activation = nn.Hardswish() if hard_swish else nn.ReLU()
        self.block = nn.Sequential()
        if expanded != channels_in:
            self.block.append(Convolution(channels_in, expanded, 1, activation=activation))
        self.block.append(
            Convolution(
                expanded, expanded, kernel, stride=stride, groups=expanded, activation=activation
            )
        )
        if squeeze:
            self.block.append(SqueezeExcitation(expanded))
        self.block.append(Convolution(expanded, channels, 1))
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels_in, bands, frames) -> (batch, channels, bands, frames) by stride."""
        features: torch.Tensor = self.block(x)
        return features + x if self.residual else features


class EfficientAT(nn.Module):
    """MobileNetV3 over a log-mel spectrogram.

    Parameters
    ----------
    width : float
        Channels as a share of MobileNetV3's.
    n_tags : int
        Number of tags.
    """

    def __init__(self, *, width: float, n_tags: int) -> None:
        super().__init__()

        def wide(channels: int) -> int:
            return _multiple_of_8(channels * width)

        self.features = nn.Sequential(
            Convolution(1, wide(16), 3, stride=2, activation=nn.Hardswish())
        )
        inputs = wide(16)
        for kernel, expanded, channels, squeeze, hard_swish, stride in _BLOCKS:
            self.features.append(
                InvertedResidual(
                    inputs,
                    wide(expanded),
                    wide(channels),
                    kernel=kernel,
                    squeeze=squeeze,
                    hard_swish=hard_swish,
                    stride=stride,
                )
            )
            inputs = wide(channels)
        self.features.append(Convolution(inputs, 6 * inputs, 1, activation=nn.Hardswish()))
        self.dense = nn.Linear(6 * inputs, wide(1280))
        self.tags = nn.Linear(wide(1280), n_tags)
        # A tenth less time on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it

    def forward(self, log_mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding and tag logits.

        Parameters
        ----------
        log_mel : Tensor, shape (batch, frames, 128), float32

        Returns
        -------
        embedding : Tensor, shape (batch, dim), float32
        logits : Tensor, shape (batch, n_tags), float32
            Their sigmoid is the probability of each tag.
        """
        embedding = self.features(log_mel.transpose(1, 2)[:, None]).mean((2, 3))
        return embedding, self.tags(F.hardswish(self.dense(embedding)))


def _multiple_of_8(number: float) -> int:
    """MobileNet's rounding of channels: to a multiple of 8, at most a tenth downwards."""
    eights = max(8, int(number + 4) // 8 * 8)
    return eights + 8 if eights < 0.9 * number else eights
