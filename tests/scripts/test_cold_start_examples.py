"""The example programs run as they stand."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cornac.data import ImageModality
from cornac.eval_methods import RatioSplit
from cornac.models import VBPR
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[2] / "scripts" / "examples"


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run a program in an empty folder, where it leaves nothing that was not asked for."""

    def runner(name: str, *arguments: object) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with threadpool_limits(1, "blas"):
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        assert {path.name for path in tmp_path.iterdir()} <= set(arguments)
        return capsys.readouterr().out

    return runner


def test_there_is_a_test_for_each() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.name}"' in text for path in EXAMPLES.glob("*.py"))


@pytest.mark.slow
def test_implicit_takes_an_upload(
    run: Callable[..., str], original_catalog: Path, original_songs: Path
) -> None:
    song = sorted(original_songs.rglob("*.mp3"))[0]
    out = run("implicit_new_upload.py", original_catalog, song)
    assert "upload-7 is served by" in out
    assert "user 0:" in out
    lines = (EXAMPLES / "implicit_new_upload.py").read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line and not line.startswith(("#", '"""', "import", "from"))]
    assert len(code) <= 20


def test_lightfm_features_are_made(run: Callable[..., str], original_catalog: Path) -> None:
    out = run("lightfm_item_features.py", original_catalog)
    assert "item features: (12, " in out
    assert "float32 csr" in out


@pytest.mark.slow
def test_cornac_runs_with_the_modality(run: Callable[..., str], original_catalog: Path) -> None:
    out = run("cornac_modality.py", original_catalog)
    assert "features of (12, " in out
    assert "\nVBPR " in out
    assert "VBPR's factors of the items' embeddings: (12, 8)" in out


@pytest.mark.slow
def test_cornacs_model_uses_the_features_it_is_given() -> None:
    """As the example hands it over: other features, other scores."""
    rng = np.random.default_rng(0)
    keys = [f"{number}.mp3" for number in range(12)]
    plays = [(str(n), key, 1.0) for n in range(30) for key in keys if rng.random() < 0.3]

    def scores(features: np.ndarray) -> np.ndarray:
        image = ImageModality(features=features, ids=keys, normalized=False)
        split = RatioSplit(plays, exclude_unknowns=True, seed=0, item_image=image)
        model = VBPR(k=4, k2=4, n_epochs=2, batch_size=50, seed=0, verbose=False)
        return np.asarray(model.fit(split.train_set).score(0))

    features = rng.standard_normal((12, 8)).astype(np.float32)
    np.testing.assert_allclose(scores(features), scores(features), rtol=1e-5)
    assert np.abs(scores(features) - scores(features[::-1])).max() > 1e-3


def test_spark_gets_a_parquet_file(run: Callable[..., str], original_catalog: Path) -> None:
    out = run("spark_export.py", original_catalog, "out.parquet")
    assert out.startswith("12 tracks; id: int64")
    assert "vector: list<element: float>" in out
