"""Several published networks as one: a better ear than any of them.

Each part hears the same half minute in windows of its own. Its mean embedding is standardised with
the mean and deviation it had over training music and brought to unit length; side by side the parts
are the ensemble's vector, which principal axes of the same music bring down to fewer numbers. These
constants are in `ensemble.safetensors`, made by `scripts/train.py ensemble`; there are axes for
each combination of parts.

A combination is a model with the name of its parts, as in "musicnn+mn04+fcn". `ENSEMBLE` stands for
all parts that are on this machine: a catalog keeps the combination it was made with when another
part arrives. Importing this module loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import ModelCorrupt
from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint
from indexer.models.base import Model
from indexer.models.checkpoint import ModelInfo, NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

ENSEMBLE = "ensemble"
PARTS = ("musicnn", "mn04", "fcn")
"""What an ensemble can be made of, in the order of its name."""
WINDOW_S = 30
"""Seconds of a window: whole windows of all parts but the last second of the FCN's."""
CONSTANTS = Path(__file__).with_name("ensemble.safetensors")


@dataclass(frozen=True)
class Constants:
    """What brings the parts of one combination into one space.

    Attributes
    ----------
    means, deviations : dict of ndarray
        Of each part's embedding over training music.
    axes : ndarray, shape (sum of the parts' lengths, dim)
        Orthonormal columns.
    """

    means: Mapping[str, Array]
    deviations: Mapping[str, Array]
    axes: Array

    def project(self, embeddings: Mapping[str, Array]) -> Array:
        """The ensemble's vector (dim,), length at most 1, from the parts' embeddings."""
        units = []
        for part, mean in self.means.items():
            standard = (embeddings[part] - mean) / self.deviations[part]
            units.append(standard / max(float(np.linalg.norm(standard)), 1e-9))
        return np.asarray(np.concatenate(units) @ self.axes / np.sqrt(len(units)), np.float32)

    def tensors(self) -> dict[str, Array]:
        """All numbers by name, as the fingerprint takes them."""
        named = {"axes": self.axes}
        named |= {f"{part}.mean": mean for part, mean in self.means.items()}
        return named | {f"{part}.deviation": d for part, d in self.deviations.items()}


def parts_of(name: str) -> tuple[str, ...]:
    """The parts that a combination's name lists; empty if it is no such name."""
    named = name.split("+")
    in_order = [part for part in PARTS if part in named]
    return tuple(named) if len(named) > 1 and named == in_order else ()


def read_constants(parts: Sequence[str]) -> Constants:
    """The constants of one combination.

    Raises
    ------
    ModelCorrupt
        The package's file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(CONSTANTS, framework="numpy") as file:
            return Constants(
                {part: file.get_tensor(f"{part}.mean") for part in parts},
                {part: file.get_tensor(f"{part}.deviation") for part in parts},
                file.get_tensor(f"axes.{'+'.join(parts)}").astype(np.float32),
            )
    except (OSError, SafetensorError) as error:
        raise ModelCorrupt(
            f"the ensemble's constants in {CONSTANTS} cannot be read ({error}): "
            "install soundalike again"
        ) from error


def describe(parts: Sequence[ModelInfo], constants: Constants) -> ModelInfo:
    """What a combination says of itself; its fingerprint is over the parts' and the constants.

    Raises
    ------
    ModelCorrupt
        A part has another length than the published network of its name.
    """
    for part in parts:
        expected = len(constants.means[part.name])
        if part.dim != expected:
            raise ModelCorrupt(
                f"{part.path} is not the published network {part.name}: its embedding has "
                f"{part.dim} numbers instead of {expected}; import the published one"
            )
    rate = max(part.front_end.sample_rate for part in parts)
    info = ModelInfo(
        name="+".join(part.name for part in parts),
        dim=constants.axes.shape[1],
        tag_names=tuple(dict.fromkeys(tag for part in parts for tag in part.tag_names)),
        network=NetworkConfig(ENSEMBLE, {"parts": {part.name: part.fingerprint for part in parts}}),
        # The parts make their own spectrograms.
        front_end=FrontEnd(rate, 0, 0, 0, 0.0, 0.0, 0, WINDOW_S * rate),
        pooling="mean",
        licence="\n\n".join([_first_lines(parts), *(part.licence for part in parts)]),
        source="scripts/train.py ensemble",
        fingerprint="",
        path=CONSTANTS,
    )
    return replace(info, fingerprint=checkpoint.fingerprint(constants.tensors(), info))


def _first_lines(parts: Sequence[ModelInfo]) -> str:
    return " ".join(f"{part.name}: {part.licence.splitlines()[0]}" for part in parts)


class Ensemble(Model):
    """Parts that hear the same sound, and the space their embeddings come together in.

    A tag's activation is the mean over the parts that know it.
    """

    def __init__(self, parts: Sequence[Model]) -> None:
        infos = [part.info for part in parts]
        self._constants = read_constants([info.name for info in infos])
        super().__init__(describe(infos, self._constants))
        self._parts = tuple(parts)
        place = {tag: number for number, tag in enumerate(self.info.tag_names)}
        self._tags = [np.array([place[tag] for tag in info.tag_names]) for info in infos]
        knowing = np.bincount(np.concatenate(self._tags), minlength=len(place))
        self._share = (1.0 / knowing).astype(np.float32)

    def _embed(self, window: Array) -> tuple[Array, Array]:
        embeddings = {}
        activations = np.zeros_like(self._share)
        for part, tags in zip(self._parts, self._tags, strict=True):
            embedded, active = part.embed_windows(self._cut(window, part))
            embeddings[part.info.name] = embedded.mean(0)
            activations[tags] += active.mean(0) * self._share[tags]
        return self._constants.project(embeddings), activations

    def _cut(self, window: Array, part: Model) -> Array:
        """The part's own windows, one after the other, at its rate."""
        import soxr

        rate, wanted = self.info.front_end.sample_rate, part.info.front_end.sample_rate
        sound = soxr.resample(window, rate, wanted, quality="HQ") if rate != wanted else window
        samples = part.info.front_end.window_samples
        count = len(sound) // samples
        return np.asarray(sound[: count * samples]).reshape(count, samples)
