"""FCN: a fully convolutional network for tags, from 29 s of sound (torch).

Choi, Fazekas and Sandler, "Automatic tagging using deep convolutional neural networks" (2016, arXiv
1606.00298), as Won, Ferraro, Bogdanov and Serra trained it for "Evaluation of CNN-based automatic
music tagging models" (2020, arXiv 2006.00751): five convolutions, each with a max pooling, the
last of which leaves one cell of 29 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_POOLS = ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))  # bands, frames
LAYERS = len(_POOLS)


class FCN(nn.Module):
    """Five convolutions with max pooling over a log-mel spectrogram.

    Parameters
    ----------
    channels : sequence of 5 int
        Filters of each convolution; the last is the length of the embedding.
    n_tags : int
        Number of tags.
    """

    def __init__(self, *, channels: Sequence[int], n_tags: int) -> None:
        super().__init__()
        if len(channels) != len(_POOLS):
            raise ValueError(f"{len(channels)} convolutions, expected {len(_POOLS)}")
        self.scale = nn.Parameter(torch.ones(1))
        self.shift = nn.Parameter(torch.zeros(1))
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=1)
            for inputs, outputs in zip([1, *channels], channels, strict=False)
        )
        self.tags = nn.Linear(channels[-1], n_tags)
        # Two and a half times as fast on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it

    def forward(self, log_mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding and tag logits.

        Parameters
        ----------
        log_mel : Tensor, shape (batch, 1813, 96), float32
            29 s.

        Returns
        -------
        embedding : Tensor, shape (batch, dim), float32
        logits : Tensor, shape (batch, n_tags), float32
            Their sigmoid is the probability of each tag.
        """
        x = log_mel.transpose(1, 2)[:, None] * self.scale + self.shift
        for layer, pool in zip(self.layers, _POOLS, strict=True):
            # Pooling first: ReLU is monotone, and then has fewer numbers to work on.
            x = F.relu(F.max_pool2d(layer(x), pool))
        embedding = x.flatten(1)
        return embedding, self.tags(embedding)
