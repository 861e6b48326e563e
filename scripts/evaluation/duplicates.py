"""Whether copies are found as near-duplicates of their originals, and what else is taken for one.

Tracks of a catalog are drawn and copied: encoded again as MP3, Vorbis and Opus, their first ten
seconds cut off, made louder and softer by 6 dB. A copy of the catalog then gets these files too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation.tables import Cell, Figure, Table
from indexer.analysis.pools import decoding_pool
from indexer.errors import AnalysisError
from indexer.indexing.pipeline import Options, index_paths
from indexer.library import Library, index_path
from recommender.collection.duplicates import find_duplicates
from recommender.engine import Recommender
from recommender.evaluation.degradations import (
    PLAIN,
    Kind,
    amplify,
    attenuate,
    cut_beginning,
    read_sound,
    write_copies,
)
from recommender.evaluation.metrics import interval
from recommender.retrieval.lookup import display_name
from recommender.retrieval.near_duplicates import TrackFacts, group_heads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indexer.analysis.sandbox import Sandbox
    from indexer.catalog.records import Track
    from recommender.collection.duplicates import Duplicates, Evidence
    from recommender.evaluation.degradations import Sound

    Report = Callable[[str], None]

VORBIS = "Ogg Vorbis"
KINDS = (
    Kind("MP3 64k", ".mp3", 64_000),
    Kind(VORBIS, ".ogg"),
    Kind("Opus 48k", ".opus", 48_000),
    Kind("first 10 s cut off", alter=cut_beginning),
    Kind("+6 dB", alter=amplify),
    Kind("-6 dB", alter=attenuate),
)
SHORTEST_S = 20.0


@dataclass(frozen=True)
class Copy:
    """A copy that was made: of which track (id), how, and where it is."""

    original: int
    kind: str
    path: Path


def measure_duplicates(
    catalog: Path,
    *,
    count: int,
    longest_s: float,
    workers: int,
    cache: Path | None,
    seed: int,
    report: Report,
) -> list[Table]:
    """The shares of copies that are found, and the sure pairs of the untouched catalog.

    Parameters
    ----------
    count : int
        Tracks to copy.
    longest_s : float
        Longer tracks are not drawn.
    cache : Path, optional
        Folder to keep the copies in, and the catalog that holds them.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) if cache is None else cache / f"{catalog.stem}-{seed}"
        kept.mkdir(parents=True, exist_ok=True)
        enlarged = kept / "catalog.db"
        if not enlarged.exists():
            _copy_catalog(catalog, enlarged)
        with Recommender.open(catalog) as recommender:
            tracks = recommender.tracks(recommender.ids())
            report(f"looking for duplicates among {len(tracks)} tracks")
            untouched = find_duplicates(recommender, workers=workers)
        copies = _make_copies(tracks, kept / "copies", count, longest_s, seed, report)
        with closing(Library.open_for_writing(enlarged)) as library:
            index_paths(library, [kept / "copies"], options=Options(workers=workers))
        report(f"{len(copies)} copies are indexed")
        with Recommender.open(enlarged) as recommender:
            found = find_duplicates(recommender, workers=workers)
            return [
                _found(recommender, found, copies),
                _folded(recommender, tracks, copies),
                *_pairs(untouched),
            ]


def _copy_catalog(catalog: Path, to: Path) -> None:
    if index_path(catalog).exists():
        for suffix in ("", ".stamp"):
            shutil.copyfile(f"{index_path(catalog)}{suffix}", f"{index_path(to)}{suffix}")
    shutil.copyfile(catalog, to)


def _make_copies(
    tracks: list[Track], folder: Path, count: int, longest_s: float, seed: int, report: Report
) -> list[Copy]:
    rng = np.random.default_rng(seed)
    fitting = [track for track in tracks if SHORTEST_S <= track.duration_s <= longest_s]
    copies: list[Copy] = []
    copied = 0
    with decoding_pool() as pool:
        for row in rng.permutation(len(fitting)).tolist():
            if copied == count:
                break
            track = fitting[row]
            paths = [
                folder / str(number) / f"{track.id}{kind.suffix}"
                for number, kind in enumerate(KINDS)
            ]
            if not all(path.exists() for path in paths):
                try:
                    _write(pool, track.path, paths)
                except AnalysisError as error:
                    report(f"passed over: {error}")
                    continue
            copies += [
                Copy(track.id, kind.name, path) for kind, path in zip(KINDS, paths, strict=True)
            ]
            copied += 1
            if copied % 25 == 0:
                report(f"{copied} of {count} tracks are copied")
    return copies


def _write(pool: Sandbox[None], original: bytes, paths: Sequence[Path]) -> None:
    """Write a copy of each kind; half-written ones bear other names."""
    kinds = (PLAIN, *(kind for kind in KINDS if kind.name != VORBIS))
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths[0].parents[1]) as folder:
        written = pool.run(partial(write_copies, folder=Path(folder), kinds=kinds), original)
        plain = read_sound(written[PLAIN.name])
        written[VORBIS] = _write_vorbis(Path(folder) / "copy.ogg", plain)
        for kind, path in zip(KINDS, paths, strict=True):
            written[kind.name].replace(path)


def _write_vorbis(path: Path, sound: Sound) -> Path:
    # PyAV's wheel has no Vorbis encoder.
    import soundfile

    with soundfile.SoundFile(
        path, "w", sound.rate, len(sound.samples), format="OGG", subtype="VORBIS"
    ) as file:
        # All at once overflows the stack of libsndfile's encoder.
        for at in range(0, sound.samples.shape[1], sound.rate):
            file.write(sound.samples[:, at : at + sound.rate].T)
    return path


def _found(recommender: Recommender, found: Duplicates, copies: list[Copy]) -> Table:
    """What the whole search, with alignment, finds of the copies."""
    direct = {
        frozenset((one.first, one.second)): one for group in found.groups for one in group.evidence
    }
    together = {
        track.id: number
        for number, group in enumerate(found.groups)
        if group.sure
        for track in group.tracks
    }
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for kind in (*(kind.name for kind in KINDS), "all"):
        of_kind = [copy for copy in copies if kind in (copy.kind, "all")]
        sure: list[bool] = []
        likely: list[bool] = []
        correlations = []
        for copy in of_kind:
            track_id = recommender.track(os.fsencode(copy.path)).id
            pair = direct.get(frozenset((track_id, copy.original)))
            group = together.get(track_id)
            sure.append(group is not None and group == together.get(copy.original))
            likely.append(pair is not None and not sure[-1])
            if pair is not None and pair.alignment is not None:
                correlations.append(pair.alignment.correlation)
        rows.append(
            (
                kind,
                (
                    len(of_kind),
                    _share(sure),
                    _share(likely),
                    Figure(float(np.quantile(correlations, 0.01)) if correlations else np.nan),
                ),
            )
        )
    return Table(
        "Copies found by `soundalike duplicates`",
        ("copies", "sure", "likely", "1st percentile of correlation"),
        tuple(rows),
        "Shares of the copies that are in one group with their original.",
    )


def _share(hits: list[bool]) -> Figure:
    """The share of hits with its bootstrap interval over the copies."""
    values = np.array(hits, dtype=np.float64)[:, np.newaxis]
    (low,), (high,) = interval(values)
    mean = float(values.mean()) if hits else float("nan")
    return Figure(*(round(float(number), 4) for number in (mean, low, high)))


def _folded(recommender: Recommender, tracks: list[Track], copies: list[Copy]) -> Table:
    """What answers fold together, from vectors and durations alone."""
    median_random_cosine = recommender.median_random_cosine
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for kind in (*(kind.name for kind in KINDS), "all"):
        of_kind = [copy for copy in copies if kind in (copy.kind, "all")]
        folded: list[bool] = []
        cosines = []
        for copy in of_kind:
            pair = [recommender.track(os.fsencode(copy.path)), recommender.track(copy.original)]
            vectors = recommender.vectors([track.id for track in pair])
            heads = group_heads(
                vectors, TrackFacts.of(pair), median_random_cosine=median_random_cosine
            )
            folded.append(bool(heads[1] == 0))
            cosines.append(float(vectors[0] @ vectors[1]))
        quantiles = np.quantile(cosines, [0.01, 0.05, 0.5]) if cosines else [np.nan] * 3
        rows.append(
            (
                kind,
                (
                    _share(folded),
                    *(Figure(float(quantile)) for quantile in quantiles),
                ),
            )
        )
    vectors = recommender.vectors([track.id for track in tracks])
    heads = group_heads(vectors, TrackFacts.of(tracks), median_random_cosine=median_random_cosine)
    away = int((heads != np.arange(len(heads))).sum())
    return Table(
        "Copies folded into their original by answers",
        ("folded", "1st percentile of cosine", "5th", "median"),
        tuple(rows),
        f"Without alignment. Of the {len(tracks)} untouched tracks {away} fold into another one; "
        f"the median cosine of random pairs is {median_random_cosine:.3f}.",
    )


def _pairs(found: Duplicates) -> list[Table]:
    """The pairs of the untouched catalog, to be judged by their names and by ear."""
    names = {track.id: track for group in found.groups for track in group.tracks}

    def row(one: Evidence) -> tuple[str, tuple[Cell, ...]]:
        alignment = one.alignment
        return (
            f"{display_name(names[one.first])} = {display_name(names[one.second])}",
            (
                Figure(one.cosine),
                None if alignment is None else Figure(alignment.correlation),
                None if alignment is None else Figure(alignment.lag_s),
                None if alignment is None else Figure(alignment.overlap_s),
            ),
        )

    tables = []
    for sure in (True, False):
        evidence = [one for group in found.groups if group.sure == sure for one in group.evidence]
        evidence.sort(key=lambda one: -(one.alignment.correlation if one.alignment else 1.0))
        tables.append(
            Table(
                f"{'Sure' if sure else 'Likely'} pairs of the untouched catalog",
                ("cosine", "correlation", "lag (s)", "overlap (s)"),
                tuple(map(row, evidence)),
                f"{len(evidence)} of {found.tracks * (found.tracks - 1) // 2:,} pairs; "
                f"{found.candidates:,} were candidates, {found.decoded} files were heard.",
            )
        )
    return tables
