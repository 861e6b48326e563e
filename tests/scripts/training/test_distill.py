from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from training.ablation import VARIANTS, ablate
from training.distill import DIM, assemble, compose, distill, open_saved, save
from training.export import export
from training.features import heard_by, listen, plain_network
from training.head import Affine, fit_tags, fit_teachers, targets_of
from training.metric import fit_metric
from training.ridge import Regression
from training.spectrograms import Spectrograms, louder
from training.targets import TEACHERS, windows_of

from indexer.features.melspectrogram import FrontEnd, log_mel
from indexer.models.checkpoint import ModelCard, NetworkConfig
from indexer.models.checkpoint import write as write_model
from indexer.models.registry import load_model
from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from pathlib import Path

    from training.prepare import Prepared

    from indexer.models.model import Model

Musicnn = tuple[torch.nn.Module, NetworkConfig]
CLASSES = list(range(50))


@pytest.fixture
def musicnn(small_musicnn: Musicnn, tmp_path: Path) -> Model:
    network, config = small_musicnn
    tensors = {name: t.numpy() for name, t in network.state_dict().items()}
    tags = tuple(f"tag {number}" for number in range(50))
    card = ModelCard("small", 20, tags, config, FrontEnd(), "mean", "ISC. Notice.", "test")
    write_model(tmp_path / "small.safetensors", tensors, card)
    return load_model(tmp_path / "small.safetensors")


def test_what_is_distilled_is_a_model_and_repeats_itself(
    musicnn: Model, prepared: Prepared, tmp_path: Path
) -> None:
    said: list[str] = []
    run = tmp_path / "run"
    network, config = distill(
        musicnn, prepared, classes=CLASSES, folder=run / "heard", report=said.append
    )
    assert sum(line.startswith("listened") for line in said) == len(prepared.chunks)
    said.clear()
    again, _ = distill(musicnn, prepared, classes=CLASSES, folder=run / "heard", report=said.append)
    assert not any(line.startswith("listened") for line in said)
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    save(network, config, run)
    path = tmp_path / "own.safetensors"
    export(*open_saved(run), path, name="own", musicnn=musicnn.info)
    model = load_model(path)
    assert model.info.dim == DIM
    assert model.info.tag_names[0] == "tag 0"
    assert "ISC. Notice." in model.info.licence
    assert path.stat().st_size < 8e6
    sound = np.random.default_rng(0).standard_normal((2, 48_000)).astype(np.float32) / 10
    embeddings, activations = model.embed_windows(sound)
    embedding, _ = model.pool(embeddings, activations)
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-5)
    assert activations.shape == (2, 100)
    assert ((activations >= 0) & (activations <= 1)).all()


def test_the_network_says_what_ear_head_and_metric_say_together(
    musicnn: Model, prepared: Prepared, tmp_path: Path
) -> None:
    ear = plain_network(musicnn)
    targets = targets_of(prepared, CLASSES)
    heard = heard_by(ear, prepared, tmp_path / "heard", report=lambda _: None)
    teachers = fit_teachers(heard, targets.vectors)
    vectors = teachers(heard.mean(1, dtype=np.float32))
    metric = fit_metric(vectors, targets.tracks, dim=DIM)
    tags = fit_tags(heard, targets.tags)
    network, _ = assemble(musicnn, ear, compose(metric, teachers), tags)
    windows = windows_of(torch.from_numpy(np.array(first_log_mel(prepared))), 187)
    embeddings, logits = network(windows)
    features = listen(ear, windows)
    expected = metric(teachers(features))
    np.testing.assert_allclose(embeddings.numpy(), expected, atol=1e-3)
    np.testing.assert_allclose(logits.numpy(), tags(features), atol=1e-3)
    torch.testing.assert_close(network.forward_features(windows)[0], ear(windows)[0])


def first_log_mel(prepared: Prepared) -> np.ndarray:
    return Spectrograms(prepared, altered=True, frames=187).row(0).astype(np.float32)


def test_ridge_regression_finds_an_affine_map() -> None:
    rng = np.random.default_rng(0)
    inputs = torch.from_numpy(rng.standard_normal((500, 6)).astype(np.float32))
    weight, bias = torch.randn(3, 6), torch.randn(3)
    fitted = Regression(6, 3)
    for part in inputs.split(100):
        fitted.add(part, part @ weight.T + bias)
    found = fitted.solve(ridge=1e-6)
    torch.testing.assert_close(found[0], weight, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found[1], bias, atol=1e-3, rtol=1e-3)
    assert fitted.solve(ridge=1.0)[0].norm() < 0.7 * weight.norm()


def test_tags_are_as_probable_as_the_teacher_says() -> None:
    rng = np.random.default_rng(1)
    heard = rng.standard_normal((400, 4, 8)).astype(np.float16)
    truth = Affine(rng.standard_normal((5, 8)).astype(np.float32), np.full(5, -2, np.float32))
    tags = (1 / (1 + np.exp(-truth(heard.astype(np.float32))))).mean(1)
    fitted = fit_tags(heard, tags)
    said = (1 / (1 + np.exp(-fitted(heard.astype(np.float32))))).mean(1)
    np.testing.assert_allclose(said.mean(0), tags.mean(0), atol=0.03)
    assert np.corrcoef(said.ravel(), tags.ravel())[0, 1] > 0.98


def test_louder_is_what_the_front_end_hears_of_louder_sound() -> None:
    sound = torch.randn(48_000) * 0.05
    expected = log_mel(sound * 10 ** (6 / 20), front_end=FrontEnd())
    found = louder(log_mel(sound, front_end=FrontEnd()), 6.0)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def clouds(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of 100 tracks that differ in 20 directions only."""
    rng = np.random.default_rng(seed)
    size = sum(TEACHERS.values())
    tracks = np.repeat(np.arange(100), 3)
    noise = np.zeros((300, size))
    noise[:, :20] = 3 * rng.standard_normal((300, 20))
    return (rng.standard_normal((100, size))[tracks] + noise).astype(np.float32), tracks


def togetherness(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Mean cosine within labels above that between them."""
    similar = unit_rows(vectors) @ unit_rows(vectors).T
    same = labels[:, None] == labels[None]
    return float(similar[same].mean() - similar[~same].mean())


def test_within_a_track_distances_shrink() -> None:
    vectors, tracks = clouds(0)
    shrunk = fit_metric(vectors, tracks, dim=DIM, hold=1.0)(vectors)
    plain = fit_metric(vectors, tracks, dim=DIM, hold=float("inf"))(vectors)
    assert togetherness(shrunk, tracks) > togetherness(plain, tracks) + 0.05


def test_copies_at_other_levels_come_together() -> None:
    vectors, tracks = clouds(1)
    direction = np.zeros(vectors.shape[1], np.float32)
    direction[-5:] = 4
    copies = np.stack([vectors - direction, vectors, vectors + direction], 1)
    labels = np.repeat(np.arange(len(vectors)), 3)
    flat = copies.reshape(-1, copies.shape[2])
    held = fit_metric(vectors, tracks, dim=DIM, copies=copies)(flat)
    free = fit_metric(vectors, tracks, dim=DIM)(flat)
    assert togetherness(held, labels) > togetherness(free, labels) + 0.02


def test_every_variant_is_measured(musicnn: Model, prepared: Prepared, tmp_path: Path) -> None:
    labelled = replace(
        prepared,
        tracks=[
            replace(track, source="emotify" if number % 2 else "debian", genre="a", group="g")
            for number, track in enumerate(prepared.tracks)
        ],
    )
    rows = ablate(
        musicnn, prepared, labelled, classes=CLASSES, folder=tmp_path, report=lambda _: None
    )
    assert [name for name, _ in rows[len(TEACHERS) :]] == [variant.name for variant in VARIANTS]
    assert all(scores["soundtracks: group"].means[0] > 0 for _, scores in rows)
