"""FCN: a fully convolutional network for tags, from 29 s of samples at 16 kHz (torch).

Choi, Fazekas and Sandler, "Automatic tagging using deep convolutional neural networks" (2016, arXiv
1606.00298), as Won, Ferraro, Bogdanov and Serra trained it for "Evaluation of CNN-based automatic
music tagging models" (2020, arXiv 2006.00751): five convolutions, each with a max pooling, the
last of which leaves one cell of 29 s. The front end is part of the network: decibels of
the power in mel bands on the scale of HTK, kept with the weights.

**Dead filters.** A third of the first layer's published filters, a quarter of the second's and some
of the third's are multiplied by zero by their batch normalisation: their output is zero for every
sound. The conversion leaves them out. Most of their weights are denormal numbers, which made the
network 15 times slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from indexer.features.melspectrogram import FrontEnd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FRONT_END = FrontEnd(window_frames=1813, window_samples=29 * 16_000)
"""Windows of 29 s, of which the last max pooling leaves one cell."""
MSD_TAGS = """
rock; pop; alternative; indie; electronic; female vocalists; dance; 00s; alternative rock; jazz;
beautiful; metal; chillout; male vocalists; classic rock; soul; indie rock; Mellow; electronica;
80s; folk; 90s; chill; instrumental; punk; oldies; blues; hard rock; ambient; acoustic;
experimental; female vocalist; guitar; Hip-Hop; 70s; party; country; easy listening; sexy;
catchy; funk; electro; heavy metal; Progressive rock; 60s; rnb; indie pop; sad; House; happy
"""
"""The Million Song Dataset's fifty most frequent tags, one after each semicolon."""

_POOLS = ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))  # bands, frames
_EPSILON = 1e-5  # of every batch normalisation
_DEAD_BELOW = 1e-5  # gain, and shift, of a filter's normalisation
# Weights below this change no sum in 32 bits, and their products are denormal numbers.
_NEGLIGIBLE = 1e-20


def msd_tags() -> tuple[str, ...]:
    """Names of the tags, in the order of the network's outputs."""
    return tuple(" ".join(MSD_TAGS.split()).split("; "))


class FCN(nn.Module):
    """Five convolutions with max pooling, from samples.

    Parameters
    ----------
    channels : sequence of 5 int
        Filters of each convolution; the last is the length of the embedding.
    n_tags : int
        Number of tags.
    """

    takes_waveform = True

    def __init__(self, *, channels: Sequence[int], n_tags: int) -> None:
        super().__init__()
        if len(channels) != len(_POOLS):
            raise ValueError(f"{len(channels)} convolutions, expected {len(_POOLS)}")
        self.basis = nn.Parameter(torch.zeros(1 + FRONT_END.n_fft // 2, FRONT_END.n_mels))
        self.scale = nn.Parameter(torch.ones(1))
        self.shift = nn.Parameter(torch.zeros(1))
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=1)
            for inputs, outputs in zip([1, *channels], channels, strict=False)
        )
        self.tags = nn.Linear(channels[-1], n_tags)
        self.register_buffer("hann", torch.hann_window(FRONT_END.n_fft), persistent=False)
        # Two and a half times as fast on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it

    def decibels(self, waveform: torch.Tensor) -> torch.Tensor:
        """(batch, samples) at 16 kHz -> (batch, bands, frames), frames = 1 + samples // hop."""
        spectrum = torch.stft(
            waveform,
            FRONT_END.n_fft,
            FRONT_END.hop_length,
            window=self.get_buffer("hann"),
            center=True,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = power.transpose(1, 2) @ self.basis
        return 10.0 * torch.log10(mel.clamp(min=1e-10)).transpose(1, 2)

    def forward(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding and tag logits.

        Parameters
        ----------
        waveform : Tensor, shape (batch, 464000), float32
            29 s at 16 kHz.

        Returns
        -------
        embedding : Tensor, shape (batch, dim), float32
        logits : Tensor, shape (batch, n_tags), float32
            Their sigmoid is the probability of each tag.
        """
        x = self.decibels(waveform)[:, None] * self.scale + self.shift
        for layer, pool in zip(self.layers, _POOLS, strict=True):
            # Pooling first: ReLU is monotone, and then has fewer numbers to work on.
            x = F.relu(F.max_pool2d(layer(x), pool))
        embedding = x.flatten(1)
        return embedding, self.tags(embedding)


def convert_fcn_variables(
    state: Mapping[str, NDArray[np.float32]],
) -> tuple[dict[str, NDArray[np.float32]], list[int]]:
    """Parameters of `FCN` from the published variables, dead filters left out.

    Returns
    -------
    tensors : dict of str to ndarray, float32
        By parameter name.
    channels : list of int
        Filters left in each convolution.

    Raises
    ------
    KeyError
        A variable is missing.
    """

    def norm(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        gamma, beta, mean, variance = (
            np.asarray(state[f"{name}.{variable}"], dtype=np.float64)
            for variable in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _EPSILON)
        return scale, beta - mean * scale

    tensors: dict[str, NDArray[np.floating]] = {
        "basis": state["spec.mel_scale.fb"],
        "tags.weight": state["dense.weight"],
        "tags.bias": state["dense.bias"],
    }
    tensors["scale"], tensors["shift"] = norm("spec_bn")
    channels: list[int] = []
    inputs = np.ones(1, dtype=bool)
    for number in range(len(_POOLS)):
        name = f"layer{number + 1}"
        alive = np.abs(state[f"{name}.bn.weight"]) > _DEAD_BELOW
        alive |= state[f"{name}.bn.bias"] > _DEAD_BELOW
        if number == len(_POOLS) - 1:
            alive[:] = True
        scale, shift = norm(f"{name}.bn")
        weight = state[f"{name}.conv.weight"] * scale[:, None, None, None]
        weight = np.where(np.abs(weight) < _NEGLIGIBLE, 0.0, weight)
        bias = state[f"{name}.conv.bias"] * scale + shift
        tensors[f"layers.{number}.weight"] = weight[alive][:, inputs]
        tensors[f"layers.{number}.bias"] = bias[alive]
        channels.append(int(alive.sum()))
        inputs = alive
    return {
        name: np.ascontiguousarray(t, dtype=np.float32) for name, t in tensors.items()
    }, channels
