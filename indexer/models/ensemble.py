"""Ensembles: the embeddings of several published networks, projected into one space.

Each part embeds the same 30 s in windows of its own length. Its mean embedding is standardised by
mean and deviation over training music and brought to unit length; the concatenation of the parts is
projected on principal axes of the same music. Means, deviations and the axes for each combination
of parts are in `ensemble.safetensors`, made by `scripts/train.py ensemble`.

A combination is a model named by its parts, as in "musicnn+mn04+fcn". `ENSEMBLE` means all parts
that are on this machine: a catalog keeps the combination it was made with when another part is
added. Importing this module loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import ModelCorrupt
from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint
from indexer.models.checkpoint import ModelInfo, NetworkConfig
from indexer.models.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

ENSEMBLE = "ensemble"
PARTS = ("musicnn", "mn04", "fcn")
"""Models that can be parts, in the order of an ensemble's name."""
WINDOW_S = 30
"""Length of a window in seconds; whole windows of every part, but for a second of the FCN's."""
PROJECTIONS = Path(__file__).with_name("ensemble.safetensors")


@dataclass(frozen=True)
class Projection:
    """Projection of the parts of one combination into one space.

    Attributes
    ----------
    means, deviations : dict of ndarray
        Mean and standard deviation of each part's embedding over training music.
    axes : ndarray, shape (sum of the lengths of the parts' embeddings, dim)
        Orthonormal columns.
    """

    means: Mapping[str, Array]
    deviations: Mapping[str, Array]
    axes: Array

    def project(self, embeddings: Mapping[str, Array]) -> Array:
        """Embedding of the ensemble (dim,), of length at most 1, from those of its parts."""
        units = []
        for part, mean in self.means.items():
            standard = (embeddings[part] - mean) / self.deviations[part]
            units.append(standard / max(float(np.linalg.norm(standard)), 1e-9))
        return np.asarray(np.concatenate(units) @ self.axes / np.sqrt(len(units)), np.float32)

    def tensors(self) -> dict[str, Array]:
        """All arrays by name, as the fingerprint takes them."""
        named = {"axes": self.axes}
        named |= {f"{part}.mean": mean for part, mean in self.means.items()}
        return named | {f"{part}.deviation": d for part, d in self.deviations.items()}


def parse_parts(name: str) -> tuple[str, ...]:
    """Names of the parts in the name of a combination; empty for any other name."""
    named = name.split("+")
    in_order = [part for part in PARTS if part in named]
    return tuple(named) if len(named) > 1 and named == in_order else ()


def read_projection(parts: Sequence[str], path: Path = PROJECTIONS) -> Projection:
    """Projection of one combination of parts.

    Raises
    ------
    ModelCorrupt
        The file is damaged or lacks the combination.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return Projection(
                {part: file.get_tensor(f"{part}.mean") for part in parts},
                {part: file.get_tensor(f"{part}.deviation") for part in parts},
                file.get_tensor(f"axes.{'+'.join(parts)}").astype(np.float32),
            )
    except (OSError, SafetensorError) as error:
        raise ModelCorrupt(
            f"the ensemble's projections in {path} cannot be read ({error}): "
            "install soundalike again"
        ) from error


def ensemble_info(parts: Sequence[ModelInfo], projection: Projection) -> ModelInfo:
    """Model card of a combination, with a fingerprint over those of its parts and the projection.

    Raises
    ------
    ModelCorrupt
        The embedding of a part has another length than that of the published network.
    """
    for part in parts:
        expected = len(projection.means[part.name])
        if part.dim != expected:
            raise ModelCorrupt(
                f"{part.path} is not the published network {part.name}: its embedding has "
                f"{part.dim} numbers instead of {expected}; import the published one"
            )
    rate = max(part.front_end.sample_rate for part in parts)
    info = ModelInfo(
        name="+".join(part.name for part in parts),
        dim=projection.axes.shape[1],
        tag_names=tuple(dict.fromkeys(tag for part in parts for tag in part.tag_names)),
        network=NetworkConfig(ENSEMBLE, {"parts": {part.name: part.fingerprint for part in parts}}),
        # Each part has its own spectrogram.
        front_end=FrontEnd(rate, 0, 0, 0, 0.0, 0.0, 0, WINDOW_S * rate),
        pooling="mean",
        licence="\n\n".join([_licence_summary(parts), *(part.licence for part in parts)]),
        source="scripts/train.py ensemble",
        fingerprint="",
        path=PROJECTIONS,
    )
    return replace(info, fingerprint=checkpoint.fingerprint(projection.tensors(), info))


def _licence_summary(parts: Sequence[ModelInfo]) -> str:
    return " ".join(f"{part.name}: {part.licence.splitlines()[0]}" for part in parts)


class Ensemble(Model):
    """Several models as one: their projected embeddings, and the means of their tag activations.

    The activation of a tag is the mean over the parts that have it.
    """

    def __init__(self, parts: Sequence[Model]) -> None:
        infos = [part.info for part in parts]
        self._projection = read_projection([info.name for info in infos])
        super().__init__(ensemble_info(infos, self._projection))
        self._parts = tuple(parts)
        columns = {tag: column for column, tag in enumerate(self.info.tag_names)}
        self._columns = [np.array([columns[tag] for tag in info.tag_names]) for info in infos]
        counts = np.bincount(np.concatenate(self._columns), minlength=len(columns))
        self._share = (1.0 / counts).astype(np.float32)

    def _embed(self, window: Array) -> tuple[Array, Array]:
        embeddings = {}
        activations = np.zeros_like(self._share)
        for part, columns in zip(self._parts, self._columns, strict=True):
            of_part, active = part.embed_windows(self._split(window, part))
            embeddings[part.info.name] = of_part.mean(0)
            activations[columns] += active.mean(0) * self._share[columns]
        return self._projection.project(embeddings), activations

    def _split(self, window: Array, part: Model) -> Array:
        """Consecutive windows of the part's length, at its sample rate."""
        import soxr

        rate, part_rate = self.info.front_end.sample_rate, part.info.front_end.sample_rate
        if part_rate != rate:
            window = soxr.resample(window, rate, part_rate, quality="HQ")
        samples = part.info.front_end.window_samples
        count = len(window) // samples
        return np.asarray(window[: count * samples]).reshape(count, samples)
