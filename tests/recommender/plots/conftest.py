from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.models.registry import load_model
from recommender.plots.signal import Signal
from recommender.plots.signal_analysis import SignalAnalysis, analyse_signal
from tests import sounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure

    from indexer.models.registry import Model

RATE = 16_000


@pytest.fixture(scope="session")
def model() -> Model:
    return load_model("musicnn")


@pytest.fixture(scope="session")
def pair(
    tmp_path_factory: pytest.TempPathFactory, model: Model
) -> tuple[SignalAnalysis, SignalAnalysis]:
    """A song of 9 s, and another one of 12 s that has seconds 2 to 7 of it from second 6 on."""
    folder = tmp_path_factory.mktemp("pair")
    first, second = (
        sounds.music(seconds, sample_rate=RATE, channels=1, seed=seed)
        for seconds, seed in ((9, 1), (12, 2))
    )
    second[:, 6 * RATE : 11 * RATE] = first[:, 2 * RATE : 7 * RATE]
    heard = []
    for name, sound in (("a.wav", first), ("b.wav", second)):
        path = sounds.write_audio(folder / name, sound, sample_rate=RATE)
        heard.append(analyse_signal(os.fsencode(path), model))
    return heard[0], heard[1]


@pytest.fixture
def signals(pair: tuple[SignalAnalysis, SignalAnalysis], model: Model) -> tuple[Signal, Signal]:
    one, other = (
        Signal(
            f"{letter} costs $5 and $6 \N{EM DASH} a name as long as the names of movements are",
            None,
            heard,
            heard.vector,
            np.nanmean(heard.activations, axis=0),
            model.info.tag_names,
            heard.descriptors,
        )
        for letter, heard in zip("AB", pair, strict=True)
    )
    return one, other


@pytest.fixture
def titles() -> Callable[[Figure], list[str]]:
    def of(figure: Figure) -> list[str]:
        return [axes.get_title(loc="left") for axes in figure.axes]

    return of


@pytest.fixture(autouse=True)
def _style_is_put_back() -> Iterator[None]:
    import matplotlib as mpl

    before = mpl.rcParams["text.parse_math"]
    yield
    assert mpl.rcParams["text.parse_math"] == before
