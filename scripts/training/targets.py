"""What the teachers say about pieces of sound, stored for the student.

Three published taggers: MusiCNN (`indexer.models.musicnn_weights`), EfficientAT's mn04
(`indexer.models.efficientat`) and the fully convolutional network of Won (`indexer.models.fcn`).
The published files of the last two are in a folder of their own that is not part of this project.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
import torch

from indexer.features.melspectrogram import FrontEnd, log_mel
from indexer.models import efficientat, fcn
from indexer.models.registry import load_model
from training.augment import alter
from training.corpus import RATE
from training.files import save_chunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

CHUNK = 128
"""Pieces in a chunk: with half-precision log-mels, 46 MB."""
TEACHERS = {"musicnn": 200, "mn04": 384, "fcn": 64}
"""Teachers and the lengths of their embeddings."""

_FCN_SAMPLES = fcn.FRONT_END.window_samples
_MN04_SAMPLES = efficientat.FRONT_END.window_samples


class Teachers:
    """The three of them, ready to be asked.

    Parameters
    ----------
    folder : Path
        Where `mn04_as_mAP_432.pt` and `msd_fcn.pth` are.
    musicnn : str or Path
        Name or file of the MusiCNN model.
    """

    def __init__(self, folder: Path, *, musicnn: str | Path = "musicnn") -> None:
        self.front_end = FrontEnd()
        self._musicnn = load_model(musicnn)._network  # noqa: SLF001 - batches, not single windows
        # All of AudioSet's classes, of which the model mn04 has those about music.
        self._mn04 = _mn04(folder / "mn04_as_mAP_432.pt")
        self._fcn = _fcn(folder / "msd_fcn.pth")

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
            pictured, _ = self._fcn(low[None, :_FCN_SAMPLES])
            parts = torch.from_numpy(sound[: len(sound) // _MN04_SAMPLES * _MN04_SAMPLES])
            mn04, heard = self._mn04(parts.view(-1, _MN04_SAMPLES))
        return {
            "log_mel": mel.half().numpy(),
            "musicnn": embedding.mean(0).numpy(),
            "mn04": mn04.mean(0).numpy(),
            "fcn": pictured[0].numpy(),
            "tags": torch.sigmoid(logits).mean(0).numpy(),
            "audioset": torch.sigmoid(heard).mean(0).half().numpy(),
        }


def windows_of(mel: torch.Tensor, frames: int) -> torch.Tensor:
    """Log-mel (..., frames, bands) cut into consecutive windows (..., windows, frames, bands)."""
    count = mel.shape[-2] // frames
    cut = mel[..., : count * frames, :]
    return cut.reshape(*mel.shape[:-2], count, frames, mel.shape[-1])


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


def _mn04(path: Path) -> torch.nn.Module:
    tensors = efficientat.convert_mn04_variables(_published(path))
    classes = len(tensors["tags.bias"])
    return _with(tensors, efficientat.EfficientAT(width=efficientat.WIDTH, n_tags=classes))


def _fcn(path: Path) -> torch.nn.Module:
    tensors, channels = fcn.convert_fcn_variables(_published(path))
    return _with(tensors, fcn.FCN(channels=channels, n_tags=len(tensors["tags.bias"])))


def _published(path: Path) -> Arrays:
    if not path.exists():
        raise FileNotFoundError(f"the teacher {path} is missing: name the folder that has it")
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: variable.numpy() for name, variable in state.items()}


def _with(tensors: Arrays, network: torch.nn.Module) -> torch.nn.Module:
    network.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()})
    return network.eval()
