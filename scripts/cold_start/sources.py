"""Real tracks for simulated users: catalogs, tables of labels, vectors by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from evaluation.labels import from_tables

from cold_start.simulation import Tracks
from indexer.errors import QueryError
from indexer.filesystem import display_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def read_tracks(
    catalogs: Mapping[str, Path],
    tables: Sequence[Path],
    taste: Path,
    features: Mapping[str, Path],
) -> Tracks:
    """Tracks that all catalogs, one table and all files of vectors know.

    Parameters
    ----------
    catalogs : dict of name to path
        One for each model that is evaluated, of the same library.
    tables : CSV files with the columns path, artist, group and genre (or style)
    taste : npz file with the arrays `path` and `vector`
    features : npz files with `path` and vectors by the name given

    Raises
    ------
    QueryError
        Nothing is known to all of them.
    """
    from recommender.engine import Recommender

    vectors_by_path: dict[str, dict[str, NDArray[np.float32]]] = {}
    for name, path in catalogs.items():
        with Recommender.open(path) as sound:
            ids = sound.ids()
            paths = [display_path(track.path) for track in sound.tracks(ids)]
            vectors_by_path[name] = dict(zip(paths, sound.vectors(ids), strict=True))
    vectors_by_path |= {name: _vectors(path, name) for name, path in features.items()}
    tastes = _vectors(taste)
    everywhere = [
        path
        for path in next(iter(vectors_by_path.values()))
        if path in tastes and all(path in one for one in vectors_by_path.values())
    ]
    if not everywhere:
        raise QueryError(f"no track of the catalogs has a vector in {taste} and all of features")
    rows, labels = from_tables([path.encode() for path in everywhere], tables)
    paths = [everywhere[row] for row in rows]
    nothing = [""] * len(paths)
    own = np.stack([tastes[path] for path in paths])
    # Columns have units of their own.
    own = (own - own.mean(0)) / np.maximum(own.std(0), 1e-6)
    return Tracks(
        labels.of.get("artist", nothing),
        labels.of.get("group", nothing),
        labels.of.get("genre", nothing),
        {name: np.stack([one[path] for path in paths]) for name, one in vectors_by_path.items()},
        own,
    )


def _vectors(path: Path, name: str = "vector") -> dict[str, NDArray[np.float32]]:
    try:
        with np.load(path) as stored:
            paths, vectors = stored["path"], stored[name].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise QueryError(f'{path} is no npz with "path" and "{name}": {error}') from error
    return dict(zip(paths.tolist(), vectors, strict=True))
