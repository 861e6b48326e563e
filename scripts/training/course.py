"""A whole distillation, from MusiCNN to a trained student, in a folder that it can be resumed from.

First the first branch by least squares (`training.least_squares`), if asked by descent too
(`training.follow`), then the second branch and the embedding (`training.distill`).
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from training import student as students
from training.distill import (
    DIM,
    Objective,
    begin,
    distill,
    fit_ensemble,
    targets_of,
)
from training.files import read_json, save_json
from training.follow import follow
from training.least_squares import fit_dense, fit_midend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.model import Model
    from indexer.network import Duet, NetworkConfig
    from training.prepare import Prepared


@dataclass(frozen=True)
class Course:
    """Settings of a distillation.

    Attributes
    ----------
    objective : Objective
    steps, follow_steps : int
        Of descent on the second and on the first branch.
    batch, windows : int
        Pieces in a step, and windows of each.
    rate : float
        Learning rate of the second branch.
    midend_windows, dense_windows : int
        How many the least squares are fitted to.
    """

    objective: Objective
    steps: int
    follow_steps: int = 0
    batch: int = 32
    windows: int = 2
    rate: float = 0.002
    midend_windows: int = 320
    dense_windows: int = 4000
    seed: int = 0


def distill_student(
    teacher: Model,
    prepared: Prepared,
    course: Course,
    *,
    n_tags: int,
    classes: list[int],
    run: Path,
    report: Callable[[str], None],
) -> Duet:
    """Train a student; what an earlier run in the same folder has done is kept.

    Parameters
    ----------
    teacher : Model
        MusiCNN.
    run : Path
        Gets `course.json`, `first.pt` (the fitted first branch) and `student.pt`.

    Raises
    ------
    ValueError
        The folder was begun with other settings.
    """
    musicnn = plain_network(teacher)
    run.mkdir(parents=True, exist_ok=True)
    settings = {"course": asdict(course), "n_tags": n_tags, "chunks": len(prepared.chunks)}
    listing = run / "course.json"
    if listing.exists() and read_json(listing)["course"] != settings["course"]:
        raise ValueError(f"{run} was begun with other settings: name another folder")
    save_json(listing, settings)

    torch.manual_seed(course.seed)
    student = students.make(musicnn, teacher.info.network, dim=DIM, n_tags=n_tags)
    fitted = run / "first.pt"
    if fitted.exists():
        student.load_state_dict(torch.load(fitted))
    else:
        fit_first_branch(student, musicnn, prepared, course, report)
        ensemble = fit_ensemble(prepared, dim=DIM)
        begin(student, ensemble, prepared.gather("musicnn"))
        torch.save(student.state_dict(), fitted)
    if course.follow_steps:
        follow(
            student,
            musicnn,
            prepared,
            steps=course.follow_steps,
            batch=2 * course.batch,
            rate=0.005,
            seed=course.seed,
            checkpoint=run / "follow.pt",
            report=report,
        )
    targets = targets_of(prepared, fit_ensemble(prepared, dim=DIM), classes)
    distill(
        student,
        prepared,
        targets,
        objective=course.objective,
        steps=course.steps,
        batch=course.batch,
        windows=course.windows,
        rate=course.rate,
        seed=course.seed,
        checkpoint=run / "student.pt",
        report=report,
    )
    return student


def fit_first_branch(
    student: Duet,
    musicnn: torch.nn.Module,
    prepared: Prepared,
    course: Course,
    report: Callable[[str], None],
) -> None:
    """The least squares, front to back."""
    report("fitting the first branch by least squares")
    fit_midend(student, musicnn, prepared, windows=course.midend_windows, seed=course.seed)
    fit_dense(student, musicnn, prepared, windows=course.dense_windows, seed=course.seed)


def open_student(teacher: Model, run: Path) -> tuple[Duet, NetworkConfig]:
    """The student as far as it has been trained in `run`, and its configuration."""
    n_tags = read_json(run / "course.json")["n_tags"]
    config = students.duet_config(teacher.info.network, dim=DIM, n_tags=n_tags)
    student = students.make(plain_network(teacher), teacher.info.network, dim=DIM, n_tags=n_tags)
    state: dict[str, Any] = torch.load(run / "student.pt", weights_only=False)
    student.load_state_dict(state["network"])
    return student, config


def plain_network(model: Model) -> Any:
    """The network of a model, which learns nothing any more."""
    # Half of what small weights give is denormal: many times slower unless it counts as zero.
    torch.set_flush_denormal(True)
    network = copy.deepcopy(model._network)  # noqa: SLF001 - batches, not windows one by one
    return network.requires_grad_(requires_grad=False)
