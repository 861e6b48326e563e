"""Real plays with a vector of content for each item, from the files that people have."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from indexer.errors import QueryError
from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FEWEST = 5
"""Plays that each user and each item of a table keeps at least."""
LIKED = 4
"""Ratings from there on count as plays."""
DIMENSIONS = 128


@dataclass(frozen=True)
class Dataset:
    """Plays and content.

    Attributes
    ----------
    plays : csr float32 (users, items)
        log(1 + plays), divided by the mean; where every entry is 1, as it is.
    vectors : float32 (items, dim)
        At unit length.
    artists : object (items,)
        None where it is not known.
    """

    name: str
    plays: csr_matrix
    vectors: NDArray[np.float32]
    artists: NDArray[np.object_]

    @property
    def fingerprint(self) -> str:
        """A short name of the contents."""
        digest = hashlib.blake2b(digest_size=6)
        for part in (self.plays.indptr, self.plays.indices, self.plays.data, self.vectors):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def read_dataset(data: Path, *, vectors: Path | None, catalog: Path | None) -> Dataset:
    """Read an npz, a MovieLens folder, or a CSV of user, item and count.

    Parameters
    ----------
    data : Path
        An npz of `indptr`, `indices`, `data`, `shape` (CSR, users x items), `item_vectors` and, if
        there are, `artists`; a folder of MovieLens as it is downloaded; or a CSV.
    vectors : Path, optional
        For a CSV: an npz of `item` and `vector`, and `artist` if there are.
    catalog : Path, optional
        For a CSV: the catalog whose keys the items are.

    Raises
    ------
    QueryError
        The file is none of these, or nothing is left of it.
    """
    if data.is_dir():
        return _movielens(data)
    if data.suffix == ".npz":
        return _npz(data)
    items, embeddings, artists = (
        _catalog_vectors(catalog) if catalog is not None else _npz_vectors(vectors)
    )
    table = pd.read_csv(data, dtype={"user": str, "item": str})
    if not {"user", "item"} <= set(table.columns):
        raise QueryError(f"{data} has no columns user and item (and count, if there are counts)")
    return _from_table(data.stem, table, items, embeddings, artists)


def _npz(path: Path) -> Dataset:
    try:
        with np.load(path) as z:
            plays = csr_matrix((z["data"], z["indices"], z["indptr"]), shape=z["shape"])
            found = z["item_vectors"].astype(np.float32)
            artists = z["artists"].astype(object) if "artists" in z else np.full(len(found), None)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise QueryError(
            f"{path} is no npz of indptr, indices, data, shape and item_vectors: {error}"
        ) from error
    return Dataset(path.stem, _levels(plays), unit_rows(found), artists)


def _movielens(folder: Path) -> Dataset:
    """Ratings of at least 4; tf-idf of genres and tags, reduced by singular value decomposition."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    if (folder / "ratings.csv").exists():
        ratings = pd.read_csv(folder / "ratings.csv")
        movies = pd.read_csv(folder / "movies.csv")
    elif (folder / "ratings.dat").exists():
        read = {"sep": "::", "engine": "python", "encoding": "latin-1", "header": None}
        ratings = pd.read_csv(
            folder / "ratings.dat", names=["userId", "movieId", "rating", "timestamp"], **read
        )
        movies = pd.read_csv(folder / "movies.dat", names=["movieId", "title", "genres"], **read)
    else:
        raise QueryError(f"{folder} holds neither ratings.csv nor ratings.dat of MovieLens")
    words = movies.genres.str.replace("|", " ").astype(str)
    if (folder / "tags.csv").exists():
        tags = pd.read_csv(folder / "tags.csv").dropna(subset=["tag"])
        joined = tags.groupby("movieId").tag.agg(lambda own: " ".join(map(str, own)))
        words = words + " " + movies.movieId.map(joined).fillna("")
    counted = TfidfVectorizer(sublinear_tf=True, min_df=5).fit_transform(words)
    few = min(DIMENSIONS, counted.shape[1] - 1)
    found = TruncatedSVD(few, random_state=0).fit_transform(counted).astype(np.float32)
    liked = ratings[ratings.rating >= LIKED]
    table = pd.DataFrame({"user": liked.userId.astype(str), "item": liked.movieId.astype(str)})
    return _from_table(
        folder.name, table, movies.movieId.astype(str).to_numpy(), found, np.full(len(found), None)
    )


def _npz_vectors(
    path: Path | None,
) -> tuple[NDArray[np.str_], NDArray[np.float32], NDArray[np.object_]]:
    if path is None:
        raise QueryError("a table of plays needs the items' vectors: give --vectors or --catalog")
    try:
        with np.load(path) as z:
            items, found = z["item"].astype(str), z["vector"].astype(np.float32)
            artists = z["artist"].astype(object) if "artist" in z else np.full(len(items), None)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise QueryError(f"{path} is no npz of item and vector: {error}") from error
    return items, found, artists


def _catalog_vectors(
    path: Path,
) -> tuple[NDArray[np.str_], NDArray[np.float32], NDArray[np.object_]]:
    from recommender.engine import Recommender

    with Recommender.open(path) as sound:
        ids = sound.ids()
        tracks, found = sound.tracks(ids), sound.vectors(ids)
    artists = np.array([track.artist or track.album_artist for track in tracks], dtype=object)
    return np.array([track.key for track in tracks]), np.asarray(found, np.float32), artists


def _from_table(
    name: str,
    table: pd.DataFrame,
    items: NDArray[np.str_],
    vectors: NDArray[np.float32],
    artists: NDArray[np.object_],
) -> Dataset:
    """Of users and items with enough plays; items without a vector are left out."""
    row_of = {item: row for row, item in enumerate(items)}
    known = np.linalg.norm(vectors, axis=1) > 0
    has_vector = [item in row_of and known[row_of[item]] for item in table.item]
    kept = table[has_vector]
    before = -1
    while before != len(kept):
        before = len(kept)
        for column in ("user", "item"):
            kept = kept[kept.groupby(column)[column].transform("size") >= FEWEST]
    if kept.empty:
        raise QueryError(f"{name}: no user and item with {FEWEST} plays and a vector is left")
    user, users = pd.factorize(kept.user)
    item, names = pd.factorize(kept.item)
    counts = kept["count"] if "count" in kept else np.ones(len(kept))
    plays = csr_matrix((np.asarray(counts, np.float32), (user, item)), (len(users), len(names)))
    rows = np.array([row_of[one] for one in names])
    return Dataset(name, _levels(plays), unit_rows(vectors[rows]), artists[rows])


def _levels(plays: csr_matrix) -> csr_matrix:
    found = csr_matrix(plays, dtype=np.float32)
    found.sum_duplicates()
    found.eliminate_zeros()
    if (found.data != 1).any():
        found.data = np.log1p(found.data)
        found.data /= found.data.mean()
    return found
