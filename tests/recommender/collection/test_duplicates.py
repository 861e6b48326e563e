from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from indexer.features.alignment import Alignment
from indexer.library import Library
from recommender.collection.duplicates import (
    NAMED_COSINE,
    PARTNERS,
    TIED_COSINE,
    TIED_S,
    candidates,
    every_pair,
    find_duplicates,
    gather_evidence,
)
from recommender.engine import Recommender
from recommender.retrieval.library_statistics import REFERENCE_RANDOM_COSINE
from recommender.retrieval.near_duplicates import TrackFacts, label_ids
from tests import sounds
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

DIM = 64
SECONDS = 20.0
RATE = 22_050


def near(path: Path, base: int, *, cosine: float = 1.0, **facts: Any) -> Planted:
    """A track whose vector has a cosine to number `base` of those that are unlike each other."""
    vector = near_vector(base, cosine, seed=zlib.crc32(path.name.encode()))
    return Planted(**{"title": None, "artist": None, **facts}, path=path, vector=vector.tolist())


def library(folder: Path, tracks: Sequence[Planted], *, others: int = 200) -> Path:
    """A catalog of tracks and of others, unlike each other as most tracks are; returns its path."""
    unlike = [
        Planted(None, artist=None, vector=near_vector(n, 1.0, seed=n).tolist(), duration_s=float(n))
        for n in range(1000, 1000 + others)
    ]
    return plant(folder, ("loud",), [*tracks, *unlike])


def near_vector(base: int, cosine: float, *, seed: int) -> NDArray[np.float64]:
    start = np.random.default_rng(base).standard_normal(DIM)
    start /= np.linalg.norm(start)
    aside = np.random.default_rng(10_000 + seed).standard_normal(DIM)
    aside -= (aside @ start) * start
    return cosine * start + np.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside)


def known(
    durations_s: Sequence[float] | NDArray[np.float64], names: Mapping[int, str] | None = None
) -> TrackFacts:
    """Tracks of which nothing is known but durations, and the names of some."""
    count = len(durations_s)
    unknown = np.full(count, np.nan)
    return TrackFacts(
        np.asarray(durations_s, dtype=np.float64),
        np.full(count, -1),
        label_ids([(names or {}).get(row) for row in range(count)]),
        np.full(count, -1),
        unknown,
        unknown,
    )


def song(seed: int, *, seconds: float = SECONDS) -> NDArray[np.float32]:
    return sounds.music(seconds, sample_rate=RATE, channels=1, seed=seed)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One song, two copies of it, and another song."""
    folder = tmp_path_factory.mktemp("copies")
    plain = song(1)

    def write(name: str, waveform: NDArray[np.float32]) -> Path:
        return sounds.write_audio(folder / name, waveform, sample_rate=RATE, bit_rate=64_000)

    return {
        "plain": write("plain.wav", plain),
        "mp3": write("mp3.mp3", plain),
        "cut": write("cut.flac", np.clip(2 * plain[:, 8 * RATE :], -1, 1)),
        "other": write("other.wav", song(2)),
    }


def test_the_copies_of_a_song_are_one_sure_group(copies: dict[str, Path], tmp_path: Path) -> None:
    kinds = [kind for kind in copies if kind != "other"]
    tracks = [near(copies[kind], 1, cosine=0.985) for kind in kinds]
    tracks.append(near(copies["other"], 1, cosine=0.985))
    steps: list[tuple[int, int]] = []
    with Recommender.open(library(tmp_path, tracks)) as recommender:
        found = find_duplicates(
            recommender, workers=1, on_progress=lambda done, total: steps.append((done, total))
        )
    (group,) = found.groups
    assert group.sure
    assert [track.id for track in group.tracks] == [1, 2, 3]
    cut = next(one for one in group.evidence if (one.first, one.second) == (1, 3))
    assert cut.alignment is not None
    assert cut.alignment.lag_s == pytest.approx(8.0, abs=0.15)
    assert (found.tracks, found.decoded, found.not_decoded) == (204, 4, 0)
    assert steps[-1] == (4, 4)


def test_neither_closeness_nor_a_name_alone_makes_a_group(
    copies: dict[str, Path], tmp_path: Path
) -> None:
    fourth = sounds.write_audio(tmp_path / "fourth.wav", song(4), sample_rate=RATE)
    fifth = sounds.write_audio(tmp_path / "fifth.wav", song(5), sample_rate=RATE)
    tracks = [
        near(copies["plain"], 1, tempo_bpm=120.0),
        near(copies["other"], 1, cosine=0.985, tempo_bpm=121.0),  # 1, close in tempo
        near(fourth, 2, title="Song", artist="Band"),
        near(fifth, 2, cosine=0.85, title="song", artist="Band"),  # 3 by name
    ]
    with Recommender.open(library(tmp_path, tracks)) as recommender:
        found = find_duplicates(recommender, workers=1)
    assert (found.groups, found.decoded) == ((), 4)


@pytest.mark.parametrize(
    ("correlation", "title", "likely"),
    [
        (0.57, None, False),  # drones
        (0.61, None, True),
        (0.12, "Song", False),
        (0.35, "Song", True),
        (0.35, "Track 01", False),
    ],
)
def test_less_correlation_is_needed_between_tracks_of_one_name(
    tmp_path: Path, correlation: float, title: str | None, likely: bool
) -> None:
    tracks = [
        near(tmp_path / "a.wav", 1, duration_s=20, title=title, artist="Band"),
        near(tmp_path / "b.wav", 1, duration_s=20, cosine=0.95, title=title, artist="Band"),
    ]
    with Recommender.open(library(tmp_path, tracks, others=0)) as recommender:
        found = gather_evidence(
            np.array([1, 2]),
            TrackFacts.of(recommender.tracks([1, 2])),
            every_pair(recommender.vectors([1, 2])),
            {(0, 1): Alignment(correlation, 0.0, 60.0)},
            median_random_cosine=REFERENCE_RANDOM_COSINE,
        )
    assert [(one.first, one.second, one.sure) for one in found] == [(1, 2, False)] * likely


def test_the_same_audio_is_sure_without_decoding(copies: dict[str, Path], tmp_path: Path) -> None:
    twin = tmp_path / "twin.wav"
    twin.write_bytes(copies["plain"].read_bytes())
    tracks = [near(copies["plain"], 1), near(twin, 1)]
    with Recommender.open(library(tmp_path, tracks)) as recommender:
        found = find_duplicates(recommender)
    (group,) = found.groups
    assert group.sure
    assert group.evidence[0].same_audio
    assert found.decoded == 0


def test_files_that_cannot_be_heard_are_named_and_the_rest_goes_on(
    copies: dict[str, Path], tmp_path: Path
) -> None:
    gone = tmp_path / "gone.wav"
    text = sounds.text_file(tmp_path / "text.mp3")
    tracks = [
        near(gone, 1, duration_s=SECONDS),
        near(copies["plain"], 1, cosine=0.99),
        near(copies["mp3"], 1, cosine=0.99),
        near(text, 1, duration_s=SECONDS, cosine=0.97),
    ]
    with Recommender.open(library(tmp_path, tracks)) as recommender:
        found = find_duplicates(recommender, workers=1)
    assert [track.id for track, _why in found.failures] == [1, 4]
    assert "gone.wav" in found.failures[0][1]
    sure, likely = found.groups
    assert [track.id for track in sure.tracks] == [2, 3]
    # Told from cosine and duration alone, so it cannot be sure.
    assert [track.id for track in likely.tracks][:2] == [1, 2]
    assert likely.evidence[0].alignment is None
    assert not likely.sure


def test_the_closest_pairs_are_heard_first(copies: dict[str, Path], tmp_path: Path) -> None:
    tracks = [
        near(copies["plain"], 1),
        near(copies["other"], 1, cosine=0.96),
        near(copies["mp3"], 1, cosine=0.995),
    ]
    with Recommender.open(library(tmp_path, tracks)) as recommender:
        found = find_duplicates(recommender, most_files=2, workers=1)
        assert (found.decoded, found.not_decoded) == (2, 1)
        assert [track.id for track in found.groups[0].tracks] == [1, 3]
        deaf = find_duplicates(recommender, most_files=0)
    assert (deaf.decoded, deaf.not_decoded) == (0, 3)
    assert [group.sure for group in deaf.groups] == [False]


def test_candidates_of_all_blocks_are_those_of_one_matrix() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2500, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    seconds = rng.uniform(100, 300, len(rows))
    facts = known(seconds, names={5: "song", 2400: "song"})
    found = candidates(
        rows.__getitem__, facts, median_random_cosine=REFERENCE_RANDOM_COSINE, block=1000
    )
    cosines = rows @ rows.T
    apart = np.abs(seconds[:, np.newaxis] - seconds)
    fits = (cosines >= 0.92) | ((cosines >= 0.85) & (apart <= 15))
    fits |= ((cosines >= 0.75) & (apart <= 1)) | ((cosines >= TIED_COSINE) & (apart <= TIED_S))
    fits[5, 2400] |= cosines[5, 2400] >= NAMED_COSINE
    expected = set(zip(*np.nonzero(np.triu(fits, 1)), strict=True))
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs <= expected
    assert (np.diff(found.cosines) <= 0).all()
    # Left out are only pairs of two tracks that have closer partners enough.
    partners = np.bincount([*found.first.tolist(), *found.second.tolist()], minlength=len(rows))
    for first, second in expected - pairs:
        assert apart[first, second] > TIED_S
        assert min(partners[first], partners[second]) >= PARTNERS


def test_a_name_makes_candidates_of_what_is_not_close_enough_alone() -> None:
    vectors = np.array([[1.0, 0.0], [0.72, np.sqrt(1 - 0.72**2)]], np.float32)
    assert (
        len(
            candidates(
                vectors.__getitem__, known([100, 200]), median_random_cosine=REFERENCE_RANDOM_COSINE
            )
        )
        == 0
    )
    named = known([100, 200], names={0: "song", 1: "song"})
    assert (
        len(candidates(vectors.__getitem__, named, median_random_cosine=REFERENCE_RANDOM_COSINE))
        == 1
    )


def test_a_louder_copy_is_a_candidate_by_its_duration() -> None:
    vectors = np.stack([near_vector(1, 0.6, seed=n) for n in range(4)]).astype(np.float32)
    vectors[0] = near_vector(1, 1.0, seed=0)
    facts = known([100.0, 100.1, 100.1, 130.0])

    def found(facts: TrackFacts, **most: int) -> list[tuple[int, int]]:
        pairs = candidates(
            vectors.__getitem__, facts, median_random_cosine=REFERENCE_RANDOM_COSINE, **most
        )
        return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))

    assert sorted(found(facts)) == [(0, 1), (0, 2)]
    assert found(known([100.0, 101.1, 102.2, 130.0])) == []
    # Where there are too many, those of one key.
    assert found(replace(facts, musical_keys=np.array([2, 3, 2, 2])), most_ties=1) == [(0, 2)]
    assert found(facts, ties_compared=0) == []


@pytest.mark.parametrize("count", [0, 1])
def test_of_fewer_than_two_tracks_none_is_a_duplicate(count: int) -> None:
    vectors = np.eye(2, dtype=np.float32)[:count]
    assert (
        len(
            candidates(
                vectors.__getitem__,
                known([100.0] * count),
                median_random_cosine=REFERENCE_RANDOM_COSINE,
            )
        )
        == 0
    )


def test_a_song_and_its_copy_alone_are_found(copies: dict[str, Path], tmp_path: Path) -> None:
    tracks = [near(copies["plain"], 1), near(copies["mp3"], 1, cosine=0.9)]
    with Recommender.open(library(tmp_path, tracks, others=0)) as recommender:
        found = find_duplicates(recommender, workers=1)
    assert [group.sure for group in found.groups] == [True]


def soundalike(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recommender", *map(str, arguments)], capture_output=True, text=True
    )


def test_the_twelve_songs_of_a_catalog_are_no_duplicates(original_catalog: Path) -> None:
    done = soundalike("duplicates", "--catalog", original_catalog)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "0 sure, 0 likely groups among 12 tracks, 12 files decoded\n"


def test_the_command_lists_groups_with_evidence(copies: dict[str, Path], tmp_path: Path) -> None:
    catalog = library(
        tmp_path,
        [
            near(copies["plain"], 1, title="A \x1b[31mred\x1b[0m song", artist="Band"),
            near(copies["mp3"], 1, cosine=0.99),
            near(tmp_path / "gone.wav", 2, duration_s=30),
            near(tmp_path / "also gone.wav", 2, duration_s=30, cosine=0.99),
        ],
    )
    listed = soundalike("duplicates", "--catalog", catalog, "--workers", 1)
    assert listed.returncode == 0
    assert (
        listed.stdout.splitlines()[0] == "1 sure, 1 likely groups among 204 tracks, 2 files decoded"
    )
    assert "\x1b" not in listed.stdout
    assert "track 3 was not decoded" in listed.stderr
    assert (
        "raise --max-files to 4"
        in soundalike("duplicates", "--catalog", catalog, "--max-files", 2).stderr
    )
    assert soundalike("duplicates", "--catalog", catalog, "--max-files", 0).stderr == ""
    sure = soundalike("duplicates", "--catalog", catalog, "--workers", 1, "--sure", "--json")
    (group,) = json.loads(sure.stdout)["groups"]
    assert [track["id"] for track in group["tracks"]] == [1, 2]
    assert group["evidence"][0]["alignment"]["correlation"] > 0.9


def test_an_empty_catalog_has_nothing_to_compare(tmp_path: Path) -> None:
    Library.open_for_writing(tmp_path / "catalog.db", create=True).close()
    done = soundalike("duplicates", "--catalog", tmp_path / "catalog.db")
    assert done.returncode == 1
    assert done.stderr.startswith("soundalike: ")
    assert "holds no tracks yet" in done.stderr


def test_an_interrupt_ends_it_without_leaving_workers(
    copies: dict[str, Path], tmp_path: Path
) -> None:
    tracks = [near(copies["plain"], 1), near(copies["mp3"], 1, cosine=0.99)]
    before = set(multiprocessing.active_children())

    def interrupt(done: int, _total: int) -> None:
        if done == 1:
            assert set(multiprocessing.active_children()) - before
            raise KeyboardInterrupt

    with Recommender.open(library(tmp_path, tracks)) as recommender:
        with pytest.raises(KeyboardInterrupt):
            find_duplicates(recommender, workers=1, on_progress=interrupt)
    assert not set(multiprocessing.active_children()) - before
