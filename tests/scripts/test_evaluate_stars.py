from __future__ import annotations

import json
from typing import TYPE_CHECKING

import evaluate
import numpy as np
import pytest
from click.testing import CliRunner
from evaluation.stars import IN_USE, PULLS, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

USERS = 60
ITEMS = 400
PLAYED = 24


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Listeners who each play items that lie around a point of their own, and items' vectors."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(ITEMS, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tastes = rng.normal(size=(USERS, 8))
    likely = tastes @ vectors.T + 0.6 * rng.normal(size=(USERS, ITEMS))
    rows = np.sort(np.argsort(-likely, axis=1)[:, :PLAYED], axis=1)
    path = tmp_path_factory.mktemp("stars") / "plays.npz"
    np.savez(
        path,
        indptr=np.arange(0, USERS * PLAYED + 1, PLAYED),
        indices=rows.ravel(),
        data=np.ones(USERS * PLAYED, np.float32),
        shape=(USERS, ITEMS),
        item_vectors=vectors.astype(np.float16),
    )
    return path


def ask(*words: object) -> str:
    done = CliRunner().invoke(evaluate.main, ["stars", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.slow
def test_radios_that_stars_steer_hold_more_of_what_is_played(plays: Path) -> None:
    first = ask(plays, "--json")
    choice, shown = json.loads(first)["tables"]
    kept = {row["name"]: row["cosine with the seed, kept"] for row in choice["rows"]}
    assert len(kept) == 1 + len(SETTINGS)
    assert kept["no stars"] == 1
    weak, strong = (kept[f"20 stars, pull {pull:g}, score 0.5"] for pull in (PULLS[0], PULLS[-1]))
    assert strong < weak < 1
    assert "the rule takes" in choice["notes"]
    plain, steered, difference = shown["rows"]
    assert (plain["name"], steered["name"]) == ("no stars", str(IN_USE))
    assert difference["hits @20"]["low"] > 0
    assert difference["cosine with the seed"]["high"] < 0
    assert ask(plays, "--json") == first


def test_too_few_listeners_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.npz"
    np.savez(path, indptr=[0, 1], indices=[0], data=[1.0], shape=(1, 2), item_vectors=np.eye(2))
    done = CliRunner().invoke(evaluate.main, ["stars", str(path)])
    assert done.exit_code == 1
    assert "too few users" in done.output
