"""The example programs run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cornac.data import ImageModality
from cornac.eval_methods import RatioSplit
from cornac.models import VBPR

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "scripts" / "examples"


def run(place: Path, name: str, *arguments: object) -> str:
    """Run a program in an empty folder, where it leaves nothing that was not asked for."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        capture_output=True, text=True, cwd=place, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.name for path in place.iterdir()} <= set(arguments)
    return done.stdout


def test_there_is_a_test_for_each() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.name}"' in text for path in EXAMPLES.glob("*.py"))


@pytest.mark.slow
def test_implicit_takes_an_upload(
    original_catalog: Path, original_songs: Path, tmp_path: Path
) -> None:
    song = sorted(original_songs.rglob("*.mp3"))[0]
    out = run(tmp_path, "implicit_new_upload.py", original_catalog, song)
    assert "upload-7 is served by" in out
    assert "user 0:" in out
    lines = (EXAMPLES / "implicit_new_upload.py").read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line and not line.startswith(("#", '"""', "import", "from"))]
    assert len(code) <= 20


def test_lightfm_features_are_made(original_catalog: Path, tmp_path: Path) -> None:
    out = run(tmp_path, "lightfm_item_features.py", original_catalog)
    assert "item features: (12, " in out
    assert "float32 csr" in out


@pytest.mark.slow
def test_cornac_runs_with_the_modality(original_catalog: Path, tmp_path: Path) -> None:
    out = run(tmp_path, "cornac_modality.py", original_catalog)
    assert "features of (12, " in out
    assert "\nVBPR " in out
    assert "VBPR's factors of the items' embeddings: (12, 8)" in out


@pytest.mark.slow
def test_cornacs_model_hears_what_it_is_given() -> None:
    """As the example hands it over: other features, other scores."""
    rng = np.random.default_rng(0)
    keys = [f"{number}.mp3" for number in range(12)]
    plays = [(str(n), key, 1.0) for n in range(30) for key in keys if rng.random() < 0.3]

    def scores(features: np.ndarray) -> np.ndarray:
        image = ImageModality(features=features, ids=keys, normalized=False)
        split = RatioSplit(plays, exclude_unknowns=True, seed=0, item_image=image)
        model = VBPR(k=4, k2=4, n_epochs=2, batch_size=50, seed=0, verbose=False)
        return np.asarray(model.fit(split.train_set).score(0))

    heard = rng.standard_normal((12, 8)).astype(np.float32)
    np.testing.assert_allclose(scores(heard), scores(heard), rtol=1e-5)
    assert np.abs(scores(heard) - scores(heard[::-1])).max() > 1e-3


def test_spark_gets_a_parquet_file(original_catalog: Path, tmp_path: Path) -> None:
    out = run(tmp_path, "spark_export.py", original_catalog, "out.parquet")
    assert out.startswith("12 tracks; id: int64")
    assert "vector: list<element: float>" in out
