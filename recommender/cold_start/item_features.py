"""Embeddings in the forms that other systems read: item features, a modality, a table, a graph.

features = item_features(sound, keys)                       # float32 (items, dim)
lightfm.fit(plays, item_features=item_features(sound, keys, sparse=True, identity=True))
RatioSplit(plays, item_feature=feature_modality(sound, keys))   # Cornac
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse import csr_matrix

from indexer.errors import ExtraMissing, InvalidOption, UnknownTrack
from recommender.cold_start.ids import Ids, check_keys
from recommender.cold_start.validation import list_some, positive_count
from recommender.retrieval.lookup import LARGEST_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from recommender.cold_start.ids import Key
    from recommender.engine import Recommender

    OnMissing = Literal["raise", "skip"]

TEXTS = ("key", "title", "artist", "album", "album_artist", "genre", "musical_key")
NUMBERS = ("year", "duration_s", "tempo_bpm", "loudness_lufs", "brightness_hz")
METADATA = (*TEXTS, *NUMBERS)


def item_features(
    sound: Recommender,
    ids: Sequence[Key] | NDArray[Any],
    *,
    sparse: bool = False,
    identity: bool = False,
) -> Any:
    """Embeddings of items, one row for each id in its order.

    Parameters
    ----------
    ids : sequence of int or str
        Ids (int) or keys (str) of the catalog's tracks.
    sparse : bool
        As scipy CSR, what LightFM takes.
    identity : bool
        With sparse: a column for each item as well, so that LightFM also learns what is an item's
        own; its first `len(ids)` columns.

    Returns
    -------
    float32 (items, dim) or CSR (items, dim) or (items, items + dim)

    Raises
    ------
    UnknownTrack
        The message lists up to five.
    BadFactors, InvalidOption
        An id is there twice or of another type.
    """
    from scipy.sparse import eye_array, hstack

    if identity and not sparse:
        raise InvalidOption("identity columns are for a sparse matrix: ask for sparse=True")
    vectors = sound.vectors(require_ids(sound, ids))
    if not sparse:
        return vectors
    matrix = csr_matrix(vectors)
    if identity:
        matrix = hstack([eye_array(len(vectors), dtype=np.float32), matrix], format="csr")
    return csr_matrix(matrix)


def feature_modality(sound: Recommender, ids: Sequence[Key] | NDArray[Any]) -> Any:
    """Cornac's `FeatureModality` of items: hand it to a split as `item_feature`.

    Of Cornac's models some read other modalities: VBPR wants an `ImageModality` of the same
    `features` and `ids` as `item_image`, BPR reads none; scripts/examples/ has a program.

    Raises
    ------
    ExtraMissing
        Cornac is not installed.
    UnknownTrack, BadFactors, InvalidOption
        As `item_features`.
    """
    try:
        from cornac.data import FeatureModality
    except ImportError as error:
        raise ExtraMissing("Cornac is not installed: `pip install cornac`") from error
    keys = check_keys(ids, argument="ids")
    return FeatureModality(features=item_features(sound, keys), ids=keys, normalized=False)


def frame(
    sound: Recommender,
    ids: Sequence[Key] | NDArray[Any] | None = None,
    *,
    on_missing: OnMissing = "raise",
) -> pd.DataFrame:
    """A row for each track: id, metadata, and its vector in columns v0, v1, ...

    Parameters
    ----------
    ids : sequence of int or str, optional
        All tracks by default.
    on_missing : {"raise", "skip"}
        Ids that the catalog does not know: an error, or left out.

    Raises
    ------
    UnknownTrack, BadFactors, InvalidOption
    """
    import pandas as pd

    blocks = [
        pd.concat(
            [rows, pd.DataFrame(vectors, columns=_columns(vectors), index=rows.index)], axis=1
        )
        for rows, vectors in stream_tracks(sound, ids, on_missing=on_missing)
    ]
    if not blocks:
        return pd.DataFrame(columns=["id", *METADATA])
    return pd.concat(blocks, ignore_index=True)


def stream_tracks(
    sound: Recommender,
    ids: Sequence[Key] | NDArray[Any] | None = None,
    *,
    on_missing: OnMissing = "raise",
    block: int = 10_000,
) -> Iterator[tuple[pd.DataFrame, NDArray[np.float32]]]:
    """Metadata and vectors (rows, dim) of tracks, at most `block` tracks at a time.

    Raises
    ------
    UnknownTrack, BadFactors, InvalidOption
        Before the first block.
    """
    import pandas as pd

    wanted = require_ids(sound, ids, on_missing=on_missing)
    for start in range(0, len(wanted), block):
        some = wanted[start : start + block]
        tracks = sound.tracks(some)
        columns: dict[str, Any] = {"id": some}
        columns.update({name: [getattr(track, name) for track in tracks] for name in METADATA})
        rows = pd.DataFrame(columns)
        # One type in every block, also where a whole block knows nothing.
        for name in TEXTS:
            rows[name] = rows[name].map(_to_utf8, na_action="ignore").astype("string")
        for name in NUMBERS:
            rows[name] = rows[name].astype("float64")
        rows["year"] = rows["year"].astype("Int64")
        yield rows, sound.vectors(some)


def neighbour_graph(
    sound: Recommender,
    k: int = 10,
    ids: Sequence[Key] | NDArray[Any] | None = None,
    *,
    block: int = 10_000,
) -> tuple[csr_matrix, NDArray[np.int64]]:
    """Graph of the k nearest tracks of each track.

    Parameters
    ----------
    ids : sequence of int or str, optional
        The rows; all tracks by default. Edges lead to these only.
    block : int
        Tracks that neighbours are searched for at a time.

    Returns
    -------
    graph : csr float32 (tracks, tracks)
        Cosines; k in a row, or as many as there are; a track is not its own neighbour.
    ids : int64 (tracks,)
        The catalog's ids of rows and columns.

    Raises
    ------
    UnknownTrack, BadFactors, InvalidOption
    """
    from recommender.retrieval.where import Where

    k = positive_count("k", k)
    wanted = require_ids(sound, ids)
    where = None if ids is None else Where(among=tuple(wanted.tolist()))
    order = np.argsort(wanted, kind="stable")
    sorted_ids = wanted[order]
    indices, data, counts = [], [], []
    for start in range(0, len(wanted), block):
        some = wanted[start : start + block]
        found, cosines = sound.nearest(sound.vectors(some), k + 1, where=where)
        others = (found >= 0) & (found != some[:, None])
        # Where copies crowd the track itself out there is one too many.
        others &= np.cumsum(others, axis=1) <= k
        columns = np.minimum(np.searchsorted(sorted_ids, found[others]), len(wanted) - 1)
        indices.append(order[columns])
        data.append(cosines[others])
        counts.append(others.sum(1))
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts or [np.empty(0, np.int64)]))])
    graph = csr_matrix(
        (np.concatenate(data or [np.empty(0, np.float32)]),
         np.concatenate(indices or [np.empty(0, np.int64)]), indptr),
        shape=(len(wanted), len(wanted)),
    )  # fmt: skip
    return graph, wanted


def find_ids(
    sound: Recommender, keys: Sequence[Key] | NDArray[Any], *, argument: str
) -> NDArray[np.int64]:
    """The catalog's ids of tracks by id or key, -1 where it has none.

    Raises
    ------
    BadFactors, InvalidOption
        Keys are there twice, or neither all int nor all str.
    """
    keys = check_keys(keys, argument=argument)
    names = Ids("track", keys, len(keys), argument=argument)
    if names.kind is int:
        # Numbers past SQLite's integers are no track's id.
        ids = np.array([key if abs(int(key)) <= LARGEST_ID else -1 for key in keys], np.int64)
        return np.where(np.isin(ids, sound.ids()), ids, -1)
    found = sound.ids_of_keys([str(key) for key in keys if _is_unicode(str(key))])
    return np.array([found.get(str(key), -1) for key in keys], dtype=np.int64)


def embeddings_and_artists(
    sound: Recommender, ids: NDArray[np.int64]
) -> tuple[NDArray[np.float32], list[str | None]]:
    """Embeddings (n, dim) and artists of tracks by id; NaN and None for the id -1."""
    known = ids >= 0
    embeddings = np.full((len(ids), sound.model.dim), np.nan, np.float32)
    embeddings[known] = sound.vectors(ids[known])
    artists: list[str | None] = [None] * len(ids)
    for row, track in zip(np.flatnonzero(known), sound.tracks(ids[known]), strict=True):
        artists[row] = track.artist or track.album_artist
    return embeddings, artists


def require_ids(
    sound: Recommender,
    ids: Sequence[Key] | NDArray[Any] | None,
    *,
    on_missing: OnMissing = "raise",
) -> NDArray[np.int64]:
    """The catalog's ids of some tracks, or of all; unknown ones are refused or left out.

    Raises
    ------
    UnknownTrack, BadFactors, InvalidOption
    """
    if ids is None:
        return sound.ids()
    if on_missing not in ("raise", "skip"):
        raise InvalidOption(f"on_missing is {on_missing!r}: choose raise or skip")
    keys = check_keys(ids, argument="ids")
    found = find_ids(sound, keys, argument="ids")
    missing = np.flatnonzero(found < 0).tolist()
    if missing and on_missing == "raise":
        names = [repr(keys[row]) for row in missing]
        raise UnknownTrack(f"the catalog has no track {list_some(names)}")
    return found[found >= 0]


def _is_unicode(text: str) -> bool:
    """Whether a catalog can hold a text as a key."""
    return _to_utf8(text) == text


def _columns(vectors: NDArray[np.float32]) -> list[str]:
    return [f"v{number}" for number in range(vectors.shape[1])]


def _to_utf8(text: str) -> str:
    """Text that UTF-8 can store; file names may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
