from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from training import student as students
from training.course import Course, distill_student, open_student
from training.distill import Objective, Pairs, contrast
from training.ensemble import fit
from training.evaluate import precision_at, retrieval, unit
from training.export import export
from training.least_squares import fit_dense, fit_midend

from indexer.checkpoint import ModelCard, NetworkConfig
from indexer.checkpoint import write as write_model
from indexer.melspectrogram import FrontEnd
from indexer.model import load_model

if TYPE_CHECKING:
    from pathlib import Path

    from training.prepare import Prepared

    from indexer.model import Model

Musicnn = tuple[torch.nn.Module, NetworkConfig]


@pytest.fixture
def teacher(small_musicnn: Musicnn, tmp_path: Path) -> Model:
    network, config = small_musicnn
    tensors = {name: t.numpy() for name, t in network.state_dict().items()}
    tags = tuple(f"tag {number}" for number in range(50))
    card = ModelCard("small", 20, tags, config, FrontEnd(), "mean", "ISC. Notice.", "test")
    write_model(tmp_path / "small.safetensors", tensors, card)
    return load_model(tmp_path / "small.safetensors")


def course(steps: int) -> Course:
    return Course(Objective(), steps=steps, batch=8, windows=1, midend_windows=16, dense_windows=16)


def run(teacher: Model, prepared: Prepared, folder: Path, steps: int) -> list[str]:
    lines: list[str] = []
    distill_student(
        teacher,
        prepared,
        course(steps),
        n_tags=100,
        classes=list(range(50)),
        run=folder,
        report=lines.append,
    )
    return lines


def test_at_full_rate_the_student_hears_what_musicnn_hears(small_musicnn: Musicnn) -> None:
    network, config = small_musicnn
    student = students.make(network, config, dim=192, n_tags=60)
    sizes = students.duet_config(config, dim=192, n_tags=60).sizes
    assert sizes["frame_stride"] == 2
    for branch in student.spectral:
        branch.conv.stride = (1, 1)
    windows = torch.rand(3, 187, 96) * 3
    odd = [number for number, shape in enumerate(sizes["filters"]) if shape[1] % 2]
    assert odd  # filters of even length hear half a frame later
    with torch.no_grad():
        x = student.input_norm(windows[:, None])
        for number in odd:
            found = student.spectral[number](x)
            torch.testing.assert_close(found, network.spectral[number](x), rtol=1e-4, atol=1e-4)


def test_least_squares_bring_the_first_branch_nearer(
    small_musicnn: Musicnn, prepared: Prepared
) -> None:
    network, config = small_musicnn
    student = students.make(network, config, dim=192, n_tags=60).eval()
    with torch.no_grad():
        student.midend[1].conv.weight *= 0.5
        student.dense.weight *= 0.8
    mel = torch.from_numpy(np.load(prepared.chunks[0] / "log_mel.npy")[:, :187].astype(np.float32))

    def error() -> float:
        with torch.no_grad():
            return float(
                (student.listen(student.input_norm(mel[:, None]))[0] - network(mel)[0])
                .square()
                .mean()
            )

    before = error()
    fit_midend(student, network, prepared, windows=64, seed=0)
    fit_dense(student, network, prepared, windows=256, seed=0)
    assert error() < 0.5 * before


def test_folding_changes_nothing(small_musicnn: Musicnn) -> None:
    student = students.make(*small_musicnn, dim=192, n_tags=60).train()
    windows = torch.rand(8, 187, 96) * 3
    with torch.no_grad():
        student(windows)
        student.eval()
        folded = copy.deepcopy(student)
        students.fold(folded)
        torch.testing.assert_close(folded(windows), student(windows), rtol=1e-4, atol=1e-4)
    assert not any(
        "norm" in type(m).__name__.lower() and "Batch" in type(m).__name__ for m in folded.modules()
    )


def test_training_lowers_the_loss_and_repeats_itself(
    teacher: Model, prepared: Prepared, tmp_path: Path
) -> None:
    run(teacher, prepared, tmp_path / "a", 12)
    run(teacher, prepared, tmp_path / "b", 12)
    first, second = (torch.load(tmp_path / n / "student.pt", weights_only=False) for n in "ab")
    assert first["losses"] == second["losses"]
    assert np.mean(first["losses"][-3:]) < np.mean(first["losses"][:3])
    for name, tensor in first["network"].items():
        assert torch.equal(tensor, second["network"][name]), name


def test_a_killed_run_goes_on_where_it_was(
    teacher: Model, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(teacher, prepared, tmp_path / "whole", 6)
    monkeypatch.setattr("training.loop.CHECKPOINT_S", 0.0)
    monkeypatch.setattr("training.loop.REPORT_S", 0.0)
    lines: list[str] = []

    def killed(line: str) -> None:
        lines.append(line)
        if line.startswith("step 3 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill_student(
            teacher,
            prepared,
            course(6),
            n_tags=100,
            classes=list(range(50)),
            run=tmp_path / "cut",
            report=killed,
        )
    assert any(
        line.startswith("resuming at step 2")
        for line in run(teacher, prepared, tmp_path / "cut", 6)
    )
    whole, cut = (
        torch.load(tmp_path / n / "student.pt", weights_only=False)["network"]
        for n in ("whole", "cut")
    )
    for name, tensor in whole.items():
        torch.testing.assert_close(cut[name], tensor, msg=name)
    with pytest.raises(ValueError, match="begun with other settings"):
        run(teacher, prepared, tmp_path / "cut", 7)


def test_the_exported_student_is_a_model(
    teacher: Model, prepared: Prepared, tmp_path: Path
) -> None:
    run(teacher, prepared, tmp_path / "run", 2)
    student, config = open_student(teacher, tmp_path / "run")
    path = tmp_path / "duet.safetensors"
    export(student, config, path, name="duet", musicnn=teacher.info)
    model = load_model(path)
    assert model.info.dim == 192
    assert model.info.tag_names[0] == "tag 0"
    assert "ISC. Notice." in model.info.licence
    assert path.stat().st_size < 8e6
    sound = np.random.default_rng(0).standard_normal((2, 48_000)).astype(np.float32) / 10
    embeddings, activations = model.embed_windows(sound)
    embedding, _ = model.pool(embeddings, activations)
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-5)
    assert activations.shape == (2, 100)
    assert ((activations >= 0) & (activations <= 1)).all()


def test_one_teachers_part_of_the_ensemble_is_an_affine_map() -> None:
    rng = np.random.default_rng(0)
    embeddings = {
        "musicnn": rng.standard_normal((200, 5)).astype(np.float32) * 3 + 1,
        "mn04": rng.standard_normal((200, 7)).astype(np.float32),
    }
    ensemble = fit(embeddings, dim=12, weights={"musicnn": 1.0, "mn04": 1.0})
    vectors = ensemble.target(embeddings)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    alone = embeddings | {"mn04": np.tile(ensemble.means["mn04"], (200, 1))}
    weight, bias = ensemble.affine_of("musicnn", embeddings["musicnn"])
    found, wanted = embeddings["musicnn"] @ weight.T + bias, ensemble.target(alone)
    np.testing.assert_allclose(unit(found), unit(wanted), atol=1e-4)


def test_contrast_is_least_where_labels_are_together() -> None:
    labels = np.array([0, 0, 1, 1])
    together = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert contrast(together, labels) < contrast(together[[0, 2, 1, 3]], labels)
    assert contrast(together, np.arange(4)) == 0


def test_half_of_a_batch_comes_in_pairs() -> None:
    labels = np.array([0, 0, 1, 1, *range(2, 100)])
    rows = Pairs(labels).draw(16, np.random.default_rng(0))
    assert len(rows) == 16
    assert (labels[rows[8::2]] == labels[rows[9::2]]).all()


def test_retrieval_counts_as_one_would_by_hand() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [0.8, 0.3], [0, 1]], dtype=np.float32)
    scores = retrieval(vectors, ["a", "a", "b", "b"])
    np.testing.assert_allclose(scores.values[0], [1, 1 / 3, 1])
    np.testing.assert_allclose(scores.values[3], [1, 1 / 3, 1])
    assert len(retrieval(vectors, ["a", "a", "b", ""], without=["x", "x", "y", "z"]).values) == 0
    assert precision_at(vectors, ["a", "a", "b", "b"], 1) == pytest.approx(0.75)
