"""The published weights of MusiCNN: download through pip, check, conversion.

They are in the PyPI wheel `musicnn` 0.1.0 (ISC licence, Music Technology Group, Universitat Pompeu
Fabra, 2019) as a TensorFlow checkpoint. The wheel itself cannot be a dependency: it pins
numpy < 1.17. So pip downloads it, following the user's own index settings, and only the numbers,
the tag names and the licence are taken out.

**Dead filters.** Weight decay has driven 497 of the 561 published filters over the spectrogram to
zero: norms below 5e-6, against 0.005 to 1.3 for the other 64. The output of a dead filter is the
same constant for every frame of every sound. The conversion leaves them out and adds the constants
to the bias of the dense layer: the same embeddings (within 1e-5, at norms of 8 to 28) for a tenth
of the multiplications. Measured in one run, one thread, one window: 5.6 ms of CPU instead of 44.
"""

from __future__ import annotations

import ast
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import ModelCorrupt, ModelMissing
from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint
from indexer.models.checkpoint import ModelCard, ModelInfo, NetworkConfig
from indexer.models.tensor_bundle import read_tensor_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

REQUIREMENT = "musicnn==0.1.0"
WHEEL_SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"

_EPSILON = 1e-3  # of every batch normalisation
_DEAD_BELOW = 1e-5  # norm of a filter; see above
_SPECTRAL = 5  # convolutions over the spectrogram; three more are over time


def fetch(path: Path, *, report: Callable[[str], None], wheel: Path | None = None) -> ModelInfo:
    """Download the weights trained on the Million Song Dataset and write them as a model file.

    Parameters
    ----------
    path : Path
        The safetensors file to be written.
    report : callable
        Called with a line about each step.
    wheel : Path, optional
        The wheel, if it has been downloaded already: then nothing is.

    Raises
    ------
    ModelMissing
        pip could not get the wheel, or `wheel` cannot be read.
    ModelCorrupt
        The wheel is not the published one.
    ModelError
        The model file cannot be written.
    """
    if wheel is None:
        report(f"downloading {REQUIREMENT} through pip (29 MB)")
        content = _download()
    else:
        content = _read(wheel)
    found = hashlib.sha256(content).hexdigest()
    if found != WHEEL_SHA256:
        raise ModelCorrupt(
            f"{wheel or f'the file that pip downloaded as {REQUIREMENT}'} is not the published "
            f"wheel: its SHA-256 is {found}, expected {WHEEL_SHA256}: check where it came from"
        )
    tensors, card = convert_wheel(content)
    info = checkpoint.write(path, tensors, card)
    report(f"stored the model musicnn in {path}")
    return info


def _read(wheel: Path) -> bytes:
    try:
        return wheel.read_bytes()
    except OSError as error:
        raise ModelMissing(
            f"the wheel {wheel} cannot be read ({error.strerror or error}): check the path"
        ) from error


def _download() -> bytes:
    with tempfile.TemporaryDirectory(prefix="soundalike-") as folder:
        command = [sys.executable, "-m", "pip", "download", REQUIREMENT, "--dest", folder]
        command += ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"]
        command += ["--no-input", "--progress-bar", "off"]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        wheels = sorted(Path(folder).glob("*.whl"))
        if outcome.returncode or not wheels:
            raise ModelMissing(
                f"pip could not download {REQUIREMENT} ({_last_error(outcome.stderr)}): check the "
                "network and pip's settings, or download the wheel elsewhere and give it by --from"
            )
        return wheels[0].read_bytes()


def _last_error(stderr: str) -> str:
    """The last error in pip's output, or its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no output"])[-1][:200]


def convert_wheel(wheel: bytes) -> tuple[dict[str, npt.NDArray[np.float32]], ModelCard]:
    """Weights and model card from the content of the wheel.

    Raises
    ------
    ModelCorrupt
        Files or weights are missing, or do not fit each other.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            variables = read_tensor_bundle(
                archive.read("musicnn/MSD_musicnn/.index"),
                archive.read("musicnn/MSD_musicnn/.data-00000-of-00001"),
            )
            tag_names = _tag_names(archive.read("musicnn/configuration.py").decode())
            licence = archive.read("musicnn-0.1.0.dist-info/LICENSE.md").decode().strip()
        tensors, filters = convert_musicnn_variables(variables)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelCorrupt(
            f"the wheel {REQUIREMENT} lacks a part of the model ({error}): download it again"
        ) from error
    sizes: dict[str, Any] = {"n_mels": 96, "filters": filters, "midend": 64, "dim": 200}
    card = ModelCard(
        name="musicnn",
        dim=200,
        tag_names=tag_names,
        network=NetworkConfig("musicnn", sizes | {"n_tags": len(tag_names)}),
        front_end=FrontEnd(),
        pooling="mean",
        licence=f"ISC. {licence}",
        source=(
            f"PyPI wheel {REQUIREMENT}, MSD_musicnn; batch normalisations folded into scale and "
            "shift, filters without weight left out and their constant outputs kept as a bias"
        ),
    )
    return tensors, card


def _tag_names(configuration: str) -> tuple[str, ...]:
    """MSD_LABELS in the wheel's configuration.py, which is parsed and never run."""
    for node in ast.parse(configuration).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MSD_LABELS":
            return tuple(str(name) for name in ast.literal_eval(node.value))
    raise ValueError("MSD_LABELS is not in configuration.py")


def convert_musicnn_variables(
    variables: Mapping[str, npt.NDArray[np.float32]],
) -> tuple[dict[str, npt.NDArray[np.float32]], list[list[int]]]:
    """Parameters of `MusiCNN` from TensorFlow's variables, dead filters left out.

    Parameters
    ----------
    variables : mapping of str to ndarray
        Convolution kernels (frames, bands, in, out), dense kernels (in, out).

    Returns
    -------
    tensors : dict of str to ndarray, float32
        By parameter name.
    filters : list of [filters, frames, bands]
        Shapes of the filters left in each of the five branches over the spectrogram.

    Raises
    ------
    KeyError
        A variable is missing.
    """

    def variable(layer: str, number: int, name: str) -> Array:
        key = f"{layer}_{number}/{name}" if number else f"{layer}/{name}"
        return np.asarray(variables[key], dtype=np.float64)

    def norm(number: int) -> tuple[Array, Array]:
        gamma, beta, mean, variance = (
            variable("batch_normalization", number, name)
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + _EPSILON)
        return scale, beta - mean * scale

    tensors: dict[str, Array] = {}
    filters = []
    alive_branches, constant_branches = [], []
    tensors["input_norm.scale"], tensors["input_norm.shift"] = norm(0)
    for branch in range(_SPECTRAL):
        kernel = variable("conv2d", branch, "kernel").transpose(3, 2, 0, 1)
        bias = variable("conv2d", branch, "bias")
        scale, shift = norm(branch + 1)
        alive = np.sqrt(np.square(kernel).sum((1, 2, 3))) >= _DEAD_BELOW
        name = f"spectral.{branch}"
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = kernel[alive], bias[alive]
        tensors[f"{name}.norm.scale"], tensors[f"{name}.norm.shift"] = scale[alive], shift[alive]
        filters.append([int(alive.sum()), *kernel.shape[2:]])
        alive_branches.append(alive)
        constant_branches.append(np.maximum(bias, 0.0) * scale + shift)
    alive = np.concatenate(alive_branches)
    constant = np.concatenate(constant_branches)

    for layer in range(3):
        number = _SPECTRAL + layer
        kernel = variable("conv2d", number, "kernel")[:, :, 0].transpose(2, 1, 0)
        if layer == 0:
            # Its weights for dead filters are nearly zero: together they change its sums by 4e-8.
            kernel = kernel[:, alive]
        tensors[f"midend.{layer}.conv.weight"] = kernel
        tensors[f"midend.{layer}.conv.bias"] = variable("conv2d", number, "bias")
        scale, shift = norm(number + 1)
        tensors[f"midend.{layer}.norm.scale"], tensors[f"midend.{layer}.norm.shift"] = scale, shift

    # Pooled features come in pairs, maximum and mean; for a constant feature they are equal.
    scale, shift = norm(9)
    kernel = variable("dense", 0, "kernel")
    constants = np.repeat(np.where(alive, 0.0, constant), 2)
    constants = np.concatenate([constants, np.zeros(len(kernel) - len(constants))])
    kept = np.concatenate([np.repeat(alive, 2), np.ones(len(kernel) - 2 * len(alive), bool)])
    tensors["dense.weight"] = (kernel * scale[:, None])[kept].T
    tensors["dense.bias"] = variable("dense", 0, "bias") + (constants * scale + shift) @ kernel
    tensors["embedding_norm.scale"], tensors["embedding_norm.shift"] = norm(10)
    tensors["tags.weight"] = variable("dense", 1, "kernel").T
    tensors["tags.bias"] = variable("dense", 1, "bias")
    return {name: np.ascontiguousarray(t, dtype=np.float32) for name, t in tensors.items()}, filters
