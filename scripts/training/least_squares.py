"""The student's first branch, layer by layer, by least squares: where `training.follow` begins.

Trying MusiCNN's filters at a part of the places changes what comes out of them, and every layer
behind is off. Each is linear before its ReLU, so the weights with which it says from the student's
own features what MusiCNN's layer says from MusiCNN's are the solution of a least-squares problem.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from training.spectrograms import Spectrograms, alter_windows

if TYPE_CHECKING:
    from indexer.network import Duet
    from training.prepare import Prepared

_BATCH = 8


@dataclass
class Regression:
    """Ridge regression with an intercept, from sums over batches."""

    inputs: int
    outputs: int
    _square: torch.Tensor = field(init=False)
    _cross: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._square = torch.zeros(self.inputs + 1, self.inputs + 1, dtype=torch.float64)
        self._cross = torch.zeros(self.inputs + 1, self.outputs, dtype=torch.float64)

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Rows of inputs (n, inputs) and wanted outputs (n, outputs)."""
        rows = F.pad(x, (0, 1), value=1.0).double()
        self._square += rows.T @ rows
        self._cross += rows.T @ y.double()

    def solve(self, *, ridge: float = 1e-3) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight (outputs, inputs) and bias (outputs,).

        `ridge` is relative to an input's variance and the mean variance: inputs that hardly vary
        would be given enormous weights otherwise.
        """
        count = self._square[-1, -1]
        means = self._square[:-1, -1] / count
        covariance = self._square[:-1, :-1] / count - means[:, None] * means
        cross = self._cross[:-1] / count - means[:, None] * self._cross[-1] / count
        variance = covariance.diagonal()
        penalty = ridge * (variance + variance.mean())
        weight = torch.linalg.solve(covariance + torch.diag(penalty), cross).T
        bias = self._cross[-1] / count - weight @ means
        return weight.float(), bias.float()


def fit_midend(student: Duet, musicnn: Any, prepared: Prepared, *, windows: int, seed: int) -> None:
    """Fit the convolutions over time, each on what is fitted before it.

    Parameters
    ----------
    musicnn : indexer.network.MusiCNN
    windows : int
        How many to fit to; half of them altered.
    """
    for layer in range(3):
        conv: Any = student.midend[layer].conv
        fitted = Regression(conv.in_channels * conv.kernel_size[0], conv.out_channels)
        for batch in _batches(prepared, windows, seed=seed):
            taps = F.unfold(_features(student, batch, layer)[:, :, None], (1, 7), padding=(0, 3))
            wanted = musicnn.midend[layer].conv(_features(musicnn, batch, layer))
            error = wanted - conv(_features(student, batch, layer))
            fitted.add(taps.transpose(1, 2).flatten(0, 1), error.transpose(1, 2).flatten(0, 1))
        _correct(conv, fitted)


def fit_dense(student: Duet, musicnn: Any, prepared: Prepared, *, windows: int, seed: int) -> None:
    """Fit the dense layer of the first branch; arguments as `fit_midend`."""
    fitted = Regression(student.dense.in_features, student.dense.out_features)
    for batch in _batches(prepared, windows, seed=seed + 1):
        pooled = _pooled(student, batch)
        fitted.add(pooled, musicnn.dense(_pooled(musicnn, batch)) - student.dense(pooled))
    _correct(student.dense, fitted)


def _batches(prepared: Prepared, windows: int, *, seed: int) -> Any:
    sound = Spectrograms(prepared, altered=True, frames=187)
    for step in range(windows // _BATCH):
        rng = np.random.default_rng([seed, 2, step])
        batch = sound.windows(rng.integers(0, len(sound), _BATCH), 1, rng).flatten(0, 1)
        yield alter_windows(batch, rng) if step % 2 else batch


def _correct(layer: Any, fitted: Regression) -> None:
    # What is fitted is the error of MusiCNN's own weights: the ridge holds on to them.
    weight, bias = fitted.solve()
    with torch.no_grad():
        layer.weight += weight.view_as(layer.weight)
        layer.bias += bias


def _features(network: Any, log_mel: torch.Tensor, layer: int) -> torch.Tensor:
    """What convolution `layer` over time of either network hears (batch, channels, frames)."""
    return _layers(network, log_mel, layer)[-1]


def _pooled(network: Any, log_mel: torch.Tensor) -> torch.Tensor:
    """What the dense layer of either network hears (batch, features)."""
    features = torch.cat(_layers(network, log_mel, len(network.midend)), 1)
    return torch.stack([features.amax(2), features.mean(2)], 2).flatten(1)


def _layers(network: Any, log_mel: torch.Tensor, count: int) -> list[torch.Tensor]:
    """What the filters say, then each of the first `count` convolutions over time."""
    with torch.no_grad():
        x = network.input_norm(log_mel[:, None])
        if hasattr(network, "find"):
            parts = [network.find(x)]
        else:
            parts = [torch.cat([branch(x) for branch in network.spectral], 1)]
        for number, convolution in enumerate(network.midend[:count]):
            said = convolution(parts[-1])
            parts.append(said + parts[-1] if number else said)
    return parts
