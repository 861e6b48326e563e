from __future__ import annotations

from typing import TYPE_CHECKING

import evaluate
import numpy as np
import pytest
from click.testing import CliRunner
from evaluation.descriptors import Method, Piece, _click_track, _ours, _tempo_row, mirex

from indexer.features.key import KEYS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("found", "truth", "score"),
    [
        ("A minor", "A minor", 1.0),
        ("G major", "C major", 0.5),  # a fifth above
        ("F major", "C major", 0.0),
        ("E minor", "A minor", 0.5),
        ("A minor", "C major", 0.3),
        ("C major", "A minor", 0.3),
        ("C minor", "C major", 0.2),
        ("A major", "C major", 0.0),
    ],
)
def test_keys_are_scored_as_mirex_does(found: str, truth: str, score: float) -> None:
    assert mirex(KEYS.index(found), KEYS.index(truth)) == score
    assert mirex(None, KEYS.index(truth)) == 0.0


def test_tempi_are_counted_with_octaves_apart() -> None:
    told = iter([100.0, 200.0, 50.0, 150.0, None])
    method = Method("told", lambda _piece: next(told), lambda _piece: None)
    piece = Piece(100.0, None, np.zeros((1, 1), np.float32), np.zeros(1, np.float32), 1)
    exact, octave, without, of_found = _tempo_row(method, [piece] * 5)
    assert (exact.value, octave.value, without) == (0.2, 0.6, 1)
    assert of_found.value == 0.75


def test_click_tracks_are_what_they_are_said_to_be() -> None:
    assert _ours(_click_track(75, seed=3)).tempo_bpm == pytest.approx(75, rel=0.01)


def test_a_table_without_tempo_or_with_no_key_is_refused_in_a_sentence(tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    for text, said in (
        ("path,style\na.mp3,Folk\n", "columns path, tempo and key"),
        ("path,tempo,key\na.mp3,90,loud\n", "'loud'"),
        ("", "columns"),
    ):
        truth.write_text(text)
        done = CliRunner().invoke(evaluate.main, ["descriptors", str(tmp_path), str(truth)])
        assert done.exit_code == 1
        assert said in done.output
