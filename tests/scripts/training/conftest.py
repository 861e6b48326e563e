from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from training.corpus import read_folder
from training.prepare import Prepared, open_prepared, prepare

from indexer.features.melspectrogram import FrontEnd, log_mel
from indexer.models.network import NetworkConfig, build_network
from tests import sounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZES = {
    "n_mels": 96,
    "filters": [[3, 7, 38], [2, 7, 67], [2, 32, 1]],
    "midend": 8,
    "dim": 20,
    "n_tags": 50,
}


class SmallTeachers:
    """Answers of the right shapes, a fixed function of the sound."""

    front_end = FrontEnd()

    def ask(self, sound: np.ndarray) -> dict[str, np.ndarray]:
        mel = log_mel(torch.from_numpy(sound[::2].copy()), front_end=self.front_end)
        facts = torch.cat([mel.mean(0), mel.std(0)])
        draw = torch.Generator().manual_seed(0)

        def answer(length: int) -> np.ndarray:
            return (torch.randn(length, len(facts), generator=draw) @ facts).numpy()

        tags = 1 / (1 + np.exp(-answer(50)))
        return {
            "log_mel": mel.half().numpy(),
            "musicnn": answer(200),
            "mn04": answer(384),
            "fcn": answer(64),
            "tags": tags,
            "audioset": np.full(527, 0.1, np.float16),
        }


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for number in range(6):
        sounds.write_audio(
            folder / f"{number}.wav",
            sounds.music(5 + number, sample_rate=16_000, channels=1, seed=number),
            sample_rate=16_000,
            tags={"artist": f"artist {number // 2}"},
        )
    return folder


@pytest.fixture(scope="session")
def run_prepare(songs: Path) -> Callable[[Path], Prepared]:
    def run(folder: Path) -> Prepared:
        prepare(
            read_folder(songs),
            folder,
            SmallTeachers(),
            at_most=2,
            copies=1,
            seed=0,
            threads=1,
            report=lambda _: None,
        )
        return open_prepared(folder)

    return run


@pytest.fixture(scope="session")
def prepared(
    run_prepare: Callable[[Path], Prepared], tmp_path_factory: pytest.TempPathFactory
) -> Prepared:
    return run_prepare(tmp_path_factory.mktemp("data"))


@pytest.fixture
def small_musicnn() -> tuple[torch.nn.Module, NetworkConfig]:
    torch.manual_seed(1)
    config = NetworkConfig("musicnn", SIZES)
    return build_network(config).eval().requires_grad_(False), config
