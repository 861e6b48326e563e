from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from recommender.plots.comparison import PAIRS, Comparison, draw_comparison
from recommender.retrieval.explanations import matching_windows
from tests.recommender.plots.looking import assert_legible

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from recommender.plots.signal import Signal


def compared(one: Signal, other: Signal, **told: object) -> Comparison:
    cosines = one.analysis.vectors @ other.analysis.vectors.T
    pairs = matching_windows(
        cosines,
        one.analysis.windows_s,
        other.analysis.windows_s,
        length_s=one.analysis.window_s,
        count=PAIRS,
    )
    found = Comparison(one, other, 0.5, 0.996, ("rock", "loud"), None, None, pairs, cosines)
    return replace(found, **told)  # type: ignore[arg-type]  # fields by name


def test_planted_equal_seconds_are_found(signals: tuple[Signal, Signal]) -> None:
    found = compared(*signals)
    best = found.pairs[0]
    assert best.second_s - best.first_s == pytest.approx(4.0, abs=0.1)
    assert 2 <= best.first_s <= 4.1
    assert best.cosine > 0.99
    assert all(pair.cosine < best.cosine for pair in found.pairs[1:])
    assert float(np.median(found.cosines)) < best.cosine - 0.003


def test_no_stretch_is_told_twice_and_silence_never() -> None:
    seconds = np.arange(10.0)
    cosines = np.full((10, 10), 0.1, np.float32)
    cosines[4] = 0.9  # like everything
    cosines[4, 7] = 0.95
    cosines[0, 0] = 0.5
    cosines[9] = np.nan
    pairs = matching_windows(cosines, seconds, seconds, length_s=3.0, count=PAIRS)
    assert (pairs[0].first_s, pairs[0].second_s) == (4, 7)
    assert (pairs[1].first_s, pairs[1].second_s) == (0, 0)
    for place, pair in enumerate(pairs):
        assert np.isfinite(pair.cosine)
        for other in pairs[:place]:
            assert abs(pair.first_s - other.first_s) >= 3
            assert abs(pair.second_s - other.second_s) >= 3
    assert (
        matching_windows(
            np.full((2, 2), np.nan), seconds[:2], seconds[:2], length_s=3.0, count=PAIRS
        )
        == ()
    )


def test_where_they_agree_is_said(signals: tuple[Signal, Signal]) -> None:
    one, other = signals
    slow = replace(one.descriptors, tempo_bpm=80.0, musical_key="A minor")
    quick = replace(one.descriptors, tempo_bpm=None, musical_key=None)
    apart = compared(replace(one, descriptors=slow), replace(other, descriptors=quick), tags=())
    assert apart.agreement() == [
        "cosine 0.50, closer than 99.6 % of random pairs of the library",
        "tempo: 80 BPM and no beat",
        "key: A minor and none clear",
        "no distinctive tag in common",
    ]
    beatless = [replace(signal, descriptors=quick) for signal in (one, other)]
    assert compared(*beatless).agreement()[1:3] == [
        "tempo: no beat in either",
        "key: none clear in either",
    ]
    alike = compared(one, other, tempo_bpm=80.0, musical_key="A minor", score=None)
    assert alike.agreement() == [
        "cosine 0.50",
        "tempo: both 80 BPM",
        "key: both A minor",
        "tags of both: rock, loud",
    ]


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (1.0, "closer than 999 of 1,000 random pairs of the library"),
        (0.4, "closer than 40 % of random pairs of the library"),
        (0.0, "farther apart than nearly all random pairs of the library"),
    ],
)
def test_a_score_is_put_into_words(
    signals: tuple[Signal, Signal], score: float, words: str
) -> None:
    assert compared(*signals, score=score).agreement()[0] == f"cosine 0.50, {words}"


def test_the_picture_is_legible_and_has_its_parts(
    signals: tuple[Signal, Signal],
    titles: Callable[[Figure], list[str]],
) -> None:
    figure = draw_comparison(compared(*signals))
    said = titles(figure)
    assert {"A: waveform", "B: waveform", "Strongest tags"} <= set(said)
    assert said.count("Log-mel spectrogram") == said.count("Chromagram") == 2
    (matrix,) = (axes for axes in figure.axes if axes.get_title(loc="left").startswith("Which"))
    assert (matrix.get_xlabel(), matrix.get_ylabel()) == ("B, time in s", "A, time in s")
    assert [text.get_text() for text in matrix.texts] == [
        str(number) for number in range(1, len(matrix.texts) + 1)
    ]
    assert_legible(figure)
