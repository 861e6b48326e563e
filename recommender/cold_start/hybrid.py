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
import threading
from copy import deepcopy
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from indexer.errors import BadFactors, InvalidOption, QueryError, UnknownTrack, UnknownUser
from recommender.cold_start.augmented_factors import AugmentedFactors, artist_keys, augment
from recommender.cold_start.content_route import RouteSettings
from recommender.cold_start.factors import check_fit, read_factors
from recommender.cold_start.ids import Ids, check_keys, is_single, list_keys
from recommender.cold_start.items import Items
from recommender.cold_start.top_n import ROUTES, RankedItems, Route
from recommender.cold_start.users import Users
from recommender.cold_start.validation import (
    LONGEST,
    check_liked,
    check_plays,
    float_matrix,
    float_per_row,
    known_embeddings,
    list_some,
    median_length,
    names_per_row,
    one_user_row,
    positive_count,
    refuse_long,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from recommender.cold_start.ids import Key
    from recommender.engine import Recommender

    OnMissing = Literal["raise", "skip"]


class HybridRecommender:
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
        self._user_ids = Ids("user", user_keys, plays.shape[0], argument="user_keys")
        sound, known = known_embeddings(embeddings, count)
        self._dim, self._length = sound.shape[1], median_length(sound)
        refuse_long("embeddings", sound, LONGEST, self._length)
        check_fit(own, plays, seed=random_state)
        exposed = np.ones(count, np.float32)
        if exposure is not None:
            exposed = np.minimum(float_per_row("exposure", exposure, count), 1)
        self.learned: AugmentedFactors = augment(
            own,
            plays,
            sound,
            known,
            artist_keys(names_per_row("artists", artists, count)),
            exposed,
            route=route,
            content_weight=None if content_weight is None else float(content_weight),
            seed=random_state,
        )
        self._items = Items(ids, self.learned.model.items, self.learned.sources.copy())
        self._users = Users(self.learned.model, plays, self.learned.model.items)
        self._lock = threading.RLock()
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
        exposure: ArrayLike | None = None,
        route: RouteSettings | None = None,
        content_weight: float | None = None,
        random_state: int = 0,
    ) -> HybridRecommender:
        """Take embeddings and artists from a catalog, whose tracks the item keys name.

        Parameters
        ----------
        sound : Recommender
            Must stay open for `add_item`. Items that it does not know are served from their plays.
        item_keys : sequence of int or str
            Ids (int) or keys (str) of tracks, one for each column of `user_items`.

        Raises
        ------
        UnknownTrack
            The catalog knows none of the items.
        BadFactors
        """
        from recommender.cold_start.item_features import find_ids

        item_keys = check_keys(item_keys, argument="item_keys")
        ids = find_ids(sound, item_keys, argument="item_keys")
        known = ids >= 0
        if not known.any():
            raise UnknownTrack(
                f"item_keys names no track of the catalog: {list_some(map(repr, item_keys))}"
            )
        embeddings = np.full((len(ids), sound.model.dim), np.nan, np.float32)
        embeddings[known] = sound.vectors(ids[known])
        artists: list[str | None] = [None] * len(ids)
        for row, track in zip(np.flatnonzero(known), sound.tracks(ids[known]), strict=True):
            artists[row] = track.artist or track.album_artist
        made = cls(
            model,
            user_items,
            embeddings,
            item_keys=item_keys,
            user_keys=user_keys,
            artists=artists,
            exposure=exposure,
            route=route,
            content_weight=content_weight,
            random_state=random_state,
        )
        made._sound = sound
        return made

    def __getstate__(self) -> dict[str, Any]:
        """All but the lock and the catalog, which belong to one process."""
        with self._lock:
            return {**vars(self), "_items": deepcopy(self._items), "_lock": None, "_sound": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """With a lock of its own; `add_items` works, `add_item` wants a catalog."""
        vars(self).update(state, _lock=threading.RLock())

    def __len__(self) -> int:
        """Number of items that can be recommended."""
        with self._lock:
            return int((self._items.routes >= 0).sum())

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
        if self._sound is None:
            raise QueryError(
                "add_item needs an open catalog, and there is none (a pickled or copied "
                "recommender keeps none): use from_catalog, or add_items with vectors"
            )
        self._items.ids.check_new([key], argument="key")
        if not isinstance(path, (str, bytes, os.PathLike)):
            raise InvalidOption(f"path is a file's name, not {path!r}")
        analysis = self._sound.analyse(path)
        name = artist or analysis.tags.artist or analysis.tags.album_artist
        vector = np.asarray(analysis.embedding, np.float32)
        return self.add_items([key], vector[None], artists=[name])[0]

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
        if sound.shape != (len(keys), self._dim):
            raise BadFactors(
                f"embeddings has the shape {sound.shape}: {len(keys)} keys of dimension "
                f"{self._dim} were to be added"
            )
        refuse_long("embeddings", sound, LONGEST, self._length)
        if not keys:
            return []
        names = artist_keys(names_per_row("artists", artists, len(keys)))
        factors, sources = self.learned.new_items(sound, names)
        with self._lock:
            self._items.add(keys, factors, sources)
        return list(ROUTES[sources])

    def recommend(
        self,
        userid: Any,
        user_items: Any = None,
        N: SupportsIndex = 10,  # noqa: N803 - implicit's own name
        filter_already_liked_items: bool = True,  # noqa: FBT001, FBT002 - implicit's signature
        filter_items: Any = None,
        recalculate_user: bool = False,  # noqa: FBT001, FBT002 - implicit's signature
        items: Any = None,
        *,
        on_missing: OnMissing = "raise",
    ) -> RankedItems:
        """The N best items for one user or several; implicit's signature.

        Parameters
        ----------
        userid : id or array of ids
        user_items : csr (users asked, items)
            What each user has played, not to be recommended again. It may have as many columns as
            the model's items or as all there are now, in the order they were added.
        filter_items, items : arrays of ids, optional
            Items to leave out, or the only ones to rank; not both.
        recalculate_user : bool
            Compute users' factors from `user_items` rather than take the model's; they may be new
            users, with any id. An item counts as often as it was played; where
            the model's own step would let many plays of one item count for less, take their
            logarithm. Plays must not be below 0.
        on_missing : {"raise", "skip"}
            Users that are unknown or have played nothing: an error, or an empty row.

        Returns
        -------
        Ranked
            (ids, scores), one row for each user if there are several; fewer than N where no
            more items are left.

        Raises
        ------
        UnknownUser
            Unknown, or without a history; the message lists up to five.
        UnknownTrack, InvalidOption, BadFactors
        """
        one = is_single(userid)
        asked = list_keys(userid) if one else check_keys(userid, argument="userid")
        count = positive_count("N", N)
        if on_missing not in ("raise", "skip"):
            raise InvalidOption(f"on_missing is {on_missing!r}: choose raise or skip")
        rows = self._user_ids.known_rows(asked, argument="userid")
        liked = None
        if filter_already_liked_items or recalculate_user:
            liked = check_liked(
                user_items,
                len(rows),
                model_items=len(self.learned.sources),
                items=len(self._items.ids),
            )
        with self._lock:
            queries, known = self._users.user_factors(
                rows,
                liked,
                self._items.factors,
                self._items.routes >= 0,
                recalculate=recalculate_user,
            )
            if not known.all() and on_missing == "raise":
                _refuse_users(asked, (rows >= 0) | recalculate_user, known)
            return self._items.top_n(
                queries[known],
                self._items.factors,
                count,
                without=liked[known] if liked is not None and filter_already_liked_items else None,
                filter_items=filter_items,
                items=items,
                answered=known,
                one=one,
            )

    def recommend_liked(
        self,
        liked: Sequence[Key] | NDArray[Any],
        N: SupportsIndex = 10,  # noqa: N803 - implicit's own name
        filter_already_liked_items: bool = True,  # noqa: FBT001, FBT002 - implicit's signature
        filter_items: Any = None,
        items: Any = None,
    ) -> RankedItems:
        """The N best items for a new user, known by a few liked items, new items among them.

        Raises
        ------
        UnknownTrack, InvalidOption
        """
        count = positive_count("N", N)
        with self._lock:
            rows = np.unique(self._items.servable_rows(liked, argument="liked"))
            if len(rows) == 0:
                raise InvalidOption(
                    "liked is empty: name at least one item that the new user likes"
                )
            row = one_user_row(rows, len(self._items.ids))
            return self._items.top_n(
                self._users.factors_from_likes(row, self._items.factors),
                self._items.factors,
                count,
                without=row if filter_already_liked_items else None,
                filter_items=filter_items,
                items=items,
                one=True,
            )

    def similar_items(
        self,
        itemid: Any,
        N: SupportsIndex = 10,  # noqa: N803 - implicit's own name
        filter_items: Any = None,
        items: Any = None,
    ) -> RankedItems:
        """The N items whose factors point the same way, by cosine; the item itself comes first.

        Raises
        ------
        UnknownTrack
            No such item, or one without plays and without an embedding.
        InvalidOption
        """
        count = positive_count("N", N)
        one = is_single(itemid)
        with self._lock:
            asked = list_keys(itemid) if one else check_keys(itemid, argument="itemid")
            rows = self._items.servable_rows(asked, argument="itemid")
            unit = self._items.unit_factors()
            return self._items.top_n(
                unit[rows],
                unit,
                count,
                without=None,
                filter_items=filter_items,
                items=items,
                first=rows,
                one=one,
            )

    def routes(self, ids: Sequence[Key] | NDArray[Any]) -> list[Route]:
        """The route by which each item got its factors.

        Raises
        ------
        UnknownTrack
        """
        with self._lock:
            return list(ROUTES[self._items.routes[self._items.ids.rows(ids, argument="ids")]])

    def item_factors(self, ids: Sequence[Key] | NDArray[Any]) -> NDArray[np.float32]:
        """The factors (n, factors) that items are ranked by.

        Raises
        ------
        UnknownTrack
        """
        with self._lock:
            return self._items.factors[self._items.servable_rows(ids, argument="ids")]

    def user_factors(self, ids: Sequence[Key] | NDArray[Any]) -> NDArray[np.float32]:
        """The factors (n, factors) of users; their products with `item_factors` are the scores.

        Raises
        ------
        UnknownUser
        """
        return self.learned.model.users[self._user_ids.rows(ids, argument="ids")]

    def all_factors(self) -> NDArray[np.float32]:
        """A copy of the factors of all items (items, factors), in the order they were added."""
        with self._lock:
            return self._items.factors.copy()


def _refuse_options(route: Any, weight: Any) -> None:
    if route is not None and not isinstance(route, RouteSettings):
        raise InvalidOption(f"route is a RouteSettings, not {route!r}")
    if weight is None:
        return
    if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
        raise InvalidOption(f"content_weight is {weight!r}: a number, at least 0")


def _refuse_users(asked: list[Any], there: NDArray[np.bool_], known: NDArray[np.bool_]) -> None:
    """Raise for users that do not exist and for users that have played nothing."""
    answered = zip(asked, there.tolist(), known.tolist(), strict=True)
    missing = [(repr(name), exists) for name, exists, has_factors in answered if not has_factors]
    unknown = [name for name, exists in missing if not exists]
    without_plays = [name for name, exists in missing if exists]
    reasons = []
    if unknown:
        reasons.append(f"userid names no user that exists: {list_some(unknown)}")
    if without_plays:
        reasons.append(
            f"the users {list_some(without_plays)} have played no item that is known: use "
            "recommend_liked, or on_missing='skip'"
        )
    raise UnknownUser("; ".join(reasons))
