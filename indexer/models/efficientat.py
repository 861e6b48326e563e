"""EfficientAT: a MobileNet for AudioSet's labels, from samples at 32 kHz (torch).

Schmid, Koutini and Widmer, "Efficient large-scale audio tagging via transformer-to-CNN knowledge
distillation" (2023, arXiv 2211.04772): MobileNetV3 (Howard et al. 2019, arXiv 1905.02244) over a
log-mel spectrogram, trained on AudioSet. The front end is part of the network: pre-emphasis,
Kaldi's mel bands, natural logarithm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from indexer.features.melspectrogram import FrontEnd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FRONT_END = FrontEnd(
    sample_rate=32_000,
    n_fft=1024,
    hop_length=320,
    n_mels=128,
    fmax=15_000.0,
    window_frames=1000,
    window_samples=320_000,
)
"""Windows of 10 s, the length of AudioSet's clips."""
WIDTH = 0.4
"""Channels of mn04 as a share of MobileNetV3's."""
MUSIC_CLASSES = (*range(27, 38), *range(137, 283))
"""Those of AudioSet's 527 classes that are about music: voices, instruments, genres."""
MUSIC_TAGS = """
singing; choir; yodeling; chant; mantra; male singing; female singing; child singing; synthetic
singing; rapping; humming; music; musical instrument; plucked string instrument; guitar; electric
guitar; bass guitar; acoustic guitar; steel guitar, slide guitar; tapping (guitar technique);
strum; banjo; sitar; mandolin; zither; ukulele; keyboard (musical); piano; electric piano; organ;
electronic organ; hammond organ; synthesizer; sampler; harpsichord; percussion; drum kit; drum
machine; drum; snare drum; rimshot; drum roll; bass drum; timpani; tabla; cymbal; hi-hat; wood
block; tambourine; rattle (instrument); maraca; gong; tubular bells; mallet percussion; marimba,
xylophone; glockenspiel; vibraphone; steelpan; orchestra; brass instrument; french horn; trumpet;
trombone; bowed string instrument; string section; violin, fiddle; pizzicato; cello; double bass;
wind instrument, woodwind instrument; flute; saxophone; clarinet; harp; bell; church bell; jingle
bell; bicycle bell; tuning fork; chime; wind chime; change ringing (campanology); harmonica;
accordion; bagpipes; didgeridoo; shofar; theremin; singing bowl; scratching (performance
technique); pop music; hip hop music; beatboxing; rock music; heavy metal; punk rock; grunge;
progressive rock; rock and roll; psychedelic rock; rhythm and blues; soul music; reggae; country;
swing music; bluegrass; funk; folk music; middle eastern music; jazz; disco; classical music;
opera; electronic music; house music; techno; dubstep; drum and bass; electronica; electronic
dance music; ambient music; trance music; music of latin america; salsa music; flamenco; blues;
music for children; new-age music; vocal music; a capella; music of africa; afrobeat; christian
music; gospel music; music of asia; carnatic music; music of bollywood; ska; traditional music;
independent music; song; background music; theme music; jingle (music); soundtrack music;
lullaby; video game music; christmas music; dance music; wedding music; happy music; funny music;
sad music; tender music; exciting music; angry music; scary music
"""
"""Their names in AudioSet's ontology (CC BY 4.0), in lower case, one after each semicolon."""

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
_PRE_EMPHASIS = 0.97
_HANN = 800  # samples under the window of each frame
_EPSILON = 1e-3  # of every batch normalisation
_HEAD = {"2": "dense", "5": "tags"}  # by number of the published classifier's layers


def music_tags() -> tuple[str, ...]:
    """Names of the classes in `MUSIC_CLASSES`, in that order."""
    return tuple(" ".join(MUSIC_TAGS.split()).split("; "))


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
    """MobileNetV3 over Kaldi's log-mel bands, from samples.

    Parameters
    ----------
    width : float
        Channels as a share of MobileNetV3's.
    n_tags : int
        Number of tags.
    """

    takes_waveform = True

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
        self.register_buffer("basis", torch.from_numpy(mel_basis()), persistent=False)
        self.register_buffer("hann", torch.hann_window(_HANN, periodic=False), persistent=False)
        # A tenth less time on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it

    def log_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """(batch, samples) at 32 kHz -> (batch, bands, frames); frames = 1 + (samples - 1) // hop.

        (log(P + 1e-5) + 4.5) / 5 of the power P in each mel band.
        """
        emphasised = waveform[:, 1:] - _PRE_EMPHASIS * waveform[:, :-1]
        spectrum = torch.stft(
            emphasised,
            FRONT_END.n_fft,
            FRONT_END.hop_length,
            _HANN,
            window=self.get_buffer("hann"),
            center=True,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return ((self.get_buffer("basis") @ power + 1e-5).log() + 4.5) / 5.0

    def forward(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding and tag logits.

        Parameters
        ----------
        waveform : Tensor, shape (batch, samples), float32
            At 32 kHz.

        Returns
        -------
        embedding : Tensor, shape (batch, dim), float32
        logits : Tensor, shape (batch, n_tags), float32
            Their sigmoid is the probability of each tag.
        """
        embedding = self.features(self.log_mel(waveform)[:, None]).mean((2, 3))
        return embedding, self.tags(F.hardswish(self.dense(embedding)))


def mel_basis() -> NDArray[np.float32]:
    """Kaldi's mel filter bank, float32 (128 bands, 513 bins): triangles of height 1 over mels.

    The mel is 1127 ln(1 + f / 700); no band holds the highest bin.
    """

    def mel(hz: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.asarray(1127.0 * np.log1p(hz / 700.0))

    ends = mel(np.array([FRONT_END.fmin, FRONT_END.fmax]))
    edges = np.linspace(ends[0], ends[1], FRONT_END.n_mels + 2)
    half = FRONT_END.n_fft // 2
    bins = mel(np.arange(half) * (FRONT_END.sample_rate / FRONT_END.n_fft))
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.pad(triangles, ((0, 0), (0, 1))).astype(np.float32)


def convert_mn04_variables(
    state: Mapping[str, NDArray[np.float32]],
) -> dict[str, NDArray[np.float32]]:
    """Parameters of `EfficientAT` from the variables of mn04, batch normalisations folded in.

    Raises
    ------
    KeyError
        A variable is missing.
    """
    tensors: dict[str, NDArray[np.floating]] = {}
    for key, value in state.items():
        stem, _, last = key.rpartition(".")
        layer, _, part = stem.rpartition(".")
        name = layer.removesuffix(".conc_se_layers.0")
        if key.startswith("classifier."):
            tensors[f"{_HEAD[part]}.{last}"] = value
        elif part in ("fc1", "fc2"):
            tensors[f"{name}.{part}.{last}"] = value
        elif part == "0":
            gamma, beta, mean, variance = (
                np.asarray(state[f"{layer}.1.{variable}"], dtype=np.float64)
                for variable in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gamma / np.sqrt(variance + _EPSILON)
            tensors[f"{name}.conv.weight"] = value * scale[:, None, None, None]
            tensors[f"{name}.conv.bias"] = beta - mean * scale
    return {name: np.ascontiguousarray(t, dtype=np.float32) for name, t in tensors.items()}


def _multiple_of_8(number: float) -> int:
    """MobileNet's rounding of channels: to a multiple of 8, at most a tenth downwards."""
    eights = max(8, int(number + 4) // 8 * 8)
    return eights + 8 if eights < 0.9 * number else eights
