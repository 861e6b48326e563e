"""Answers from factors of users and items, in implicit's signatures."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from indexer.errors import BadFactors, InvalidOption, UnknownUser
from recommender.cold_start.ids import check_keys, is_single, list_keys
from recommender.cold_start.items import Items, row_lengths
from recommender.cold_start.top_n import ROUTES, RankedItems, Route
from recommender.cold_start.validation import (
    check_item_users,
    check_liked,
    list_some,
    one_user_row,
    positive_count,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from recommender.cold_start.augmented_factors import AugmentedFactors
    from recommender.cold_start.ids import Ids, Key
    from recommender.cold_start.users import Users

    OnMissing = Literal["raise", "skip"]


class FactorRecommender:
    """Ranks items for users, items for items, and users for users, by factors.

    Several threads may ask at once, also while another adds items.
    """

    def __init__(
        self, learned: AugmentedFactors, items: Items, users: Users, user_ids: Ids
    ) -> None:
        self.learned = learned
        self._items, self._users, self._user_ids = items, users, user_ids
        self._user_table = Items(
            user_ids,
            users.factors[:, : len(learned.mean)],
            np.where(users.have_plays, 0, -1).astype(np.int8),
        )
        self._model_items = len(learned.sources)
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Number of items that can be recommended."""
        return int((self._items.table.routes >= 0).sum())

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
                model_items=self._model_items,
                items=len(self._items.ids),
            )
        with self._lock:
            candidates = self._items.candidates(filter_items=filter_items, items=items)
        # Ranking needs no lock: what others add meanwhile is not in the table.
        table = candidates.table
        queries, known = self._users.user_factors(
            rows, liked, table.factors, table.routes >= 0, recalculate=recalculate_user
        )
        if not known.all() and on_missing == "raise":
            _refuse_users(asked, (rows >= 0) | recalculate_user, known)
        return self._items.top_n(
            candidates,
            queries[known],
            count,
            without=liked[known] if liked is not None and filter_already_liked_items else None,
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
            candidates = self._items.candidates(filter_items=filter_items, items=items)
        if len(rows) == 0:
            raise InvalidOption("liked is empty: name at least one item that the new user likes")
        row = one_user_row(rows, len(candidates.table.factors))
        return self._items.top_n(
            candidates,
            self._users.factors_from_likes(row, candidates.table.factors),
            count,
            without=row if filter_already_liked_items else None,
            one=True,
        )

    def similar_items(
        self,
        itemid: Any,
        N: SupportsIndex = 10,  # noqa: N803 - implicit's own name
        recalculate_item: bool = False,  # noqa: FBT001, FBT002 - implicit's signature
        item_users: Any = None,
        filter_items: Any = None,
        items: Any = None,
    ) -> RankedItems:
        """The N items whose factors point the same way, by cosine; the item itself comes first.

        Parameters
        ----------
        itemid : id or array of ids
        recalculate_item : bool
            Ask for the factors that the items would have with further plays: their present ones,
            moved towards the users in `item_users` by the item step.
        item_users : csr (items asked, users)
            Those plays; users in the order of the model.
        filter_items, items : arrays of ids, optional
            Items to leave out, or the only ones to rank; not both.

        Raises
        ------
        UnknownTrack
            No such item, or one without plays and without an embedding.
        InvalidOption, BadFactors
        """
        count = positive_count("N", N)
        one = is_single(itemid)
        asked = list_keys(itemid) if one else check_keys(itemid, argument="itemid")
        with self._lock:
            rows = self._items.servable_rows(asked, argument="itemid")
            candidates = self._items.candidates(filter_items=filter_items, items=items)
        queries = candidates.table.factors[rows]
        if recalculate_item:
            by_item = check_item_users(item_users, len(rows), users=len(self._user_ids))
            queries = self.learned.with_plays(queries, by_item)
        return self._items.top_n(
            candidates,
            queries / row_lengths(queries)[:, None],
            count,
            cosine=True,
            first=None if recalculate_item else rows,
            one=one,
        )

    def similar_users(
        self,
        userid: Any,
        N: SupportsIndex = 10,  # noqa: N803 - implicit's own name
        filter_users: Any = None,
        users: Any = None,
    ) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """The N users whose factors in the model point the same way, the user first.

        Users who have played nothing are no answer.

        Returns
        -------
        ids, cosines : arrays, one row for each user if there are several

        Raises
        ------
        UnknownUser
            No such user, or one who has played nothing.
        InvalidOption
        """
        count = positive_count("N", N)
        one = is_single(userid)
        asked = list_keys(userid) if one else check_keys(userid, argument="userid")
        rows = self._user_ids.known_rows(asked, argument="userid")
        known = (rows >= 0) & self._users.have_plays[rows]
        if not known.all():
            _refuse_users(asked, rows >= 0, known)
        candidates = self._user_table.candidates(filter_items=filter_users, items=users)
        queries = candidates.table.factors[rows]
        ids, cosines = self._user_table.top_n(
            candidates,
            queries / candidates.table.lengths[rows, None],
            count,
            cosine=True,
            first=rows,
            one=one,
        )
        return ids, cosines

    def recommend_in_blocks(
        self,
        user_items: Any,
        N: SupportsIndex = 10,  # noqa: N803 - implicit's own name
        *,
        block: int = 4096,
        filter_already_liked_items: bool = True,
        filter_items: Any = None,
        items: Any = None,
    ) -> Iterator[tuple[NDArray[Any], RankedItems]]:
        """Recommendations for all users of the model, some users at a time.

        Parameters
        ----------
        user_items : csr (users, items)
            As in `recommend`, of all users.
        block : int
            Users at a time, whose answers and plays are in memory together.

        Yields
        ------
        ids of users, and their RankedItems; rows of users without plays are empty.

        Raises
        ------
        UnknownTrack, InvalidOption, BadFactors
        """
        size, count = positive_count("block", block), len(self._user_ids)
        if user_items.shape[0] != count:
            raise BadFactors(f"user_items has {user_items.shape[0]} rows for {count} users")
        for start in range(0, count, size):
            stop = min(count, start + size)
            users = self._user_ids.names(np.arange(start, stop))
            yield (
                users,
                self.recommend(
                    users,
                    user_items[start:stop],
                    N,
                    filter_already_liked_items,
                    filter_items,
                    items=items,
                    on_missing="skip",
                ),
            )

    def routes(self, ids: Sequence[Key] | NDArray[Any]) -> list[Route]:
        """The route by which each item got its factors.

        Raises
        ------
        UnknownTrack
        """
        with self._lock:
            return list(ROUTES[self._items.table.routes[self._items.ids.rows(ids, argument="ids")]])

    def item_factors(self, ids: Sequence[Key] | NDArray[Any]) -> NDArray[np.float32]:
        """The factors (n, factors) that items are ranked by.

        Raises
        ------
        UnknownTrack
        """
        with self._lock:
            return self._items.table.factors[self._items.servable_rows(ids, argument="ids")]

    def user_factors(self, ids: Sequence[Key] | NDArray[Any]) -> NDArray[np.float32]:
        """The factors (n, factors) of users; their products with `item_factors` are the scores.

        Raises
        ------
        UnknownUser
        """
        return self._users.factors[self._user_ids.rows(ids, argument="ids")]

    def all_factors(self) -> NDArray[np.float32]:
        """A copy of the factors of all items (items, factors), in the order they were added."""
        return self._items.table.factors.copy()

    def export_factors(
        self, path: str | os.PathLike[str], *, of: Literal["items", "users"] = "items"
    ) -> None:
        """Write factors to a file that other systems read; the inner product is the score.

        Items that cannot be recommended and users without plays are left out.

        Parameters
        ----------
        path : path
            Its ending is the format: ".npz" with arrays `ids` and `factors`, ".parquet" with these
            as columns, ".faiss" an index of inner products, whose numbers are the ids or, of names
            that are text, rows of the list in ".faiss.json" beside it.
        of : {"items", "users"}

        Raises
        ------
        InvalidOption
            Another ending, or the file cannot be written.
        ExtraMissing
            Parquet without pyarrow.
        """
        if of not in ("items", "users"):
            raise InvalidOption(f"of is {of!r}: choose items or users")
        from recommender.cold_start.factor_files import write_factors

        with self._lock:
            ids, table = (self._items if of == "items" else self._user_table).ids, self._items.table
            served = np.flatnonzero(table.routes >= 0 if of == "items" else self._users.have_plays)
            names = ids.names(served)
        factors = table.factors if of == "items" else self._users.factors
        write_factors(path, names, factors[served])


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
