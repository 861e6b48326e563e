"""Ensembles: the embeddings of several networks as one, each hearing the same windows.

Each network embeds the windows of a track joined to its own length (`indexer.models.splice`). Its
mean embedding is brought to unit length; the concatenation is projected on principal axes of
training music. The tags are the union of the networks' tags. Importing this module loads no torch.

A model file of an ensemble names its networks by model and fingerprint, and holds the axes
(`scripts/train.py fit`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import ModelCorrupt
from indexer.models.model import Features, Model, PowerSpectra, mean_features, unit
from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from indexer.models.checkpoint import ModelInfo, NetworkConfig
    from indexer.models.model import NetworkModel, Waveforms

    Array = NDArray[np.float32]

ENSEMBLE = "ensemble"
"""Name of the architecture in a model file."""


@dataclass(frozen=True)
class Part:
    """One network of an ensemble, as the model file describes it.

    Attributes
    ----------
    name, fingerprint : str
        Of the model that the network is in.
    every : int
        It embeds every so many windows only.
    pieces : int
        It embeds at most so many pieces of its length, see `indexer.models.splice`.
    """

    name: str
    fingerprint: str
    every: int
    pieces: int


def parts_of(config: NetworkConfig) -> tuple[Part, ...]:
    """The networks of an ensemble; empty for any other architecture.

    Raises
    ------
    TypeError
        The description is not one of an ensemble.
    """
    if config.architecture != ENSEMBLE:
        return ()
    return tuple(Part(**part) for part in config.sizes["parts"])


class Ensemble(Model):
    """Several networks as one model.

    Parameters
    ----------
    networks : sequence of NetworkModel
        In the order of `parts_of(info.network)`.
    tensors : mapping of str to ndarray
        `axes` (the sum of the networks' dimensions, dim).

    Raises
    ------
    ModelCorrupt
        The tensors do not fit the networks.
    """

    def __init__(
        self,
        info: ModelInfo,
        networks: Sequence[NetworkModel],
        tensors: Mapping[str, NDArray[np.floating]],
    ) -> None:
        rates = sorted({network.info.front_end.sample_rate for network in networks})
        super().__init__(info, rates)
        self._networks = tuple(networks)
        self._parts = parts_of(info.network)
        self._ends = np.cumsum([network.info.dim for network in networks])
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if shapes != {"axes": (self._ends[-1], info.dim)}:
            raise ModelCorrupt(f"the weights in {info.path} do not fit its networks: get it again")
        self._axes = tensors["axes"].astype(np.float32)
        self._votes = tag_votes([network.info.tag_names for network in networks], info.tag_names)

    def embed(self, waveforms: Waveforms) -> Features:
        """See `Model.embed`."""
        spectra = PowerSpectra(waveforms)
        parts = [
            network.embed_spectra(spectra, every=part.every, pieces=part.pieces)
            for network, part in zip(self._networks, self._parts, strict=True)
        ]
        return Features(
            np.concatenate([part.vector for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
            spectra.windows,
        )

    def pool(self, batches: Sequence[Features]) -> tuple[Array, Array]:
        """See `Model.pool`."""
        mean = mean_features(batches)
        parts = np.split(mean.vector, self._ends[:-1])
        projected = np.concatenate([unit_rows(part[np.newaxis])[0] for part in parts]) @ self._axes
        return unit(projected), joined_probabilities(mean.probabilities, self._votes)


def principal_axes(vectors: Array, count: int) -> Array:
    """The first axes (dim, count) of rows (n, dim): of the inner products, nothing is centred.

    Of fewer rows than axes, the rest of the axes is any orthonormal one.
    """
    _, _, axes = np.linalg.svd(vectors, full_matrices=len(vectors) < count)
    return np.ascontiguousarray(axes[:count].T)


def joined_tags(networks: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Names of the tags that any of the networks has, in the order of their first appearance."""
    return tuple(dict.fromkeys(tag for names in networks for tag in names))


def tag_votes(networks: Sequence[Sequence[str]], tag_names: Sequence[str]) -> Array:
    """Share of each network's output in each tag, (tags, sum of the networks' tags).

    Equal shares of the networks that have the tag.
    """
    outputs = np.array([tag for names in networks for tag in names])
    votes = (np.array(tag_names)[:, None] == outputs).astype(np.float32)
    return np.asarray(votes / votes.sum(1, keepdims=True), dtype=np.float32)


def joined_probabilities(probabilities: Array, votes: Array) -> Array:
    """Probabilities (tags,) of the joined tags, from those of the networks (outputs,).

    Log-odds are averaged, not probabilities: the mean of probabilities that are right each by
    itself is too near to a half (Ranjan & Gneiting, "Combining probability forecasts", Journal of
    the Royal Statistical Society B 72(1), 2010).
    """
    wide = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(1.0 / (1.0 + np.exp(-(votes @ np.log(wide / (1 - wide))))), np.float32)
