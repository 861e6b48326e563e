"""The published networks as model files of this package: MusiCNN, EfficientAT's mn04, Won's FCN.

Their checkpoints are pickles: only files with the published SHA-256 are opened, and without the
code that a pickle can run (`weights_only`). Batch normalisations are folded into the convolutions
before them, or kept as a scale and a shift where an activation lies between.

**Dead filters.** Weight decay has driven 497 of MusiCNN's 561 filters over the spectrogram to zero:
norms below 5e-6, against 0.005 to 1.3 for the other 64. The output of a dead filter is the same
constant for every frame of every sound; the conversion leaves them out and adds the constants to
the bias of the dense layer: the same embeddings for a tenth of the multiplications. A third of the
FCN's filters in the first layer, a quarter in the second and some in the third are multiplied by
zero by their normalisation and left out; most of their weights are denormal numbers, which made the
network 15 times slower. mn04 has no dead filters.

Weights are stored in half precision and computed with in single precision.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from indexer.errors import ModelCorrupt
from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint, fcn
from indexer.models.checkpoint import ModelCard, ModelInfo, NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Variables = Mapping[str, NDArray[np.float32]]

MN04_FRONT_END = FrontEnd(
    sample_rate=32_000,
    n_fft=1024,
    hop_length=320,
    n_mels=128,
    fmax=15_000.0,
    window_frames=1000,
    win_length=800,
    pre_emphasis=0.97,
    filters="kaldi",
    scale="log(P + 1e-5)",
)
"""10 s, the length of AudioSet's clips."""
FCN_FRONT_END = FrontEnd(window_frames=1813, filters="htk", scale="decibels")
"""29 s, of which the last max pooling leaves one cell."""
MN04_WIDTH = 0.4
"""Channels of mn04 as a share of MobileNetV3's."""
MUSIC_CLASSES = (*range(27, 38), *range(137, 283))
"""Those of AudioSet's 527 classes that are about music: voices, instruments, genres."""
MUSICNN_BRANCHES = ("timbre.0", "timbre.1", "rhythm.0", "rhythm.1", "rhythm.2")
"""Convolutions of MusiCNN over the spectrogram, in the order of their outputs."""
MUSICNN_DEAD_BELOW = 1e-5
"""Norm of a filter; see above."""
FCN_DEAD_BELOW = 1e-5
"""Gain, and shift, of a filter's normalisation."""
FCN_NEGLIGIBLE = 1e-20
"""Weights below this change no sum in 32 bits, and their products are denormal numbers."""
_KERAS_EPSILON, _TORCH_EPSILON, _MOBILENET_EPSILON = 1e-3, 1e-5, 1e-3
_MOBILENET_HEAD = {"2": "dense", "5": "tags"}  # by number of the published classifier's layers


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A checkpoint that others published.

    Attributes
    ----------
    name : str
        Name of the model that it becomes.
    file, notice : str
        Names of the checkpoint, and of the file with its licence and copyright.
    licence : str
        Name of the licence.
    source : str
        Where it was published.
    sha256 : str
        SHA-256 (hex) of the checkpoint.
    """

    name: str
    file: str
    notice: str
    licence: str
    source: str
    sha256: str


PUBLISHED = (
    PublishedCheckpoint(
        "musicnn",
        "msd_musicnn.pt",
        "LICENSE.musicnn-ISC.txt",
        "ISC",
        "MSD_musicnn of https://github.com/jordipons/musicnn, by way of "
        "https://github.com/Quint-e/musicnn_keras",
        "84ca34a066c34bd0f93e0779b12affbcfe4f069ad329bade66f2aed4e827b4ef",
    ),
    PublishedCheckpoint(
        "mn04",
        "mn04_as_mAP_432.pt",
        "LICENSE.EfficientAT-MIT.txt",
        "MIT",
        "mn04_as_mAP_432.pt, release v0.0.1 of https://github.com/fschmid56/EfficientAT",
        "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    ),
    PublishedCheckpoint(
        "fcn",
        "msd_fcn.pth",
        "LICENSE.sota-music-tagging-MIT.txt",
        "MIT",
        "models/msd/fcn/best_model.pth of https://github.com/minzwon/sota-music-tagging-models",
        "6012aa7eecf864a8081faedca56af054521e8dfb9c5c98659a3dd5d3e1e66f21",
    ),
)


def convert(published: PublishedCheckpoint, folder: Path, out: Path) -> ModelInfo:
    """Write a published checkpoint in `folder` as the model file `out`.

    Raises
    ------
    ModelCorrupt
        The file is not the published one.
    OSError
        A file is missing, or cannot be written.
    """
    content = (folder / published.file).read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != published.sha256:
        raise ModelCorrupt(
            f"{folder / published.file} is not the published checkpoint: its SHA-256 is {found}, "
            f"expected {published.sha256}: get it from {published.source}"
        )
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    variables = {name: variable.numpy() for name, variable in state.items()}
    tensors, dim, network, front_end, tags = _CONVERSIONS[published.name](variables, folder)
    card = ModelCard(
        name=published.name,
        dim=dim,
        tag_names=tags,
        network=network,
        front_end=front_end,
        pooling="mean",
        licence=f"{published.licence}. {(folder / published.notice).read_text().strip()}",
        source=published.source,
    )
    halves = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
    return checkpoint.write(out, halves, card)


_Converted = tuple[dict[str, "NDArray[Any]"], int, NetworkConfig, FrontEnd, tuple[str, ...]]


def _fold(variables: Variables, name: str, epsilon: float) -> tuple[Array, Array]:
    """Scale and shift of a batch normalisation."""
    gamma, beta, mean, variance = (
        np.asarray(variables[f"{name}.{variable}"], dtype=np.float64)
        for variable in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def _musicnn(variables: Variables, folder: Path) -> _Converted:
    """Parameters of `MusiCNN`, dead filters left out."""
    tensors: dict[str, Array] = {}
    filters = []
    alive_branches, constant_branches = [], []
    tensors["input_norm.scale"], tensors["input_norm.shift"] = _fold(
        variables, "bn_in", _KERAS_EPSILON
    )
    for branch, published in enumerate(MUSICNN_BRANCHES):
        kernel = np.asarray(variables[f"{published}.conv.weight"], dtype=np.float64)
        bias = np.asarray(variables[f"{published}.conv.bias"], dtype=np.float64)
        scale, shift = _fold(variables, f"{published}.bn", _KERAS_EPSILON)
        alive = np.sqrt(np.square(kernel).sum((1, 2, 3))) >= MUSICNN_DEAD_BELOW
        name = f"spectral.{branch}"
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = kernel[alive], bias[alive]
        tensors[f"{name}.norm.scale"], tensors[f"{name}.norm.shift"] = scale[alive], shift[alive]
        filters.append([int(alive.sum()), *kernel.shape[2:]])
        alive_branches.append(alive)
        constant_branches.append(np.maximum(bias, 0.0) * scale + shift)
    alive = np.concatenate(alive_branches)
    constant = np.concatenate(constant_branches)
    for layer in range(3):
        kernel = np.asarray(variables[f"mid.{layer}.conv.weight"], dtype=np.float64)
        kernel = kernel[:, 0].transpose(0, 2, 1)  # (out, in, frames)
        # Its weights for dead filters are nearly zero: together they change its sums by 4e-8.
        tensors[f"midend.{layer}.conv.weight"] = kernel if layer else kernel[:, alive]
        tensors[f"midend.{layer}.conv.bias"] = variables[f"mid.{layer}.conv.bias"]
        scale, shift = _fold(variables, f"mid.{layer}.bn", _KERAS_EPSILON)
        tensors[f"midend.{layer}.norm.scale"], tensors[f"midend.{layer}.norm.shift"] = scale, shift
    # Pooled features come in pairs, maximum and mean; for a constant feature they are equal.
    scale, shift = _fold(variables, "bn_flat", _KERAS_EPSILON)
    kernel = np.asarray(variables["dense.weight"], dtype=np.float64)
    constants = np.repeat(np.where(alive, 0.0, constant), 2)
    constants = np.concatenate([constants, np.zeros(kernel.shape[1] - len(constants))])
    kept = np.concatenate([np.repeat(alive, 2), np.ones(kernel.shape[1] - 2 * len(alive), bool)])
    tensors["dense.weight"] = (kernel * scale)[:, kept]
    tensors["dense.bias"] = variables["dense.bias"] + kernel @ (constants * scale + shift)
    tensors["embedding_norm.scale"], tensors["embedding_norm.shift"] = _fold(
        variables, "bn_dense", _KERAS_EPSILON
    )
    tensors["tags.weight"], tensors["tags.bias"] = variables["out.weight"], variables["out.bias"]
    tags = _msd_tags(folder)
    sizes = {"n_mels": 96, "filters": filters, "midend": 64, "dim": 200, "n_tags": len(tags)}
    return tensors, 200, NetworkConfig("musicnn", sizes), FrontEnd(), tags


def _msd_tags(folder: Path) -> tuple[str, ...]:
    """The Million Song Dataset's fifty most frequent tags, which two of the networks know."""
    return tuple(json.loads((folder / "tags50.json").read_text(encoding="utf-8"))["msd"])


def _mn04(variables: Variables, folder: Path) -> _Converted:
    """Parameters of `EfficientAT`, of AudioSet's classes those about music."""
    tensors: dict[str, NDArray[Any]] = {}
    for key, value in variables.items():
        stem, _, last = key.rpartition(".")
        layer, _, part = stem.rpartition(".")
        name = layer.removesuffix(".conc_se_layers.0")
        if key.startswith("classifier."):
            tensors[f"{_MOBILENET_HEAD[part]}.{last}"] = value
        elif part in ("fc1", "fc2"):
            tensors[f"{name}.{part}.{last}"] = value
        elif part == "0":
            scale, shift = _fold(variables, f"{layer}.1", _MOBILENET_EPSILON)
            tensors[f"{name}.conv.weight"] = value * scale[:, None, None, None]
            tensors[f"{name}.conv.bias"] = shift
    for name in ("tags.weight", "tags.bias"):
        tensors[name] = tensors[name][list(MUSIC_CLASSES)]
    with (folder / "audioset_labels.csv").open(encoding="utf-8", newline="") as file:
        classes = [row["display_name"].lower() for row in csv.DictReader(file)]
    tags = tuple(classes[number] for number in MUSIC_CLASSES)
    config = NetworkConfig("efficientat", {"width": MN04_WIDTH, "n_tags": len(tags)})
    return tensors, int(tensors["dense.weight"].shape[1]), config, MN04_FRONT_END, tags


def _fcn(variables: Variables, folder: Path) -> _Converted:
    """Parameters of `FCN`, dead filters left out."""
    tensors: dict[str, NDArray[Any]] = {
        "tags.weight": variables["dense.weight"],
        "tags.bias": variables["dense.bias"],
    }
    tensors["scale"], tensors["shift"] = _fold(variables, "spec_bn", _TORCH_EPSILON)
    channels: list[int] = []
    inputs = np.ones(1, dtype=bool)
    for number in range(fcn.LAYERS):
        name = f"layer{number + 1}"
        alive = np.abs(variables[f"{name}.bn.weight"]) > FCN_DEAD_BELOW
        alive |= variables[f"{name}.bn.bias"] > FCN_DEAD_BELOW
        if number == fcn.LAYERS - 1:
            alive[:] = True
        scale, shift = _fold(variables, f"{name}.bn", _TORCH_EPSILON)
        weight = variables[f"{name}.conv.weight"] * scale[:, None, None, None]
        weight = np.where(np.abs(weight) < FCN_NEGLIGIBLE, 0.0, weight)
        bias = variables[f"{name}.conv.bias"] * scale + shift
        tensors[f"layers.{number}.weight"] = weight[alive][:, inputs]
        tensors[f"layers.{number}.bias"] = bias[alive]
        channels.append(int(alive.sum()))
        inputs = alive
    tags = _msd_tags(folder)
    config = NetworkConfig("fcn", {"channels": channels, "n_tags": len(tags)})
    return tensors, channels[-1], config, FCN_FRONT_END, tags


_CONVERSIONS = {"musicnn": _musicnn, "mn04": _mn04, "fcn": _fcn}
