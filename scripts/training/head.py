"""The head: affine maps from what the ear hears to what the teachers say.

They are solved for, not learned by descent: the ear's features are a few hundred numbers, and what
holds for them on the training music holds for other music too. (A residual network beside the ear
and a hidden layer behind both, trained by descent, were tried: no better on any question.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from training.ridge import Regression
from training.targets import TEACHERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.prepare import Prepared

    Array = NDArray[np.float32]

RIDGE = 0.15
TAG_STEPS = 150


@dataclass(frozen=True)
class Targets:
    """What is known about each row of a prepared set, altered ones included.

    Attributes
    ----------
    vectors : float32 (rows, numbers of all teachers)
        The teachers' embeddings, standardised over the original pieces, side by side.
    tags : float32 (rows, tags)
        Probabilities.
    tracks, artists : int64 (rows,)
        Which pieces are of one track, and of one artist (else album; a track without either is
        alone).
    """

    vectors: Array
    tags: Array
    tracks: NDArray[np.int64]
    artists: NDArray[np.int64]

    def rows(self, part: slice) -> Targets:
        """Some of the rows."""
        return replace(self, **{name: values[part] for name, values in vars(self).items()})


def targets_of(prepared: Prepared, classes: list[int]) -> Targets:
    """Targets of all rows.

    Parameters
    ----------
    classes : list of int
        Which of AudioSet's classes follow MusiCNN's tags.
    """
    originals = len(prepared.pieces())
    said = np.concatenate([prepared.gather(name, altered=True) for name in TEACHERS], 1)
    deviations = np.maximum(said[:originals].std(0), 1e-6)
    tags = [prepared.gather("tags", altered=True)]
    tags.append(prepared.gather("audioset", altered=True)[:, classes])
    names = [
        (t.artist and f"artist {t.artist}") or (t.group and f"album {t.group}") or str(t.path)
        for t in prepared.tracks
    ]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    tracks = prepared.track_of[prepared.pieces(altered=True)]
    return Targets(
        (said - said[:originals].mean(0)) / deviations,
        np.concatenate(tags, 1),
        tracks,
        np.array([numbers[name] for name in names])[tracks],
    )


@dataclass(frozen=True)
class Affine:
    """`weight @ features + bias`.

    Attributes
    ----------
    weight : ndarray (outputs, features)
    bias : ndarray (outputs,)
    """

    weight: Array
    bias: Array

    def __call__(self, features: Array) -> Array:
        """(..., features) -> (..., outputs)."""
        return np.asarray(features @ self.weight.T + self.bias, dtype=np.float32)


def fit_teachers(heard: NDArray[np.float16], vectors: Array) -> Affine:
    """Ridge regression of the teachers' vectors.

    Parameters
    ----------
    heard : ndarray, shape (rows, windows, features)
    vectors : ndarray, shape (rows, numbers of all teachers)
    """
    inputs, undo = _standardised(heard)
    fitted = Regression(inputs.shape[2], vectors.shape[1])
    fitted.add(inputs.mean(1), torch.from_numpy(vectors))
    return undo(*fitted.solve(ridge=RIDGE))


def fit_tags(heard: NDArray[np.float16], tags: Array) -> Affine:
    """Logistic regression of tag probabilities, the mean over windows to the teachers'.

    Begins with a ridge regression of the log-odds, then descends along the cross-entropy, which
    makes the probabilities right on average.
    """
    inputs, undo = _standardised(heard)
    wanted = torch.from_numpy(tags)
    fitted = Regression(inputs.shape[2], tags.shape[1])
    fitted.add(inputs.mean(1), torch.logit(wanted, eps=1e-3))
    weight, bias = (t.requires_grad_() for t in fitted.solve(ridge=RIDGE))
    optimizer = torch.optim.Adam([weight, bias], lr=2e-3)
    for _ in range(TAG_STEPS):
        chance = torch.sigmoid(F.linear(inputs, weight, bias)).mean(1)
        loss = F.binary_cross_entropy(chance, wanted)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
    return undo(weight.detach(), bias.detach())


def _standardised(heard: NDArray[np.float16]) -> tuple[torch.Tensor, _Undo]:
    features = torch.from_numpy(heard.astype(np.float32))
    mean = features.mean((0, 1))
    deviation = features.std((0, 1)).clamp(min=1e-3)
    # Rare sounds are many deviations away.
    return ((features - mean) / deviation).clamp(-8, 8), _Undo(mean, deviation)


@dataclass(frozen=True)
class _Undo:
    """From weights on standardised features to weights on the features themselves."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __call__(self, weight: torch.Tensor, bias: torch.Tensor) -> Affine:
        plain = weight / self.deviation
        return Affine(plain.numpy(), (bias - plain @ self.mean).numpy())
