"""Second part of the distillation: the student's embedding becomes like the ensemble's.

The first branch (`training.follow`) stays as it is, and so does the part of the embedding that
MusiCNN accounts for, an affine map of that branch. The second branch learns what is missing: its
prediction shrinks where it does not know, and MusiCNN's part then decides alone. So music unlike
the training music is heard as MusiCNN hears it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from training.ensemble import Ensemble, fit
from training.loop import train
from training.spectrograms import Spectrograms
from training.targets import TEACHERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.network import Duet
    from training.prepare import Prepared


@dataclass(frozen=True)
class Objective:
    """How much each part of the loss counts.

    Attributes
    ----------
    direction : float
        1 - cosine to the ensemble's vector.
    structure : float
        Squared error of the cosines among the pieces of a batch.
    tags : float
        Binary cross-entropy of tag probabilities to the teachers'.
    labels : float
        Supervised contrast (Khosla 2020, arXiv 2004.11362): pieces of one artist, album or
        soundtrack closer to each other than to the rest of the batch.
    """

    direction: float = 1.0
    structure: float = 5.0
    tags: float = 0.5
    labels: float = 0.1


@dataclass(frozen=True)
class Targets:
    """What is known about each row of a prepared set, altered ones included.

    Attributes
    ----------
    vectors : Tensor (rows, dim)
        The ensemble's, at unit length.
    tags : Tensor (rows, tags)
        Probabilities.
    labels : ndarray int64 (rows,)
        Artist, else album; every track without either is a label of its own.
    """

    vectors: torch.Tensor
    tags: torch.Tensor
    labels: NDArray[np.int64]


DIM = 192
"""Numbers in the embedding."""
SHARES = {"musicnn": 1.0, "mn04": 1.0, "fcn": 0.5}
"""Of the teachers in the ensemble: the FCN's 64 numbers hear soundtracks worst."""


def fit_ensemble(prepared: Prepared, *, dim: int) -> Ensemble:
    """The ensemble's space over the original pieces."""
    embeddings = {name: prepared.gather(name) for name in TEACHERS}
    return fit(embeddings, dim=dim, weights=SHARES)


def targets_of(prepared: Prepared, ensemble: Ensemble, classes: list[int]) -> Targets:
    """Targets of all rows.

    Parameters
    ----------
    classes : list of int
        Which of AudioSet's classes follow MusiCNN's tags.
    """
    vectors = ensemble.target({name: prepared.gather(name, altered=True) for name in TEACHERS})
    tags = [prepared.gather("tags", altered=True)]
    tags.append(prepared.gather("audioset", altered=True)[:, classes])
    names = [
        (t.artist and f"artist {t.artist}") or (t.group and f"album {t.group}") or str(t.path)
        for t in prepared.tracks
    ]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    label_of = np.array([numbers[name] for name in names])
    return Targets(
        F.normalize(torch.from_numpy(vectors), dim=1),
        torch.from_numpy(np.concatenate(tags, 1)),
        label_of[prepared.track_of[prepared.pieces(altered=True)]],
    )


def begin(student: Duet, ensemble: Ensemble, musicnn: NDArray[np.float32]) -> None:
    """Set the part of the embedding that MusiCNN accounts for.

    Parameters
    ----------
    musicnn : ndarray, shape (n, 200)
        MusiCNN's embeddings of training music.
    """
    weight, bias = ensemble.affine_of("musicnn", musicnn)
    dense = student.dense.out_features
    with torch.no_grad():
        student.embedding.weight[:, :dense] = torch.from_numpy(weight)
        student.embedding.weight[:, dense:] *= 0.1
        student.embedding.bias.copy_(torch.from_numpy(bias))


def distill(
    student: Duet,
    prepared: Prepared,
    targets: Targets,
    *,
    objective: Objective,
    steps: int,
    batch: int,
    windows: int,
    rate: float,
    seed: int,
    checkpoint: Path,
    report: Callable[[str], None],
    stop_after_s: float = float("inf"),
) -> float:
    """Train the second branch; returns the last mean loss.

    Parameters
    ----------
    batch, windows : int
        Pieces in a step, half of them in pairs of one label, and windows of each.
    rate : float
        Learning rate of Adam.
    """
    sound = Spectrograms(prepared, altered=True, frames=187)
    student.requires_grad_(requires_grad=False)
    learning = [student.picture, student.hidden, student.embedding, student.tags]
    for part in learning:
        part.requires_grad_(requires_grad=True)
    dense, known = student.dense.out_features, 50
    # torch leaves register_hook and backward untyped.
    student.embedding.weight.register_hook(_only_columns_from(dense))  # type: ignore[no-untyped-call]
    parameters = [p for part in learning for p in part.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=rate)
    pairs = Pairs(targets.labels)
    student.train()

    def loss_of(step: int) -> torch.Tensor:
        rng = np.random.default_rng([seed, 1, step])
        rows = pairs.draw(batch, rng)
        x = student.input_norm(sound.windows(rows, windows, rng).flatten(0, 1)[:, None])
        with torch.no_grad():
            heard = [student.listen(part) for part in x.split(8)]
            musical, pooled = (torch.cat(part) for part in zip(*heard, strict=True))
        joint = torch.cat([musical, student.look(x, pooled)], 1)
        embedding = student.embedding(joint).view(len(rows), windows, -1).mean(1)
        unit = F.normalize(embedding, dim=1)
        wanted = targets.vectors[rows]
        loss = objective.direction * (1 - (unit * wanted).sum(1).mean())
        loss = loss + objective.structure * F.mse_loss(unit @ unit.T, wanted @ wanted.T)
        if objective.tags:
            said = torch.sigmoid(student.tags(joint)).view(len(rows), windows, -1).mean(1)
            error = F.binary_cross_entropy(said[:, known:], targets.tags[rows][:, known:])
            loss = loss + objective.tags * error
        if objective.labels:
            loss = loss + objective.labels * contrast(unit, targets.labels[rows])
        return loss

    return train(
        student,
        optimizer,
        loss_of,
        steps=steps,
        checkpoint=checkpoint,
        report=report,
        extra={"objective": asdict(objective)},
        stop_after_s=stop_after_s,
    )


def contrast(
    unit: torch.Tensor, labels: NDArray[np.int64], *, temperature: float = 0.1
) -> torch.Tensor:
    """Supervised contrastive loss of unit vectors (n, dim); 0 where no label comes twice."""
    itself = torch.eye(len(unit), dtype=torch.bool)
    alike = torch.from_numpy(labels[:, None] == labels[None]) & ~itself
    scores = unit @ unit.T / temperature
    chances = torch.log_softmax(scores.masked_fill(itself, -1e9), 1)
    seeds = alike.any(1)
    if not seeds.any():
        return unit.sum() * 0.0
    means = (chances * alike).sum(1)[seeds] / alike.sum(1)[seeds]
    return -means.mean()


class Pairs:
    """Draws rows, half of them at random and half in pairs of one label."""

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self._count = len(labels)
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self._groups = [group for group in groups if len(group) > 1]

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """`count` rows."""
        rows = list(rng.integers(0, self._count, count - 2 * (count // 4)))
        for _ in range(count // 4):
            if self._groups:
                group = self._groups[int(rng.integers(len(self._groups)))]
                rows += list(rng.choice(group, 2, replace=False))
            else:
                rows += list(rng.integers(0, self._count, 2))
        return np.array(rows, dtype=np.int64)


def _only_columns_from(first: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def mask(gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        gradient[:, :first] = 0
        return gradient

    return mask
