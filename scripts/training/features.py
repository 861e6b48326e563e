"""What MusiCNN's ear hears in every piece, worked out once: it no longer changes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from training.files import save_array
from training.spectrograms import Spectrograms, louder
from training.targets import windows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.models.model import Model
    from training.prepare import Prepared

    Array = NDArray[np.float32]

LEVELS_DB = (-6.0, 0.0, 6.0)


def plain_network(model: Model) -> Any:
    """The network of a model, which learns nothing any more."""
    # Half of what small weights give is denormal: many times slower unless it counts as zero.
    torch.set_flush_denormal(True)
    network = copy.deepcopy(model._network)  # noqa: SLF001 - batches, not windows one by one
    return network.requires_grad_(requires_grad=False)


def heard_by(
    ear: Any, prepared: Prepared, folder: Path, *, report: Callable[[str], None]
) -> NDArray[np.float16]:
    """MusiCNN's embedding and the features it is made from, of every window.

    Parameters
    ----------
    ear : indexer.models.network.MusicalEar
    folder : Path
        Gets one file a chunk; those already there are kept.

    Returns
    -------
    ndarray, float16 (rows, windows, features)
        Rows in the order of `Prepared.gather(..., altered=True)`.
    """
    sound = Spectrograms(prepared, altered=True, frames=187)
    folder.mkdir(parents=True, exist_ok=True)
    parts, row = [], 0
    for number, chunk in enumerate(prepared.chunks):
        path = folder / f"{number:03d}-{chunk.name}.npy"
        count = len(np.load(chunk / "piece.npy", mmap_mode="r"))
        if not path.exists():
            mels = (
                torch.from_numpy(sound.row(n).astype(np.float32)) for n in range(row, row + count)
            )
            heard = [listen(ear, windows_of(mel, sound.frames)) for mel in mels]
            save_array(path, np.stack(heard).astype(np.float16))
            report(f"listened to {chunk.name}")
        parts.append(np.load(path))
        row += count
    return np.concatenate(parts)


def heard_at_levels(ear: Any, prepared: Prepared, *, pieces: int = 300) -> Array:
    """Features of some pieces 6 dB softer, as they are, and 6 dB louder: (pieces, 3, features)."""
    sound = Spectrograms(prepared, altered=False, frames=187)
    rows = np.linspace(0, len(sound) - 1, min(pieces, len(sound))).astype(np.int64)
    return np.stack([_at_levels(ear, sound.row(int(row))) for row in rows])


def _at_levels(ear: Any, log_mel: NDArray[np.float16]) -> Array:
    windows = windows_of(torch.from_numpy(log_mel.astype(np.float32)), 187)
    return np.stack([listen(ear, louder(windows, level)).mean(0) for level in LEVELS_DB])


@torch.inference_mode()
def listen(ear: Any, windows: torch.Tensor) -> Array:
    """Features of log-mel windows, float32 (windows, features)."""
    heard: Array = torch.cat(ear.forward_features(windows), 1).numpy()
    return heard
