"""Genre from raw audio: spectrogram -> CNN -> classes, trained from nothing on labelled songs.

Each class is asked for alone (binary cross-entropy), so that a tag activation of the resulting
model is a probability like those of any other model. Accuracy is measured on artists that the
network has not heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from indexer.models.network import NetworkConfig, ResidualNet, build_network
from training.spectrograms import alter_windows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

CHANNELS = [[16, 2], [32, 2], [64, 2], [128, 2]]


@dataclass(frozen=True)
class Curves:
    """Of one fold, an entry an epoch: mean loss, and accuracy on the fold left out."""

    loss: list[float]
    accuracy: list[float]


def network_config(classes: int) -> NetworkConfig:
    """Of a network for so many classes."""
    return NetworkConfig("residual", {"channels": CHANNELS, "dim": 128, "n_tags": classes})


def train_network(
    log_mels: NDArray[np.float16],
    numbers: NDArray[np.int64],
    classes: int,
    *,
    epochs: int,
    seed: int,
    held_out: tuple[NDArray[np.float16], NDArray[np.int64]] | None = None,
    device: str = "cpu",
    report: Callable[[str], None],
) -> tuple[ResidualNet, Curves]:
    """Train one network.

    Parameters
    ----------
    log_mels : ndarray, shape (songs, windows, frames, bands)
    numbers : ndarray, shape (songs,)
        Class of each.
    held_out : pair of the same, optional
        Songs to measure on after each epoch.
    device : str
        "cpu", or "cuda" for mixed precision on a GPU.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = cast("ResidualNet", build_network(network_config(classes)))
    with torch.no_grad():
        network.input_norm.scale.fill_(1.0 / float(log_mels.astype(np.float32).std()))
        network.input_norm.shift.fill_(-float(log_mels.astype(np.float32).mean()))
        network.input_norm.shift.mul_(network.input_norm.scale)
    network.input_norm.requires_grad_(requires_grad=False)
    normalise_by_batch(network)
    network.to(device)
    mixed = torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda")
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    wanted = F.one_hot(torch.from_numpy(numbers), classes).float().to(device)
    # Rare classes count as much as frequent ones.
    weight = torch.from_numpy(len(numbers) / (classes * np.bincount(numbers, minlength=classes)))
    weight = weight.float().to(device)
    curves = Curves([], [])
    batches = max(1, len(numbers) * 2 // 32)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    for epoch in range(epochs):
        network.train()
        losses = []
        for _ in range(batches):
            songs = rng.integers(0, len(numbers), 32)
            picked = log_mels[songs, rng.integers(0, log_mels.shape[1], 32)]
            x = torch.from_numpy(picked.astype(np.float32))
            x = (alter_windows(x, rng) if rng.random() < 0.5 else x).to(device)
            with mixed:
                logits = network(x)[1]
            each = F.binary_cross_entropy_with_logits(
                logits.float(), wanted[songs], reduction="none"
            )
            loss = (each.mean(1) * weight[numbers[songs]]).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        curves.loss.append(float(np.mean(losses)))
        if held_out is not None:
            found = probabilities(network, held_out[0]).argmax(1)
            curves.accuracy.append(float((found == held_out[1]).mean()))
            report(
                f"epoch {epoch + 1} of {epochs}, loss {curves.loss[-1]:.3f}, "
                f"accuracy on other artists {curves.accuracy[-1]:.3f}"
            )
    fold(network.eval().cpu())
    return network, curves


def probabilities(network: ResidualNet, log_mels: NDArray[np.float16]) -> NDArray[np.float32]:
    """Mean probability of each class over the windows of each song (songs, classes)."""
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        rows = [
            torch.sigmoid(network(torch.from_numpy(song.astype(np.float32)).to(device))[1]).mean(0)
            for song in log_mels
        ]
        return torch.stack(rows).cpu().numpy()


def draw_curves(curves: list[Curves], path: Path) -> None:
    """Loss and accuracy of each fold by epoch as a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, fold_curves in enumerate(curves, start=1):
        epochs = np.arange(1, len(fold_curves.loss) + 1)
        left.plot(epochs, fold_curves.loss, label=f"fold {number}", linewidth=1.2)
        right.plot(epochs, fold_curves.accuracy, linewidth=0.6, alpha=0.35, color=f"C{number - 1}")
        right.plot(epochs, _smooth(fold_curves.accuracy), linewidth=1.6, color=f"C{number - 1}")
    left.set(title="Training", xlabel="epoch", ylabel="loss", ylim=(0, None))
    right.set(title="Artists left out", xlabel="epoch", ylabel="accuracy", ylim=(0, 1.02))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="#d8dde3", linewidth=0.6)
    left.legend(frameon=False)
    figure.savefig(path, dpi=130)


def _smooth(values: list[float], *, weight: float = 0.8) -> list[float]:
    """Exponential mean, without the pull of the start."""
    mean, total, smooth = 0.0, 0.0, []
    for value in values:
        mean, total = weight * mean + (1 - weight) * value, weight * total + (1 - weight)
        smooth.append(mean / total)
    return smooth


def normalise_by_batch(network: ResidualNet) -> None:
    """Put a batch normalisation behind each convolution."""
    block: Any
    for block in network.convolutions:
        conv = block.conv
        plain = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            bias=False,
        )
        block.conv = nn.Sequential(plain, nn.BatchNorm2d(conv.out_channels))


def fold(network: ResidualNet) -> None:
    """Make the batch normalisations part of the convolutions, as the network at run time has it."""
    block: Any
    for block in network.convolutions:
        if isinstance(block.conv, nn.Sequential):
            conv, norm = cast("tuple[nn.Conv2d, nn.BatchNorm2d]", tuple(block.conv))
            block.conv = nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), norm.eval())
