"""Real tracks for made-up listeners: catalogs, tables of labels, vectors by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from evaluation.labels import from_tables

from cold_start.simulation import Tracks
from indexer.errors import QueryError
from indexer.paths import shown

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
    taste, features : npz files with the arrays `path` and `vector`

    Raises
    ------
    QueryError
        Nothing is known to all of them.
    """
    from recommender.engine import Recommender

    heard: dict[str, dict[str, NDArray[np.float32]]] = {}
    for name, place in catalogs.items():
        with Recommender.open(place) as sound:
            ids = sound.ids()
            paths = [shown(track.path) for track in sound.tracks(ids)]
            heard[name] = dict(zip(paths, sound.vectors(ids), strict=True))
    heard |= {name: _vectors(place) for name, place in features.items()}
    tastes = _vectors(taste)
    everywhere = [
        path
        for path in next(iter(heard.values()))
        if path in tastes and all(path in one for one in heard.values())
    ]
    if not everywhere:
        raise QueryError(f"no track of the catalogs has a vector in {taste} and all of features")
    places, labels = from_tables([path.encode() for path in everywhere], tables)
    paths = [everywhere[place] for place in places]
    nothing = [""] * len(paths)
    own = np.stack([tastes[path] for path in paths])
    own -= own.mean(0)
    return Tracks(
        labels.of.get("artist", nothing),
        labels.of.get("group", nothing),
        labels.of.get("genre", nothing),
        {name: np.stack([one[path] for path in paths]) for name, one in heard.items()},
        own / np.linalg.norm(own, axis=1, keepdims=True),
    )


def _vectors(place: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with np.load(place) as stored:
            paths, vectors = stored["path"], stored["vector"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise QueryError(f'{place} is no npz with "path" and "vector": {error}') from error
    return dict(zip(paths.tolist(), vectors, strict=True))


def hear_mfcc(catalog: Path, out: Path) -> int:
    """Mean and deviation of 20 MFCCs of every track of a catalog, as an npz; returns how many."""
    from pathlib import Path as Place

    from evaluation.hearing import Cache, Listening, hear_all
    from evaluation.mfcc import COEFFICIENTS, mfcc_hearer

    from recommender.engine import Recommender

    with Recommender.open(catalog) as sound:
        paths = [Place(shown(track.path)) for track in sound.tracks(sound.ids())]
    heard = hear_all("mfcc", paths, mfcc_hearer(Listening(), Cache(None)), report=print)
    rows = heard.vectors[heard.there]
    covariances = rows[:, COEFFICIENTS:].reshape(-1, COEFFICIENTS, COEFFICIENTS)
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    vectors = np.hstack([rows[:, :COEFFICIENTS], deviations])
    names = [str(path) for path, there in zip(paths, heard.there, strict=True) if there]
    np.savez(out, path=np.array(names), vector=vectors)
    return len(names)
