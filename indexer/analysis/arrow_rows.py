"""Analyses of files as rows of Arrow: paths in, rows out, for any engine that moves rows.

    for batch in analyse_paths(["/music/a.flac", "/music/b.mp3"], root="/music"):
        ...

Files are analysed in worker processes under limits, as `soundalike index` does, so that a file
that kills or hangs its worker costs its own row only. `soundalike import` stores the rows in a
catalog. pyarrow (extra `parquet`) is needed.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.analysis.pools import AnalysisPool, analyse_file
from indexer.analysis.sandbox import DEFAULT_LIMITS
from indexer.analysis.track_analysis import DEFAULT_WINDOWS, TrackAnalysis
from indexer.audio.container import AudioFacts
from indexer.audio.tags import Tags
from indexer.errors import AnalysisError, ExtraMissing
from indexer.features.descriptors import Descriptors
from indexer.features.key import KEYS
from indexer.filesystem import is_url, resolve_path
from indexer.models.registry import DEFAULT_MODEL, model_info
from indexer.remote_files import file_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from indexer.analysis.sandbox import Limits

_FACTS = tuple(field.name for field in fields(AudioFacts))
_TAGS = tuple(field.name for field in fields(Tags))
_TEXT_LISTS = tuple(field.name for field in fields(Tags) if field.default == ())
_DESCRIPTORS = tuple(field.name for field in fields(Descriptors))
_LONGEST_STAGE = 16
_UNIT_WITHIN = 0.01


@dataclass(frozen=True, eq=False)
class AnalysedFile:
    """A file and what came of its analysis: a row.

    Attributes
    ----------
    root : bytes or None
        The folder that its key is counted from; None: its own.
    size, mtime_ns : int or None
        When it was analysed; None where it could not be looked at.
    model, fingerprint : str
    windows_per_track : int
        How many windows were asked for, `ALL_WINDOWS` for all.
    """

    path: bytes
    root: bytes | None
    size: int | None
    mtime_ns: int | None
    model: str
    fingerprint: str
    windows_per_track: int
    outcome: TrackAnalysis | AnalysisError


def require_pyarrow() -> Any:
    """The package pyarrow.

    Raises
    ------
    ExtraMissing
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise ExtraMissing("pyarrow is not installed: `pip install soundalike[parquet]`") from error
    return pa


def schema() -> pa.Schema:
    """The columns of a row.

    `path`, `root`, `size`, `mtime_ns` of the file; `model`, `fingerprint`, `windows_per_track`;
    then the fields of `AudioFacts`, `Tags` and `Descriptors`, `windows`, `vector` and `activations`
    of an analysis, or `stage`, `reason` and `message` of what was wrong with the file: the others
    are null. Vectors are lists of float32, which every engine knows; each number is one of float16.

    Raises
    ------
    ExtraMissing
        pyarrow is not installed.
    """
    pa = require_pyarrow()
    text, texts, vector = pa.string(), pa.list_(pa.string()), pa.list_(pa.float32())
    kinds = {
        "path": pa.binary(),
        "root": pa.binary(),
        "audio_hash": pa.binary(),
        **dict.fromkeys(("size", "mtime_ns", "bit_rate"), pa.int64()),
        **dict.fromkeys(("windows_per_track", "windows", "sample_rate", "channels"), pa.int32()),
        **dict.fromkeys(
            ("channel", "bit_depth", "year", "track_number", "disc_number"), pa.int32()
        ),
        "has_cover": pa.bool_(),
        **dict.fromkeys(_TEXT_LISTS, texts),
        **dict.fromkeys(("vector", "activations"), vector),
        **dict.fromkeys(("duration_s", "tempo_bpm", "tempo_confidence"), pa.float64()),
        **dict.fromkeys(("key_confidence", "loudness_lufs", "brightness_hz"), pa.float64()),
    }
    return pa.schema([(name, kinds.get(name, text)) for name in COLUMNS])


COLUMNS = (
    *("path", "root", "size", "mtime_ns", "model", "fingerprint", "windows_per_track"),
    *_FACTS,
    *_TAGS,
    *_DESCRIPTORS,
    *("windows", "vector", "activations", "stage", "reason", "message"),
)
"""Names of the columns of a row."""


def analyse_paths(
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    root: str | bytes | os.PathLike[str] | None = None,
    model: str = DEFAULT_MODEL,
    windows: int = DEFAULT_WINDOWS,
    workers: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    batch_rows: int = 64,
    pool: AnalysisPool | None = None,
) -> Iterator[pa.RecordBatch]:
    """Analyse files: a row each, in their order, in batches with the columns of `schema`.

    A file that has no usable sound, or is not there, gets a row that says why.

    Parameters
    ----------
    paths : iterable of paths
        Read as workers become free, so that it may be long.
    root : path, optional
        The folder that keys of tracks are counted from, and that `soundalike index` on the
        catalog's machine looks through later; by default each file's own folder.
    model : str
        Name of a model on this machine.
    windows : int
        Windows embedded of each file, `ALL_WINDOWS` for all of it.
    workers : int
        Worker processes.
    batch_rows : int
        Rows in a batch at most.
    pool : AnalysisPool, optional
        Workers that are running already, with the model named; they are left running.

    Raises
    ------
    ExtraMissing
        pyarrow is not installed.
    ModelMissing, ModelCorrupt, WorkersFailed
    """
    columns = schema()
    info = model_info(model)
    top = None if root is None else resolve_path(root)
    seen: deque[tuple[bytes, int | None, int | None]] = deque()

    def look_at() -> Iterator[bytes]:
        for path in paths:
            whole = resolve_path(path)
            seen.append((whole, *_version(whole)))
            yield whole

    with ExitStack() as stack:
        running = pool or stack.enter_context(
            AnalysisPool(info.name, info.fingerprint, workers=workers, limits=limits)
        )
        outcomes = running.map(partial(analyse_file, windows=windows), look_at())
        rows = (
            AnalysedFile(path, top, size, mtime_ns, info.name, info.fingerprint, windows, outcome)
            for outcome in outcomes
            for path, size, mtime_ns in (seen.popleft(),)
        )
        while batch := list(islice(rows, batch_rows)):
            yield to_batch(batch, columns)


def _version(path: bytes) -> tuple[int | None, int | None]:
    try:
        if is_url(path):
            remote = file_info(path)
            return remote.size or 0, remote.version
        status = os.stat(path)
    except (OSError, ValueError):
        return None, None
    return status.st_size, status.st_mtime_ns


def to_batch(rows: Sequence[AnalysedFile], columns: pa.Schema) -> pa.RecordBatch:
    """Analysed files as a batch of rows with the columns of `schema`."""
    pa = require_pyarrow()
    values = [_values(row) for row in rows]
    arrays = [
        pa.array([value.get(column.name) for value in values], column.type) for column in columns
    ]
    return pa.record_batch(arrays, schema=columns)


def _values(row: AnalysedFile) -> dict[str, Any]:
    """A row's columns; those that are null are left out."""
    values = {name: value for name, value in vars(row).items() if name != "outcome"}
    outcome = row.outcome
    if isinstance(outcome, AnalysisError):
        return values | {
            "stage": outcome.stage,
            "reason": outcome.reason,
            "message": str(outcome),
        }
    return {
        **values,
        **vars(outcome.facts),
        **vars(outcome.tags),
        **vars(outcome.descriptors),
        "windows": outcome.windows,
        "vector": outcome.embedding.astype(np.float32),
        "activations": outcome.activations.astype(np.float32),
    }


class BadRow(ValueError):
    """A row that cannot be an analysis, and why."""


def from_batch(batch: pa.RecordBatch, *, dim: int, tags: int) -> Iterator[AnalysedFile | BadRow]:
    """Rows as the files they are of, checked; or what is wrong with one.

    Parameters
    ----------
    batch : RecordBatch
        With the columns of `schema`.
    dim, tags : int
        Lengths of a vector and of the activations.
    """
    columns = {name: batch.column(name) for name in COLUMNS}
    vectors = {name: _rows_of_lists(columns.pop(name)) for name in ("vector", "activations")}
    lists = {name: column.to_pylist() for name, column in columns.items()}
    for row in range(batch.num_rows):
        values = {name: column[row] for name, column in lists.items()}
        values |= {name: found[row] for name, found in vectors.items()}
        try:
            yield _read_row(values, dim=dim, tags=tags)
        except BadRow as error:
            yield error


def _rows_of_lists(column: Any) -> list[NDArray[np.float32] | None]:
    numbers = column.values.to_numpy(zero_copy_only=False)
    ends = column.offsets.to_numpy()
    is_there = column.is_valid().to_pylist()
    return [
        numbers[start:end] if there else None
        for start, end, there in zip(ends[:-1], ends[1:], is_there, strict=True)
    ]


def _read_row(values: Mapping[str, Any], *, dim: int, tags: int) -> AnalysedFile:
    path, root = values["path"], values["root"]
    _require(path is not None and _is_absolute(path), "its path is not an absolute one")
    _require(root is None or _is_absolute(root), "its root is not an absolute path")
    for name in ("size", "mtime_ns", "windows_per_track"):
        _require(values[name] is not None, f"it has no {name}")
    _require(values["size"] >= 0 and values["windows_per_track"] >= 0, "a size is below zero")
    failed = values["reason"] is not None
    outcome = _read_failure(values) if failed else _read_analysis(values, dim=dim, tags=tags)
    own = {field.name: values[field.name] for field in fields(AnalysedFile)[:-1]}
    return AnalysedFile(**own, outcome=outcome)


def _is_absolute(path: bytes) -> bool:
    return (path.startswith(b"/") or is_url(path)) and b"\0" not in path


def _read_failure(values: Mapping[str, Any]) -> AnalysisError:
    kind = _kinds_of_failure().get(values["reason"])
    stage, message = values["stage"], values["message"]
    if kind is None or not stage or len(stage) > _LONGEST_STAGE or not message or "\0" in message:
        raise BadRow(f"it failed for a reason that is not known here ({values['reason']!r})")
    return kind(message, stage=stage)


def _kinds_of_failure() -> dict[str, type[AnalysisError]]:
    return {kind.reason: kind for kind in AnalysisError.__subclasses__()}


def _read_analysis(values: Mapping[str, Any], *, dim: int, tags: int) -> TrackAnalysis:
    optional = {"bit_rate", "bit_depth", "channel"}
    for name in (*_FACTS, "has_cover", "windows", "vector", "activations"):
        _require(values[name] is not None or name in optional, f"it has no {name}")
    for name in ("vector", "activations"):
        _require(bool(np.isfinite(values[name]).all()), f"its {name} is not finite")
    vector, activations = values["vector"], values["activations"]
    _require(len(vector) == dim, f"its vector has {len(vector)} numbers and not {dim}")
    _require(len(activations) == tags, f"it has {len(activations)} activations and not {tags}")
    length = float(np.linalg.norm(vector))
    _require(abs(length - 1) < _UNIT_WITHIN, "its vector is not of unit length")
    _require(bool(((activations >= 0) & (activations <= 1)).all()), "an activation is not in 0..1")
    lists = {name: tuple(values[name] or ()) for name in _TEXT_LISTS}
    analysis = TrackAnalysis(
        AudioFacts(**{name: values[name] for name in _FACTS}),
        Tags(**{name: values[name] for name in _TAGS} | lists),
        vector.astype(np.float16),
        activations.astype(np.float16),
        values["windows"],
        Descriptors(**{name: values[name] for name in _DESCRIPTORS}),
    )
    _check_facts(analysis)
    return analysis


def _check_facts(analysis: TrackAnalysis) -> None:
    facts, descriptors = analysis.facts, analysis.descriptors
    _require(len(facts.audio_hash) == 32, "its audio_hash has not 32 bytes")
    _require(bool(np.isfinite(facts.duration_s)), "its duration_s is not finite")
    known = descriptors.musical_key is None or descriptors.musical_key in KEYS
    _require(known, f"its musical_key {descriptors.musical_key!r} is not known")
    numbers = [value for value in vars(descriptors).values() if isinstance(value, float)]
    _require(bool(np.isfinite(numbers).all()), "a descriptor is not finite")
    confidences = (descriptors.tempo_confidence, descriptors.key_confidence)
    _require(None not in confidences, "a confidence is missing")
    texts = [facts.container, facts.codec]
    for value in vars(analysis.tags).values():
        texts += [value] if isinstance(value, str) else value if isinstance(value, tuple) else []
    _require(not any(text is None or "\0" in text for text in texts), "a text of it holds NUL")


def _require(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion
    if not condition:
        raise BadRow(otherwise)
