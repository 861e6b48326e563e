"""What each part of the distillation is worth: the same without it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from recommender.evaluation.metrics import Question, Scores, cosines, retrieval
from training.distill import DIM
from training.features import heard_at_levels, heard_by, plain_network
from training.head import fit_teachers, targets_of
from training.metric import HOLD, SHARES, fit_metric
from training.targets import TEACHERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.models.model import Model
    from training.prepare import Prepared

    Array = NDArray[np.float32]


@dataclass(frozen=True)
class Variant:
    """A distillation that lacks something.

    Attributes
    ----------
    altered : bool
        Whether altered sound is learned from.
    together : str
        Pieces of one what are to be close: "tracks" or "artists".
    levels : bool
        Whether softer and louder copies are to be close.
    """

    name: str
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    hold: float = HOLD
    altered: bool = True
    together: str = "tracks"
    levels: bool = True


NEVER = 1e-9
"""A share of nothing, that is no division by zero."""
VARIANTS = (
    Variant("whole"),
    Variant("MusiCNN alone", shares={"musicnn": 1.0, "mn04": NEVER, "fcn": NEVER}),
    Variant("without mn04", shares=SHARES | {"mn04": NEVER}),
    Variant("without fcn", shares=SHARES | {"fcn": NEVER}),
    Variant("nothing shrunk", hold=float("inf")),
    Variant("nothing shrunk, MusiCNN alone",
            shares={"musicnn": 1.0, "mn04": NEVER, "fcn": NEVER}, hold=float("inf")),
    Variant("shrunk more", hold=HOLD / 4),
    Variant("pieces of one artist close", together="artists"),
    Variant("without copies at other levels", levels=False),
    Variant("without altered sound", altered=False),
)  # fmt: skip


def ablate(
    musicnn: Model,
    prepared: Prepared,
    evaluation: Prepared,
    *,
    classes: list[int],
    folder: Path,
    report: Callable[[str], None],
) -> list[tuple[str, dict[str, Scores]]]:
    """Solve for every variant and measure it on `evaluation`, beside the teachers themselves.

    Parameters
    ----------
    folder : Path
        Gets what the ear hears, as in `training.distill.distill`.

    Returns
    -------
    list of (variant, scores by question)
    """
    ear = plain_network(musicnn)
    targets = targets_of(prepared, classes)
    heard = heard_by(ear, prepared, folder / "train", report=report)
    levels = heard_at_levels(ear, prepared)
    asked = heard_by(ear, evaluation, folder / "eval", report=report).mean(1, dtype=np.float32)
    questions = _questions(evaluation)
    rows = [(f"{name} itself", _measure(evaluation.gather(name), questions)) for name in TEACHERS]
    originals = slice(len(prepared.pieces()))
    saying = {
        altered: fit_teachers(heard[used], targets.rows(used).vectors)
        for altered, used in ((True, slice(None)), (False, originals))
    }
    pieces = heard[originals].mean(1, dtype=np.float32)
    for variant in VARIANTS:
        teachers = saying[variant.altered]
        embedding = fit_metric(
            teachers(pieces),
            getattr(targets, variant.together)[originals],
            dim=DIM,
            hold=variant.hold,
            copies=teachers(levels) if variant.levels else None,
            shares=variant.shares,
        )
        rows.append((variant.name, _measure(embedding(teachers(asked)), questions)))
        report(f"measured: {variant.name}")
    return rows


def _questions(evaluation: Prepared) -> dict[str, tuple[NDArray[np.intp], Question]]:
    """Rows and labels of each measurement on a prepared `eval` set."""
    tracks = [evaluation.tracks[track] for track in evaluation.track_of[evaluation.pieces()]]
    songs = np.flatnonzero([track.source == "emotify" for track in tracks])
    scores = np.flatnonzero([track.source == "debian" for track in tracks])
    return {
        "songs: genre, own artist out": (
            songs,
            Question([tracks[r].genre for r in songs], [tracks[r].artist for r in songs]),
        ),
        "songs: artist": (songs, Question([tracks[r].artist for r in songs])),
        "soundtracks: group": (scores, Question([tracks[r].group for r in scores])),
        "soundtracks: artist": (scores, Question([tracks[r].artist for r in scores])),
    }


def _measure(
    vectors: Array, questions: Mapping[str, tuple[NDArray[np.intp], Question]]
) -> dict[str, Scores]:
    return {
        name: retrieval(cosines(vectors[rows]), {name: question}, ks=(5,))[name]
        for name, (rows, question) in questions.items()
    }
