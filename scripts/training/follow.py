"""First part of the distillation: the student's first branch learns to say what MusiCNN says.

The teacher hears the very windows that the student hears, altered on the way, so this needs no
variety of music to be right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from training.loop import relative_rates, train
from training.spectrograms import Spectrograms, alter_windows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.network import Duet
    from training.prepare import Prepared


def follow(
    student: Duet,
    musicnn: torch.nn.Module,
    prepared: Prepared,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    checkpoint: Path,
    report: Callable[[str], None],
    stop_after_s: float = float("inf"),
) -> float:
    """Train the first branch and MusiCNN's tags; returns the last mean loss.

    Loss: squared error of the embedding, each number in units of its deviation over music, and of
    the tag logits (a tenth).

    Parameters
    ----------
    steps, batch : int
        Steps, and windows in each.
    rate : float
        Learning rate relative to the size of each parameter.
    """
    sound = Spectrograms(prepared, altered=False, frames=187)
    deviation = torch.from_numpy(prepared.gather("musicnn").std(0)).clamp(min=1e-3)
    # With a gradient as far as the input a step would take three times as long.
    student.input_norm.requires_grad_(requires_grad=False)
    # Scales and shifts stay: the layers behind them can do all that they can.
    layers: list[Any] = [*(branch.conv for branch in student.spectral), student.dense]
    layers += [convolution.conv for convolution in student.midend]
    optimizer = torch.optim.Adam(
        relative_rates((p for layer in layers for p in layer.parameters()), rate=rate)
    )
    dense = student.dense.out_features
    weight, bias = (t.detach() for t in (student.tags.weight[:50, :dense], student.tags.bias[:50]))

    def loss_of(step: int) -> torch.Tensor:
        rng = np.random.default_rng([seed, step])
        rows = rng.integers(0, len(sound), batch // 2)
        windows = sound.windows(rows, 2, rng).flatten(0, 1)
        if rng.random() < 0.8:
            windows = alter_windows(windows, rng)
        with torch.no_grad():
            wanted, logits = _in_fours(musicnn, windows)
        found, _ = student.listen(student.input_norm(windows[:, None]))
        error = F.mse_loss(found / deviation, wanted / deviation)
        return error + 0.1 * F.mse_loss(F.linear(found, weight, bias), logits)

    return train(
        student,
        optimizer,
        loss_of,
        steps=steps,
        checkpoint=checkpoint,
        report=report,
        stop_after_s=stop_after_s,
    )


def _in_fours(network: torch.nn.Module, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings and logits; four windows at a time stay in the cache: half the time of all."""
    parts = [network(windows[start : start + 4]) for start in range(0, len(windows), 4)]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
