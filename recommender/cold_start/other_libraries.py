"""Models of Cornac, Spark and LightFM as arguments of `HybridRecommender`, by their own ids.

    hybrid = HybridRecommender(**from_cornac(bpr, train_set), embeddings=embeddings)
    hybrid = HybridRecommender.from_catalog(**from_cornac(bpr, train_set), sound=sound)

Rows and columns of the plays are put in the order of the factors; embeddings must follow
`item_keys`, which a catalog does by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np
from scipy.sparse import csr_matrix

from indexer.errors import BadFactors
from recommender.cold_start.ids import Ids, list_keys
from recommender.cold_start.validation import float_matrix

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class Fitted(TypedDict):
    """Arguments of `HybridRecommender` and its `from_catalog`."""

    model: Any
    user_items: csr_matrix
    item_keys: NotRequired[Any]
    user_keys: NotRequired[Any]


def from_cornac(model: Any, train_set: Any) -> Fitted:
    """A fitted model of Cornac with the set that it was fitted on, by the set's ids.

    Raises
    ------
    BadFactors
        The model is not fitted, or on another set.
    """
    name = type(model).__name__
    if getattr(model, "iid_map", None) is None:
        raise BadFactors(f"the {name} is not fitted: call its fit first")
    for what, own, given in (
        ("items", model.iid_map, train_set.iid_map),
        ("users", model.uid_map, train_set.uid_map),
    ):
        if dict(own) != dict(given):
            raise BadFactors(
                f"the {name} was fitted on other {what}, or in another order: give the train_set "
                "of its fit"
            )
    return Fitted(
        model=model,
        user_items=train_set.csr_matrix,
        item_keys=_keys_by_row(train_set.iid_map),
        user_keys=_keys_by_row(train_set.uid_map),
    )


def from_spark(user_df: pd.DataFrame, item_df: pd.DataFrame, plays: pd.DataFrame) -> Fitted:
    """Factors of Spark's ALS, by the ids of its users and items.

    Parameters
    ----------
    user_df, item_df : frames with the columns id and features
        As `model.userFactors.toPandas()` and `model.itemFactors.toPandas()` give them.
    plays : frame
        User, item and number of plays, in the first three columns.

    Raises
    ------
    BadFactors
        Columns are missing, or plays are of users or items without factors.
    """
    keys, factors = [], []
    for name, table in (("user_df", user_df), ("item_df", item_df)):
        if not {"id", "features"} <= set(table.columns):
            raise BadFactors(f"{name} must have the columns id and features, as toPandas() gives")
        keys.append(table["id"].tolist())
        factors.append(float_matrix(name, np.array(table["features"].tolist())))
    rows = []
    for what, column, own in (("user", 0, keys[0]), ("item", 1, keys[1])):
        ids = Ids(what, own, len(own), argument=f"{what}_df")
        found = ids.known_rows(list_keys(plays.iloc[:, column].to_numpy()), argument="plays")
        if (found < 0).any():
            raise BadFactors(
                f"plays has {what}s that {what}_df has not, the first in row "
                f"{int(np.argmax(found < 0))}: give the plays that the model was fitted on"
            )
        rows.append(found)
    count = plays.iloc[:, 2].to_numpy(np.float32)
    return Fitted(
        model=(factors[0], factors[1]),
        user_items=csr_matrix((count, (rows[0], rows[1])), (len(keys[0]), len(keys[1]))),
        item_keys=keys[1],
        user_keys=keys[0],
    )


def from_lightfm(
    model: Any, user_items: csr_matrix, *, item_features: Any = None, user_features: Any = None
) -> Fitted:
    """A fitted LightFM with the features that it was fitted with, as factors and biases of items.

    Parameters
    ----------
    item_features, user_features : csr (items, features), (users, features), optional
        As given to its `fit`.

    Raises
    ------
    BadFactors
        The model is not fitted.
    """
    if getattr(model, "item_embeddings", None) is None:
        raise BadFactors("the LightFM is not fitted: call its fit first")
    biases, items = model.get_item_representations(item_features)
    _, users = model.get_user_representations(user_features)
    ones: NDArray[np.float32] = np.ones((len(users), 1), np.float32)
    return Fitted(
        model=(np.hstack([users, ones]), np.hstack([items, np.reshape(biases, (-1, 1))])),
        user_items=user_items,
    )


def _keys_by_row(rows: dict[Any, int]) -> list[Any]:
    return sorted(rows, key=rows.__getitem__)
