"""Published checkpoints as model files, against other implementations of the same networks."""

from __future__ import annotations

import importlib.util
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import train
from click.testing import CliRunner
from training.published_networks import MUSIC_CLASSES, MUSICNN_DEAD_BELOW, PUBLISHED, convert

from indexer.errors import ModelCorrupt
from indexer.models import checkpoint
from indexer.models.registry import load_model, model_info
from tests import sounds
from tests.shared_data import TEACHERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

FILES = {published.name: published.file for published in PUBLISHED}


@pytest.fixture(scope="module")
def teachers() -> Path:
    """The folder with the published checkpoints and independent loaders for them."""
    if not all((TEACHERS / file).exists() for file in FILES.values()):
        pytest.skip(f"the published checkpoints are not in {TEACHERS}")
    return TEACHERS


@pytest.fixture
def flushed_denormals() -> Iterator[None]:
    """One loader keeps the dead filters, whose weights are denormal: 3 s instead of 0.2."""
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)


def loader(teachers: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"teacher_{name}", teachers / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_files_are_what_the_conversion_writes(teachers: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(train.main, ["convert", str(teachers), str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(FILES)
    for name in FILES:
        info, _ = checkpoint.read(tmp_path / f"{name}.safetensors")
        assert (info.card, info.fingerprint) == (
            model_info(name).card,
            model_info(name).fingerprint,
        )


def sweep(samples: int, rate: int) -> np.ndarray:
    """A tone that comes and goes, a sweep, noise, and some silence."""
    rng = np.random.default_rng(3)
    t = np.arange(samples) / rate
    wave = 0.3 * np.sin(2 * np.pi * 220 * t) * (np.sin(2 * np.pi * 2 * t) > 0)
    wave += 0.2 * np.sin(2 * np.pi * (100 + 300 * t) * t) + 0.02 * rng.standard_normal(samples)
    wave[-samples // 10 :] = 0.0
    return wave.astype(np.float32)


@pytest.mark.usefixtures("flushed_denormals")
@pytest.mark.parametrize("name", FILES)
def test_a_network_has_the_embeddings_of_an_independent_loader(teachers: Path, name: str) -> None:
    """Up to half precision, and to what lies beyond the ends of the sound."""
    model = load_model(name)
    front_end = model.info.front_end
    rate, length = front_end.sample_rate, front_end.window_frames * front_end.hop_length
    other = loader(teachers, name)
    network = other.load(str(teachers / FILES[name]))
    music = sounds.music(length / rate, sample_rate=rate, channels=1, seed=1)[0, :length]
    for wave in (sweep(length, rate), music):
        found = model.embed({rate: wave[None]})
        expected, probabilities, names = other.embed(wave, rate, network)
        lengths = np.linalg.norm(found.vector), np.linalg.norm(expected)
        assert found.vector @ expected / np.prod(lengths) >= 0.9999
        assert lengths[0] == pytest.approx(lengths[1], rel=0.01)
        if name == "mn04":
            probabilities = probabilities[list(MUSIC_CLASSES)]
            names = [names[number].lower() for number in MUSIC_CLASSES]
        np.testing.assert_allclose(found.probabilities, probabilities, atol=0.01)
        assert list(model.info.tag_names) == names


def test_dead_and_living_filters_are_far_apart(teachers: Path) -> None:
    """No norm is near the bound that separates them."""
    state = torch.load(teachers / FILES["musicnn"], weights_only=True)
    kernels = [value for key, value in state.items() if key.startswith(("timbre", "rhythm"))]
    norms = np.concatenate(
        [kernel.flatten(1).norm(dim=1).numpy() for kernel in kernels if kernel.ndim == 4]
    )
    assert len(norms) == 561
    assert not ((norms > MUSICNN_DEAD_BELOW / 2) & (norms < 100 * MUSICNN_DEAD_BELOW)).any()
    left = [filters for filters, *_ in model_info("musicnn").network.sizes["filters"]]
    assert sum(left) == (norms > MUSICNN_DEAD_BELOW).sum() == 64


class Harmful:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.path, "w")


def test_another_file_is_refused_and_never_run(tmp_path: Path) -> None:
    trace, out = tmp_path / "trace", tmp_path / "model.safetensors"
    for published in PUBLISHED:
        (tmp_path / published.file).write_bytes(pickle.dumps(Harmful(str(trace))))
        with pytest.raises(ModelCorrupt, match="is not the published checkpoint: its SHA-256 is"):
            convert(published, tmp_path, out)
    assert not trace.exists()
    assert not out.exists()
