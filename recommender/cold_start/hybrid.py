"""One recommender for old and new items, around a fitted collaborative-filtering model.

    hybrid = HybridRecommender.from_catalog(als, user_items, sound, item_keys=keys)
    hybrid.add_item("upload-7", "upload.mp3")
    ids, scores = hybrid.recommend(userid, user_items[userid])
    ids, scores = hybrid.recommend_liked(["a-song", "upload-7"])

Signatures are implicit's. Where implicit answers silently (an item or a user without plays, ids
that wrap around, answers padded with items that were filtered out), this raises or leaves out.
"""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import AnalysisError, BadFactors, InvalidOption, QueryError, UnknownTrack
from recommender.cold_start.augmented_factors import artist_keys, augment
from recommender.cold_start.content_route import RouteSettings
from recommender.cold_start.factor_recommender import FactorRecommender
from recommender.cold_start.factors import check_fit, read_factors
from recommender.cold_start.growing_rows import GrowingRows
from recommender.cold_start.ids import Ids, check_keys
from recommender.cold_start.item_features import embeddings_and_artists, find_ids, require_ids
from recommender.cold_start.items import Items, row_lengths
from recommender.cold_start.state_file import read_state, write_state
from recommender.cold_start.top_n import ROUTES, Route
from recommender.cold_start.users import Users
from recommender.cold_start.validation import (
    LONGEST,
    check_plays,
    float_matrix,
    float_per_row,
    known_embeddings,
    list_some,
    median_length,
    names_per_row,
    refuse_long,
)
from recommender.retrieval.on_demand import analyse_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from indexer.analysis.sandbox import Limits
    from indexer.analysis.track_analysis import TrackAnalysis
    from recommender.cold_start.ids import Key
    from recommender.engine import Recommender


class HybridRecommender(FactorRecommender):
    """Recommends items of a collaborative-filtering model and new items without plays together.

    Parameters
    ----------
    model : fitted model of implicit, LightFM or Cornac, or (user_factors, item_factors)
    user_items : csr (users, items)
        The plays that the model was fitted on.
    embeddings : (items, dim)
        Embedding of each item; a row of NaN where there is none.
    item_keys, user_keys : sequences of int or str, optional
        The caller's names of the columns and rows of `user_items`; without them, their numbers.
    artists : names, optional
        One for each item, None or "" where it is not known.
    exposure : (items,), optional
        Share of the time that the plays cover during which each item could be played: 0 for an
        upload of yesterday, 1 for an old item, which all are where it is not given. That people
        have not played an item lowers it by as much.
    route : RouteSettings, optional
        Settings of the content route; chosen by `route_choice.choose_route` where not given.
    content_weight : float, optional
        Spread of content scores in spreads of the model's, for items with plays, however few: at 0
        they are ranked as the model ranks them. `blend.choose_blend` chooses where not given.

    Attributes
    ----------
    learned : AugmentedFactors
        Settings and weights, and what they were chosen by.

    Raises
    ------
    BadFactors
        The model is not fitted, factors or embeddings hold NaN or infinity, shapes or names do not
        match, there are no plays, or fewer items than factors.
    """

    def __init__(
        self,
        model: Any,
        user_items: Any,
        embeddings: ArrayLike,
        *,
        item_keys: Sequence[Key] | NDArray[Any] | None = None,
        user_keys: Sequence[Key] | NDArray[Any] | None = None,
        artists: Sequence[str | None] | None = None,
        exposure: ArrayLike | None = None,
        route: RouteSettings | None = None,
        content_weight: float | None = None,
        random_state: int = 0,
    ) -> None:
        _refuse_options(route, content_weight)
        own = read_factors(model)
        plays = check_plays(user_items, own.users, own.items)
        count = len(own.items)
        ids = Ids("item", item_keys, count, argument="item_keys")
        sound, known = known_embeddings(embeddings, count)
        names_of_artists = names_per_row("artists", artists, count)
        self._length = median_length(sound)
        refuse_long("embeddings", sound, LONGEST, self._length)
        check_fit(own, plays, seed=random_state)
        exposed = np.ones(count, np.float32)
        if exposure is not None:
            exposed = np.minimum(float_per_row("exposure", exposure, count), 1)
        learned = augment(
            own,
            plays,
            sound,
            known,
            artist_keys(names_of_artists),
            exposed,
            route=route,
            content_weight=None if content_weight is None else float(content_weight),
            seed=random_state,
        )
        super().__init__(
            # Factors of items are kept once, in `Items`, which grow.
            replace(learned, model=replace(learned.model, items=learned.model.items[:0])),
            Items(ids, learned.model.items, learned.sources.copy()),
            Users.of(learned.model, plays, learned.model.items),
            Ids("user", user_keys, plays.shape[0], argument="user_keys"),
        )
        sound[~known] = np.nan
        self._embeddings = GrowingRows(_half_precision(sound))
        self._artists = names_of_artists
        self._sound: Recommender | None = None

    @classmethod
    def from_catalog(
        cls,
        model: Any,
        user_items: Any,
        sound: Recommender,
        *,
        item_keys: Sequence[Key] | NDArray[Any],
        user_keys: Sequence[Key] | NDArray[Any] | None = None,
        **options: Any,
    ) -> HybridRecommender:
        """Take embeddings and artists from a catalog, whose tracks the item keys name.

        Parameters
        ----------
        sound : Recommender
            Must stay open for `add_item`. Items that it does not know are served from their plays.
        item_keys : sequence of int or str
            Ids (int) or keys (str) of tracks, one for each column of `user_items`.
        **options
            `exposure`, `route`, `content_weight` and `random_state` of `HybridRecommender`.

        Raises
        ------
        UnknownTrack
            The catalog knows none of the items.
        BadFactors
        """
        item_keys = check_keys(item_keys, argument="item_keys")
        ids = find_ids(sound, item_keys, argument="item_keys")
        if (ids < 0).all():
            raise UnknownTrack(
                f"item_keys names no track of the catalog: {list_some(map(repr, item_keys))}"
            )
        embeddings, artists = embeddings_and_artists(sound, ids)
        made = cls(
            model,
            user_items,
            embeddings,
            item_keys=item_keys,
            user_keys=user_keys,
            artists=artists,
            **options,
        )
        made._sound = sound
        return made

    def __getstate__(self) -> dict[str, Any]:
        """All but the lock and the catalog, which belong to one process."""
        with self._lock:
            return {
                "learned": self.learned,
                "items": self._items.__getstate__(),
                "users": self._users,
                "user_ids": self._user_ids.__getstate__(),
                "embeddings": self._embeddings.rows,
                "artists": list(self._artists),
                "median_length": self._length,
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """With a lock of its own; `add_items` works, `add_item` wants a catalog."""
        items, user_ids = Items.__new__(Items), Ids.__new__(Ids)
        items.__setstate__(state["items"])
        user_ids.__setstate__(state["user_ids"])
        super().__init__(state["learned"], items, state["users"], user_ids)
        self._embeddings = GrowingRows(state["embeddings"])
        self._artists, self._length = state["artists"], state["median_length"]
        self._sound = state.get("sound")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all but the catalog to one file, which holds no code.

        Raises
        ------
        OSError
        """
        write_state(path, self.__getstate__())

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, sound: Recommender | None = None
    ) -> HybridRecommender:
        """A recommender from a file that `save` has written.

        Parameters
        ----------
        sound : Recommender, optional
            The catalog, for `add_item`, `add_files` and `add_tracks`.

        Raises
        ------
        BadFactors
            The file is damaged, of another kind or version, or the catalog has another model.
        OSError
            It is not there, or cannot be read.
        """
        state = read_state(path)
        dim = state["embeddings"].shape[1]
        if sound is not None and sound.model.dim != dim:
            raise BadFactors(
                f"{path} has embeddings of dimension {dim}, the catalog {sound.model.dim}: open "
                "the catalog that it was made with"
            )
        made = cls.__new__(cls)
        made.__setstate__({**state, "sound": sound})
        return made

    def refreshed(
        self,
        model: Any,
        user_items: Any,
        *,
        item_keys: Sequence[Key] | NDArray[Any] | None = None,
        user_keys: Sequence[Key] | NDArray[Any] | None = None,
        artists: Mapping[Key, str | None] | None = None,
        **options: Any,
    ) -> HybridRecommender:
        """A recommender around a model that was fitted anew; no file is analysed.

        Items that are not in `item_keys` but have an embedding stay, as items without plays.

        Parameters
        ----------
        item_keys, user_keys : optional
            Names of the columns and rows of `user_items`; without them, the names of the items and
            users here, in their order. An item that is not known here has no embedding.
        artists : dict of item key to name, optional
            Artists that have changed.
        **options
            As in `HybridRecommender`; `learned.choice.settings` as the route saves choosing again.

        Raises
        ------
        BadFactors
        """
        with self._lock:
            ids, names = self._items.ids, list(self._artists)
            if item_keys is None:
                rows = np.arange(min(user_items.shape[1], len(ids)))
                keys: list[Any] | None = ids.names(rows).tolist() if ids.own else None
            else:
                keys = check_keys(item_keys, argument="item_keys")
                rows = ids.known_rows(keys, argument="item_keys")
            if user_keys is None and self._user_ids.own:
                user_keys = self._user_ids.names(np.arange(len(self._user_ids)))
            if artists is not None:
                changed = ids.rows(list(artists), argument="artists")
                for row, name in zip(changed.tolist(), artists.values(), strict=True):
                    names[row] = name
            sound = self._embeddings.rows.astype(np.float32)
            others = np.setdiff1d(np.arange(len(ids)) if not ids.own else ids.named(), rows)
            removed = np.setdiff1d(np.arange(len(ids)), ids.named())
        embeddings = np.where((rows >= 0)[:, None], sound[rows], np.nan)
        made = type(self)(
            model,
            user_items,
            embeddings,
            item_keys=keys,
            user_keys=user_keys,
            artists=[names[row] if row >= 0 else None for row in rows.tolist()],
            **options,
        )
        state = made.__getstate__()
        made.__setstate__({**state, "sound": self._sound, "median_length": self._length})
        if ids.own:
            others = others[~np.isnan(sound[others]).any(1)]
            removed = np.intersect1d(rows, removed) if item_keys is None else removed[:0]
        made.add_items(
            ids.names(others).tolist(),
            np.nan_to_num(sound[others]),
            artists=[names[row] for row in others.tolist()],
        )
        if len(removed):
            made.remove_items(ids.names(removed))
        return made

    def add_item(
        self, key: Key, path: str | bytes | os.PathLike[str], *, artist: str | None = None
    ) -> Route:
        """Analyse a new file and add it; when this returns, the item can be recommended.

        Parameters
        ----------
        key : int or str
            The caller's name for it, as `item_keys`; without names of their own, the next number.
        artist : str, optional
            As in the catalog; otherwise what the file's tags say.

        Raises
        ------
        AnalysisError
            The file has no usable sound; nothing is added.
        BadFactors
            The key is taken, or of another type than the others.
        QueryError
            The recommender was not made by `from_catalog`, or was pickled or copied since.
        """
        sound = self._open_catalog()
        self._items.ids.check_new([key], argument="key")
        if not isinstance(path, (str, bytes, os.PathLike)):
            raise InvalidOption(f"path is a file's name, not {path!r}")
        return self._add_analyses([key], [sound.analyse(path)], [artist])[0]

    def add_files(
        self,
        keys: Sequence[Key],
        paths: Sequence[str | bytes | os.PathLike[str]],
        *,
        artists: Sequence[str | None] | None = None,
        workers: int | None = None,
        limits: Limits | None = None,
    ) -> list[Route | AnalysisError]:
        """Analyse new files in worker processes, and add those that can be analysed.

        Parameters
        ----------
        keys : names of the items, as in `add_item`
        paths : their files
        artists : names, optional
            None for what the file's tags say.
        workers : int, optional
            Processes; by default as many as processors.
        limits : Limits, optional
            Of what one file may cost; by default those of indexing.

        Returns
        -------
        list
            For each file its route, or why it cannot be analysed.

        Raises
        ------
        BadFactors, QueryError, WorkersFailed, ModelMissing, ModelMismatch
            As `add_item`; nothing is added.
        """
        sound = self._open_catalog()
        keys = check_keys(keys, argument="keys")
        self._items.ids.check_new(keys, argument="keys")
        files = check_keys(paths, argument="paths")
        if len(files) != len(keys):
            raise BadFactors(f"paths names {len(files)} files of {len(keys)}: name each once")
        names = names_per_row("artists", artists, len(keys))
        outcomes = analyse_files(sound.model, files, workers=workers, limits=limits)
        good = [row for row, one in enumerate(outcomes) if not isinstance(one, AnalysisError)]
        routes: list[Any] = list(outcomes)
        added = self._add_analyses(
            [keys[row] for row in good], [routes[row] for row in good], [names[row] for row in good]
        )
        for row, route in zip(good, added, strict=True):
            routes[row] = route
        return routes

    def add_tracks(self, keys: Sequence[Key]) -> list[Route]:
        """Add tracks of the catalog, by key or id: what was indexed since the model was fitted.

        Raises
        ------
        UnknownTrack
            The catalog does not know some.
        BadFactors, QueryError
        """
        sound = self._open_catalog()
        keys = check_keys(keys, argument="keys")
        embeddings, artists = embeddings_and_artists(sound, require_ids(sound, keys))
        return self.add_items(keys, embeddings, artists=artists)

    def remove_items(self, keys: Sequence[Key] | NDArray[Any]) -> None:
        """Remove items: they are no answer and cannot be asked for; a key may be used again.

        Columns of `user_items` stay as they were.

        Raises
        ------
        UnknownTrack
            Some do not exist; none is removed.
        """
        with self._lock:
            self._items.remove(np.unique(self._items.ids.rows(keys, argument="keys")))

    def _open_catalog(self) -> Recommender:
        if self._sound is None:
            raise QueryError(
                "add_item needs an open catalog, and there is none (a pickled or copied "
                "recommender keeps none): use from_catalog, load with sound=, or add_items with "
                "vectors"
            )
        return self._sound

    def _add_analyses(
        self, keys: list[Any], analyses: Sequence[TrackAnalysis], artists: Sequence[Any]
    ) -> list[Route]:
        names = [
            name or one.tags.artist or one.tags.album_artist
            for name, one in zip(artists, analyses, strict=True)
        ]
        dim = self._embeddings.rows.shape[1]
        vectors = np.array([one.embedding for one in analyses], np.float32).reshape(-1, dim)
        return self.add_items(keys, vectors, artists=names)

    def add_items(
        self,
        keys: Sequence[Key],
        embeddings: ArrayLike,
        *,
        artists: Sequence[str | None] | None = None,
    ) -> list[Route]:
        """Add new items by their embeddings; all of them or, on an error, none.

        Raises
        ------
        BadFactors
        """
        keys = check_keys(keys, argument="keys")
        sound = float_matrix("embeddings", embeddings)
        if sound.shape != (len(keys), self._embeddings.rows.shape[1]):
            raise BadFactors(
                f"embeddings has the shape {sound.shape}: {len(keys)} keys of dimension "
                f"{self._embeddings.rows.shape[1]} were to be added"
            )
        refuse_long("embeddings", sound, LONGEST, self._length)
        if not keys:
            return []
        names = names_per_row("artists", artists, len(keys))
        factors, sources = self.learned.new_items(sound, artist_keys(names))
        with self._lock:
            self._items.add(keys, factors, sources)
            self._embeddings.append(_half_precision(sound))
            self._artists += names
        return list(ROUTES[sources])


def _half_precision(embeddings: NDArray[np.float32]) -> NDArray[np.float16]:
    """Embeddings at unit length as float16, as the catalog has them: only directions count."""
    lengths = row_lengths(embeddings)
    half = np.empty(embeddings.shape, np.float16)
    np.divide(embeddings, lengths[:, None], out=half, casting="same_kind")
    return half


def _refuse_options(route: Any, weight: Any) -> None:
    if route is not None and not isinstance(route, RouteSettings):
        raise InvalidOption(f"route is a RouteSettings, not {route!r}")
    if weight is None:
        return
    if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
        raise InvalidOption(f"content_weight is {weight!r}: a number, at least 0")
