"""Candidates for the default model, and the rule of `evaluation.choice` applied to them in stages.

Each stage settles one question and hands its winner to the next: which networks, how windows are
joined, how many windows MusiCNN embeds, how far the mean of training music is taken from each
network's unit vectors, how many principal axes are kept, whether loudness is normalised first. The
first candidate of all is the default model of before, whose embeddings are kept beside this module.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from evaluation.choice import Task, Verdict, choose
from evaluation.joinings import JOININGS, cut
from indexer.audio.reading import SAMPLE_RATE, open_track
from indexer.errors import QueryError
from indexer.features.descriptors import describe, measure
from indexer.models.ensemble import principal_axes
from indexer.models.model import PowerSpectra
from indexer.models.registry import load_model
from indexer.vectors.unit_vectors import unit_rows
from recommender.evaluation.metrics import cosines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from evaluation.embeddings import Cache
    from indexer.models.model import NetworkModel, Waveforms

Array: TypeAlias = "NDArray[np.float32]"
Scores: TypeAlias = "NDArray[np.float64]"

NETWORKS = ("musicnn", "mn04", "fcn")
"""Names of the models that are joined."""
PREVIOUS = "previous default"
PREVIOUS_EMBEDDINGS = Path(__file__).with_name("previous_default.npz")
"""Embeddings of the development sets by MusiCNN with a head distilled from the three networks
(commit 792951c, model e7a26a7cf423), twelve windows: `paths` as in the tables, `vectors`."""
LOUDNESS_LUFS = -14.0
FRAMES = "frames"
"""The joining of `indexer.models.splice`."""


@dataclass(frozen=True)
class Recipe:
    """How an embedding is made of the networks' embeddings.

    Attributes
    ----------
    networks : tuple of str
    joining : str
        `FRAMES` or a key of `JOININGS`.
    every : int
        MusiCNN embeds every so many windows.
    pieces : int
        mn04 embeds at most so many pieces of 10 s.
    centring : float
        Share of the mean of training music that is taken from the unit vectors.
    axes : int
        Principal axes that are kept; 0 keeps all dimensions.
    normalised : bool
        Whether loudness is brought to `LOUDNESS_LUFS` first.
    """

    networks: tuple[str, ...] = NETWORKS
    joining: str = FRAMES
    every: int = 1
    pieces: int = 3
    centring: float = 0.0
    axes: int = 0
    normalised: bool = False

    def vectors(self, arrays: Mapping[str, Array], training: Sequence[int]) -> Array:
        """Embeddings (files, dim), float32, of what `network_embeddings` found in all files."""
        parts = [arrays[self.array(name)] for name in self.networks]
        rows = list(training)
        units = [unit_rows(part) for part in parts]
        joined = np.concatenate(
            [unit_rows(one - self.centring * one[rows].mean(0)) for one in units], 1
        )
        if self.axes:
            joined = joined @ principal_axes(joined[rows], self.axes)
        return np.asarray(joined, dtype=np.float32)

    def array(self, network: str) -> str:
        """Name of a network's array in what `embed_networks` returns."""
        if network == "musicnn":
            kind = f"every {self.every}"
        elif self.joining != FRAMES:
            kind = self.joining
        else:
            kind = f"{self.pieces} pieces" if network == "mn04" else FRAMES
        return f"{network}, {kind}{', normalised' if self.normalised else ''}"


@dataclass(frozen=True)
class Stage:
    """The candidates of one question, what the rule says of each, and who has won.

    Attributes
    ----------
    cheaper : bool
        Whether each candidate costs less than the one before it.
    verdicts : dict of name to Verdict
        None for the first candidate.
    scores : dict of name to list of ndarray (queries, 2)
        By task.
    """

    title: str
    cheaper: bool
    winner: str
    verdicts: Mapping[str, Verdict | None]
    scores: Mapping[str, Sequence[Scores]]


@dataclass(frozen=True)
class Question:
    """What is settled in one stage; `candidates` makes them of the recipe in place."""

    title: str
    candidates: Callable[[Recipe], dict[str, Recipe]]
    cheaper: bool = False


QUESTIONS = (
    Question(
        "networks",
        lambda one: {
            " + ".join(names): replace(one, networks=names)
            for names in (
                ("musicnn",),
                ("mn04",),
                ("fcn",),
                ("mn04", "fcn"),
                ("musicnn", "mn04"),
                ("musicnn", "fcn"),
                NETWORKS,
            )
        },
    ),
    Question(
        "joining of windows",
        lambda one: {name: replace(one, joining=name) for name in (FRAMES, *JOININGS)},
    ),
    Question(
        "mean of training music",
        lambda one: {
            f"{share:.0%} taken away": replace(one, centring=share) for share in (0.0, 0.5, 1.0)
        },
    ),
    Question(
        "windows of MusiCNN",
        lambda one: {
            name: replace(one, every=every)
            for name, every in (("all", 1), ("every second", 2), ("every fourth", 4))
        },
        cheaper=True,
    ),
    Question(
        "sound for mn04",
        lambda one: {
            f"{10 * pieces} s of all windows": replace(one, pieces=pieces) for pieces in (3, 2, 1)
        },
        cheaper=True,
    ),
    Question(
        "principal axes",
        lambda one: {f"{axes or 'all'} axes": replace(one, axes=axes) for axes in (0, 192)},
        cheaper=True,
    ),
    Question(
        "loudness",
        lambda one: {
            "as it is": one,
            f"normalised to {LOUDNESS_LUFS:g} LUFS": replace(one, normalised=True),
        },
    ),
)


def embed_networks(
    paths: Sequence[Path], *, cache: Cache, report: Callable[[str], None]
) -> dict[str, Array]:
    """Mean embeddings (files, dim) by each network, of each joining, with and without normalising.

    Raises
    ------
    AnalysisError
        A file cannot be analysed.
    """
    models = [load_model(name) for name in NETWORKS]
    maker = "-".join(["networks", *(model.info.fingerprint[:8] for model in models)])
    found = []
    for number, path in enumerate(paths, start=1):
        found.append(cache.get(maker, path, partial(_of_file, path, models)))
        if number % 25 == 0 or number == len(paths):
            report(f"networks: embedded {number} of {len(paths)}")
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def _of_file(path: Path, models: Sequence[NetworkModel]) -> dict[str, Array]:
    rates = sorted({SAMPLE_RATE, *(rate for model in models for rate in model.sample_rates)})
    with open_track(os.fsencode(path), sample_rates=rates) as track:
        waveforms = track.windows(12).waveforms
        ratio = track.channel_power_ratio
    measured = measure(waveforms[SAMPLE_RATE], sample_rate=SAMPLE_RATE)
    loudness = describe([measured], channel_power_ratio=ratio).loudness_lufs
    gain = 1.0 if loudness is None else 10 ** ((LOUDNESS_LUFS - loudness) / 20)
    normalised = {rate: np.float32(gain) * sound for rate, sound in waveforms.items()}
    found = dict(_embedded(waveforms, models))
    found |= {f"{name}, normalised": vector for name, vector in _embedded(normalised, models)}
    for model in models:
        if model.info.name != "musicnn":
            found |= dict(_joined(waveforms, model))
    return found


def _embedded(waveforms: Waveforms, models: Sequence[NetworkModel]) -> Iterator[tuple[str, Array]]:
    spectra = PowerSpectra(waveforms)
    for model in models:
        name = model.info.name
        if name == "musicnn":
            for every in (1, 2, 4):
                yield f"{name}, every {every}", model.embed_spectra(spectra, every=every).vector
        elif name == "mn04":
            for pieces in (1, 2, 3):
                found = model.embed_spectra(spectra, pieces=pieces)
                yield f"{name}, {pieces} pieces", found.vector
        else:
            yield f"{name}, {FRAMES}", model.embed_spectra(spectra).vector


def _joined(waveforms: Waveforms, model: NetworkModel) -> Iterator[tuple[str, Array]]:
    """Embeddings of the alternatives: pieces of samples as long as the network takes."""
    front_end = model.info.front_end
    rate, windows = front_end.sample_rate, waveforms[front_end.sample_rate]
    for name, join in JOININGS.items():
        pieces = cut(join(windows, rate=rate), front_end.window_frames * front_end.hop_length)
        yield f"{model.info.name}, {name}", model.embed({rate: pieces}).vector


def run_stages(
    arrays: Mapping[str, Array],
    tasks: Sequence[Task],
    paths: Sequence[Path],
    training: Sequence[int],
    *,
    seed: int,
) -> tuple[Recipe, list[Stage]]:
    """Settle the questions one after the other.

    Parameters
    ----------
    arrays : mapping of name to float32 (files, dim)
        As `embed_networks` returns them.
    paths : sequence of Path
        The files, in the same order.
    training : sequence of int
        Rows of the music that means and axes are fitted to.

    Raises
    ------
    QueryError
        The embeddings by the default model of before are not known for a file.
    """
    recipe = Recipe()
    stages = []
    for question in QUESTIONS:
        vectors = {} if stages else {PREVIOUS: previous_vectors(paths)}
        recipes = question.candidates(recipe)
        vectors |= {name: one.vectors(arrays, training) for name, one in recipes.items()}
        scores = {
            name: [task.scores(cosines(rows[task.rows])) for task in tasks]
            for name, rows in vectors.items()
        }
        winner, verdicts = choose(tasks, scores, cheaper=question.cheaper, random_state=seed)
        stages.append(Stage(question.title, question.cheaper, winner, verdicts, scores))
        recipe = recipes.get(winner, recipe)
    return recipe, stages


def previous_vectors(paths: Sequence[Path]) -> Array:
    """Embeddings (files, dim) by the default model of before.

    Raises
    ------
    QueryError
        They are not known for a file.
    """
    with np.load(PREVIOUS_EMBEDDINGS) as stored:
        rows = {Path(path).parts[-2:]: row for row, path in enumerate(stored["paths"].tolist())}
        try:
            known = [rows[path.parts[-2:]] for path in paths]
        except KeyError as error:
            raise QueryError(f"{PREVIOUS_EMBEDDINGS.name} does not have {error}") from error
        return np.asarray(stored["vectors"][known], dtype=np.float32)
