"""What the teachers say about pieces of sound, stored for the student.

Three published taggers: MusiCNN (Pons & Serra 2019; a model of this project), EfficientAT's mn04
(Schmid 2023, arXiv 2211.04772) and the fully convolutional network of Won (2020, arXiv
2006.00751). The loaders of the last two are files in a folder of their own that is not part of
this project (`mn04.py`, `fcn.py`, each with its weights).
"""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
import torch

from indexer.melspectrogram import FrontEnd, log_mel
from indexer.model import load_model
from training.augment import alter
from training.corpus import RATE
from training.files import save_chunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

CHUNK = 128
"""Pieces in a chunk: with half-precision log-mels, 46 MB."""
TEACHERS = {"musicnn": 200, "mn04": 384, "fcn": 64}
"""Teachers and the lengths of their embeddings."""

_FCN_SAMPLES = 29 * 16_000
_MN04_SAMPLES = 10 * RATE


class Teachers:
    """The three of them, ready to be asked.

    Parameters
    ----------
    folder : Path
        Where `mn04.py`, `fcn.py` and their weights are.
    musicnn : str or Path
        Name or file of the MusiCNN model.
    """

    def __init__(self, folder: Path, *, musicnn: str | Path = "musicnn") -> None:
        # Half of the FCN's weights are denormal: 15 times slower unless they count as zero.
        torch.set_flush_denormal(True)
        self.front_end = FrontEnd()
        self._musicnn = load_model(musicnn)._network  # noqa: SLF001 - batches, not single windows
        self._mn04 = _loader(folder / "mn04.py").load()
        self._fcn = _loader(folder / "fcn.py").load()
        prune(self._fcn)

    def ask(self, sound: NDArray[np.float32]) -> Arrays:
        """Log-mel, embeddings and tag probabilities of one piece.

        Parameters
        ----------
        sound : ndarray, shape (samples,), float32, at `RATE`

        Returns
        -------
        dict of ndarray
            log_mel float16 (frames, 96); musicnn (200,), mn04 (384,), fcn (64,): mean embeddings;
            tags (50,), audioset (527,): mean probabilities of MusiCNN's and mn04's tags.
        """
        low = torch.from_numpy(soxr.resample(sound, RATE, self.front_end.sample_rate, quality="HQ"))
        with torch.inference_mode():
            mel = log_mel(low, front_end=self.front_end)
            embedding, logits = self._musicnn(windows_of(mel, self.front_end.window_frames))
            fcn = self._fcn(low[None, :_FCN_SAMPLES])[1]
            parts = torch.from_numpy(sound[: len(sound) // _MN04_SAMPLES * _MN04_SAMPLES])
            heard, mn04 = self._mn04(parts.view(-1, _MN04_SAMPLES))
        return {
            "log_mel": mel.half().numpy(),
            "musicnn": embedding.mean(0).numpy(),
            "mn04": mn04.mean(0).numpy(),
            "fcn": fcn.mean(0).numpy(),
            "tags": torch.sigmoid(logits).mean(0).numpy(),
            "audioset": torch.sigmoid(heard).mean(0).half().numpy(),
        }


def windows_of(mel: torch.Tensor, frames: int) -> torch.Tensor:
    """Log-mel (..., frames, bands) cut into consecutive windows (..., windows, frames, bands)."""
    count = mel.shape[-2] // frames
    cut = mel[..., : count * frames, :]
    return cut.reshape(*mel.shape[:-2], count, frames, mel.shape[-1])


def prune(fcn: torch.nn.Module) -> None:
    """Take the dead filters out of Won's FCN: a fifth to a third of its first three layers.

    Their normalisation has a gain and a shift of zero: what they say is zero for every sound, also
    beyond the edges, so nothing changes but the time it takes.
    """
    alive = torch.ones(1, dtype=torch.bool)
    for number in range(1, 6):
        layer: Any = getattr(fcn, f"layer{number}")
        heard = alive
        alive = (layer.bn.weight.abs() > 1e-5) | (layer.bn.bias > 1e-5)
        if number == 5:
            alive = torch.ones_like(alive)
        layer.conv.weight = torch.nn.Parameter(layer.conv.weight[alive][:, heard])
        layer.conv.bias = torch.nn.Parameter(layer.conv.bias[alive])
        for name in ("weight", "bias"):
            setattr(layer.bn, name, torch.nn.Parameter(getattr(layer.bn, name)[alive]))
        for name in ("running_mean", "running_var"):
            setattr(layer.bn, name, getattr(layer.bn, name)[alive])


def store_targets(
    sounds: list[tuple[Path, int]],
    folder: Path,
    teachers: Teachers,
    *,
    copies: int,
    seed: int,
    threads: int,
    report: Callable[[str], None],
) -> None:
    """Ask the teachers about all pieces and `copies` alterations of each; chunks are kept.

    Parameters
    ----------
    sounds : list of (file, number)
        The pieces: rows of the arrays that `corpus.store_sound` writes.
    folder : Path
        Gets `original-0000`, ..., `altered1-0000`, ... with the arrays of `Teachers.ask`, and
        `piece`, the index in `sounds`.
    """
    torch.set_num_threads(1)
    order = np.random.default_rng(seed).permutation(len(sounds))
    folder.mkdir(parents=True, exist_ok=True)

    def hear(piece: int) -> NDArray[np.float32]:
        file, number = sounds[piece]
        samples: NDArray[np.int16] = np.load(file, mmap_mode="r")[number]
        return np.asarray(samples / np.float32(32767), dtype=np.float32)

    def answer(piece: int, copy: int) -> Arrays:
        sound = hear(piece)
        if copy:
            rng = np.random.default_rng([seed, piece, copy])
            sound = alter(sound, hear(int(rng.integers(len(sounds)))), rng)
        return teachers.ask(sound) | {"piece": np.array(piece, dtype=np.int32)}

    with ThreadPoolExecutor(threads) as pool:
        for copy in range(copies + 1):
            for start in range(0, len(order), CHUNK):
                name = f"altered{copy}" if copy else "original"
                chunk = folder / f"{name}-{start // CHUNK:04d}"
                if chunk.exists():
                    continue
                pieces = [int(piece) for piece in order[start : start + CHUNK]]
                answers = list(pool.map(answer, pieces, [copy] * len(pieces)))
                save_chunk(chunk, {key: np.stack([a[key] for a in answers]) for key in answers[0]})
                report(f"asked about {chunk.name} ({len(pieces)} pieces)")


def _loader(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise FileNotFoundError(f"the teacher {path} is missing: name the folder that has it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
