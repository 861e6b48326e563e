"""Factors of a fitted collaborative-filtering model, whichever library it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import BadFactors
from recommender.cold_start.validation import LONGEST_FACTOR, float_matrix, refuse_long

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

NAMES = (
    ("user_factors", "item_factors", None),  # implicit; Spark's, collected
    ("u_factors", "i_factors", "i_biases"),  # Cornac: MF, BPR, PMF
    ("U", "V", None),  # Cornac: WMF
)
"""Attributes of models: factors of users, factors of items, biases of items."""

CHECKED_USERS, CHECKED_ITEMS, LEAST_AUC = 300, 20, 0.6
"""Users and items of each that tell whether plays belong to a model; on public plays, implicit's
models rank 95 % of the pairs right, and half of them where rows or columns are out of order."""


@dataclass(frozen=True)
class CollaborativeModel:
    """Factors of users and items; a score is the inner product of a user's and an item's row.

    Attributes
    ----------
    users : float32 (users, factors)
    items : float32 (items, factors)
    bias_column : int or None
        The column that is 1 for every user and holds the bias of each item.
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]
    bias_column: int | None = None


def read_factors(model: Any) -> CollaborativeModel:
    """Read a model of implicit, LightFM or Cornac, or a pair (user_factors, item_factors).

    Of implicit's ANN indexes, the model that they stand before.

    Raises
    ------
    BadFactors
        The model is not fitted, its factors hold NaN or infinity, do not match, or there are fewer
        items than factors.
    """
    model = _behind_index(model)
    users, items, biases = _parts(model)
    # torch.nn.Embedding, as two-tower models have them.
    users, items = getattr(users, "weight", users), getattr(items, "weight", items)
    users, items = float_matrix("user_factors", users), float_matrix("item_factors", items)
    refuse_long("user_factors", users, LONGEST_FACTOR)
    refuse_long("item_factors", items, LONGEST_FACTOR)
    bias_column = None
    if biases is not None:
        column = float_matrix("item_biases", np.reshape(biases, (-1, 1)))
        if len(column) != len(items):
            raise BadFactors(f"item_biases has {len(column)} rows, item_factors {len(items)}")
        items = np.hstack([items, column])
        users = np.hstack([users, np.ones((len(users), 1), np.float32)])
    if users.shape[1] != items.shape[1]:
        raise BadFactors(
            f"user_factors has {users.shape[1]} columns and item_factors {items.shape[1]}: both "
            "must come from one model"
        )
    if len(items) < items.shape[1]:
        raise BadFactors(
            f"item_factors has {len(items)} items of {items.shape[1]} factors: train with "
            "at most as many factors as items"
        )
    if items.shape[1] > 2 and (users[:, -2] == 1.0).all() and (items[:, -1] == 1.0).all():
        # implicit's logistic factors: the last, a user's bias, does not change the ranking.
        users, items = users[:, :-1], items[:, :-1]
    if len(users) > 1 and (users[:, -1] == 1.0).all():
        bias_column = items.shape[1] - 1
    # Copies: a model that is fitted anew must not change half of what was learned from it.
    return CollaborativeModel(
        np.array(users, order="C"),
        np.array(items, order="C"),
        bias_column,
    )


def _behind_index(model: Any) -> Any:
    """The model that an ANN index of implicit stands before."""
    return model.model if hasattr(model, "recommend_index") else model


def _parts(model: Any) -> tuple[Any, Any, Any]:
    if isinstance(model, tuple) and len(model) == 2:
        return model[0], model[1], None
    name = type(model).__name__
    if hasattr(model, "get_item_representations"):  # LightFM
        if getattr(model, "item_embeddings", None) is None:
            raise BadFactors(f"the {name} is not fitted: call its fit first")
        biases, items = model.get_item_representations()
        return model.get_user_representations()[1], items, biases
    for user_name, item_name, bias_name in NAMES:
        if hasattr(model, user_name) and hasattr(model, item_name):
            users, items = getattr(model, user_name), getattr(model, item_name)
            if users is None or items is None:
                raise BadFactors(f"the {name} is not fitted: call its fit first")
            biases = getattr(model, bias_name, None) if bias_name else None
            return users, items, biases
    raise BadFactors(
        f"a {name} has no factors to read (user_factors and item_factors): hand over a fitted "
        "model of implicit, LightFM or Cornac, or the pair of arrays"
    )


def check_fit(model: CollaborativeModel, plays: csr_matrix, *, seed: int) -> None:
    """Refuse plays that a model was not fitted on, such as rows or columns in another order.

    For some users, an item that was played is compared with one that was not.

    Raises
    ------
    BadFactors
        The model ranks the item that was played higher in less than 60 % of the pairs.
    """
    rng = np.random.default_rng(seed)
    people = rng.permutation(np.flatnonzero(np.diff(plays.indptr)))[:CHECKED_USERS]
    found = []
    for user in people:
        played = plays.indices[plays.indptr[user] : plays.indptr[user + 1]]
        others = np.setdiff1d(rng.integers(0, plays.shape[1], CHECKED_ITEMS), played)
        if len(others):
            own = model.items[rng.permutation(played)[:CHECKED_ITEMS]] @ model.users[user]
            theirs = model.items[others] @ model.users[user]
            found.append(float((own[:, None] > theirs).mean()))
    if found and np.mean(found) < LEAST_AUC:
        raise BadFactors(
            f"the model ranks what its users have played above other items in only "
            f"{np.mean(found):.0%} of pairs: give user_items as it was fitted on, rows and columns "
            "in the order of its factors"
        )
