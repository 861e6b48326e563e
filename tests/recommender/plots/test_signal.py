from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.errors import ExtraMissing, InvalidOption, NotAudio, Silent, Unreadable
from indexer.filesystem import begins_with, replace_file
from recommender.plots.signal import Signal, draw_signal, in_words, onsets_title
from recommender.plots.signal_analysis import (
    MEL_BANDS,
    SignalAnalysis,
    analyse_signal,
    mel_decibels,
    onset_strength,
)
from recommender.plots.style import check_target, need_matplotlib, one_line, save
from tests import sounds
from tests.catalogs import Planted, plant
from tests.recommender.plots.looking import assert_legible, png_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from indexer.models.registry import Model


RATE = 16_000


def test_a_sound_is_heard_to_its_end_in_consecutive_windows(
    pair: tuple[SignalAnalysis, SignalAnalysis], model: Model
) -> None:
    heard, _ = pair
    assert heard.sample_rate == RATE
    assert 8 <= heard.end_s - heard.start_s <= 9
    assert np.allclose(np.diff(heard.windows_s), 1.0)
    assert heard.windows_s[-1] + heard.window_s == pytest.approx(heard.end_s)
    assert heard.vectors.shape == (len(heard.windows_s), model.info.dim)
    assert np.allclose(np.linalg.norm(heard.vectors, axis=1), 1, atol=1e-5)
    assert heard.activations.shape[1] == len(model.info.tag_names)
    assert heard.decibels.shape[1] == MEL_BANDS
    # Both 16 ms apart.
    assert len(heard.decibels) == pytest.approx(len(heard.samples) / RATE / 0.016, abs=2)
    assert len(heard.onsets) == pytest.approx(len(heard.decibels), abs=4)
    assert np.isfinite(heard.decibels.astype(np.float32)).all()


def test_silence_within_a_sound_is_no_tag(tmp_path: Path, model: Model) -> None:
    sound = sounds.music(10, sample_rate=RATE, channels=1, seed=4)
    sound[:, 2 * RATE : 8 * RATE] = 0
    path = sounds.write_audio(tmp_path / "gap.wav", sound, sample_rate=RATE)
    heard = analyse_signal(os.fsencode(path), model)
    silent = np.isnan(heard.activations).all(axis=1)
    assert 0 < silent.sum() < len(silent)
    assert np.array_equal(silent, np.isnan(heard.vectors).any(axis=1))
    assert np.isfinite(heard.vector).all()
    assert not heard.samples[3 * RATE : 7 * RATE].any()


def test_frames_do_not_depend_on_the_pieces_they_are_made_in(
    pair: tuple[SignalAnalysis, SignalAnalysis],
) -> None:
    heard, _ = pair
    onsets = onset_strength(heard.samples, RATE, piece_s=2.0)
    assert np.allclose(onsets, heard.onsets, atol=1e-5)
    again = mel_decibels(heard.samples, RATE, piece_s=2.0).astype(np.float32)
    apart = np.abs(again - heard.decibels.astype(np.float32))
    assert apart.max() < 0.2


def test_a_long_sound_is_heard_in_part_and_says_so(tmp_path: Path, model: Model) -> None:
    sound = sounds.music(40, sample_rate=RATE, channels=1)
    heard = analyse_signal(
        os.fsencode(sounds.write_audio(tmp_path / "l.wav", sound, sample_rate=RATE)),
        model,
        longest_s=4.0,
        most_windows=2,
    )
    assert heard.end_s - heard.start_s == pytest.approx(4.0)
    assert heard.window_hop_s == 2.0
    signal = Signal("x", None, heard, heard.vector, heard.activations[0], ("a",), heard.descriptors)
    assert in_words(signal).startswith("0:00 to 0:04 of 0:40")


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (sounds.text_file, NotAudio),
        (sounds.empty_file, NotAudio),
        (sounds.silence, Silent),
        (lambda path: path, Unreadable),
    ],
)
def test_what_cannot_be_heard_says_why(
    tmp_path: Path, model: Model, write: Callable[[Path], Path], error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"bad\.wav"):
        analyse_signal(os.fsencode(write(tmp_path / "bad.wav")), model)


def test_a_picture_has_five_named_parts_with_units(
    tmp_path: Path,
    signals: tuple[Signal, Signal],
    titles: Callable[[Figure], list[str]],
) -> None:
    figure = draw_signal(signals[0])
    said = titles(figure)[:5]
    assert [title.split()[0] for title in said] == [
        *("Waveform", "Log-mel", "Chromagram", "Onset", "Tags")
    ]
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels[:4] == [
        "amplitude\n(full scale = 1)",
        "frequency in kHz\n(mel scale)",
        "pitch class",
        "onset strength\n(strongest = 1)",
    ]
    assert {"dB below the loudest", "share of the strongest", "probability"} <= set(labels)
    assert figure.axes[4].get_xlabel() == "time in s"
    assert_legible(figure)
    path = tmp_path / "picture.png"
    save(figure, path)
    width, height = png_size(path)
    assert 1200 < width < 3000
    assert 1200 < height < 3000


@pytest.mark.parametrize(
    ("strongest", "top", "scale"), [(0.4, 1.0, "strongest = 1"), (0.01, 0.1, "all are faint")]
)
def test_noise_of_numbers_is_not_drawn_as_onsets(
    signals: tuple[Signal, Signal], strongest: float, top: float, scale: str
) -> None:
    onsets = np.zeros_like(signals[0].analysis.onsets)
    onsets[::10] = strongest
    figure = draw_signal(replace(signals[0], analysis=replace(signals[0].analysis, onsets=onsets)))
    axes = figure.axes[3]
    assert axes.get_ylabel() == f"onset strength\n({scale})"
    (drawn,) = axes.collections
    assert drawn.get_paths()[0].vertices[:, 1].max() == pytest.approx(top)


def test_tempo_and_key_are_told(signals: tuple[Signal, Signal]) -> None:
    known = replace(
        signals[0].descriptors, tempo_bpm=91.6, tempo_confidence=0.5, musical_key="A minor"
    )
    found = replace(signals[0], descriptors=known)
    assert onsets_title(found) == ("Onset strength: 92 BPM, a beat every 0.66 s (confidence 0.50)")
    assert "   92 BPM   ·   A minor   " in in_words(found)
    unknown = replace(found, descriptors=replace(known, tempo_bpm=None, musical_key=None))
    assert onsets_title(unknown) == "Onset strength: no steady beat"
    assert "no steady beat   ·   no clear key" in in_words(unknown)


def test_bad_input_is_one_sentence(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, catalog_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    place = plant(empty, ("rock",), [])
    bad = sounds.text_file(tmp_path / "bad.mp3")
    cases = [
        (("picture", "nosuch", "--catalog", catalog_path), "no track fits 'nosuch'"),
        (("picture", "song", "--catalog", catalog_path), "12 tracks fit"),
        (("picture", tmp_path / "gone.mp3", "--catalog", catalog_path), "no track fits"),
        (("compare", 1, "nosuch", "--catalog", catalog_path), "no track fits 'nosuch'"),
        (("picture", 1, "--catalog", place), "holds no tracks yet"),
        (("picture", bad, "--catalog", place), "holds no tracks yet"),
        (("picture", 1, "--catalog", tmp_path / "no.db"), "no.db"),
        (("picture", 1, "--out", "x.jpg"), "does not end in .png"),
        (("compare", 1, 2, "--out", "no/x.png"), "the folder no does not exist"),
        (("picture", bad, "--catalog", catalog_path), "bad.mp3"),
    ]
    for arguments, sentence in cases:
        code, out, err = run(*arguments)
        assert (code, out) == (1, ""), arguments
        assert sentence in err
        assert err.startswith("soundalike: ")
        assert "Traceback" not in err
    assert not (tmp_path / "picture.png").exists()


def test_without_matplotlib_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    need_matplotlib()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ExtraMissing, match=r"pip install 'soundalike\[pictures\]'"):
        need_matplotlib()


def test_only_a_file_of_the_same_kind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    write = partial(
        replace_file, kind="PNG picture", is_kind=lambda existing: begins_with(existing, b"PNG")
    )
    path.touch()
    for content in (b"PNG one", b"PNG two"):
        write(path, content)
        assert path.read_bytes() == content
    path.write_text("my diary")
    with pytest.raises(InvalidOption, match="is no PNG"):
        write(path, b"PNG")
    assert path.read_text() == "my diary"
    assert list(tmp_path.iterdir()) == [path]


def test_targets_are_looked_at_first(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InvalidOption, match="is a folder"):
        check_target(tmp_path / "folder.png", ".png")
    check_target(tmp_path / "new.PNG", ".png")
    with pytest.raises(InvalidOption, match="cannot be written"):
        replace_file(tmp_path / "no" / "x.png", b"", kind="PNG", is_kind=Path.is_file)


def test_labels_are_one_clean_line() -> None:
    assert one_line("a\x1b[31m\nb\u202e c\udcff") == "a [31m b c"
    assert one_line("x" * 50, longest=10) == "x" * 9 + "…"


def test_a_planted_track_asks_for_its_model(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    place = plant(tmp_path, ("rock",), [Planted("One")])
    code, out, err = run("picture", 1, "--catalog", place, "--json")
    assert (code, out) == (1, "")
    assert "planted" in err


def test_compare_draws_a_track_and_a_file(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, catalog_path: Path
) -> None:
    own = sounds.write_audio(tmp_path / "own.wav", sounds.music(5, seed=3), tags={"title": "Own"})
    code, out, err = run("compare", 3, own, "--catalog", catalog_path, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["first"]["name"] == "Band 0 - Song 2"
    assert answer["second"]["id"] is None
    assert 0 < answer["score"] <= 1
    assert answer["pairs"][0].keys() == {"first_s", "second_s", "length_s", "cosine"}
    assert png_size(tmp_path / "comparison.png")[0] > 1500
