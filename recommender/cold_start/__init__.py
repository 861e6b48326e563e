"""The cold start: factors of a collaborative-filtering model for tracks that nobody has played.

    hybrid = HybridRecommender.from_catalog(als, user_items, sound, item_keys=keys)
    hybrid.add_item("upload-7", "upload.mp3")
    ids, scores = hybrid.recommend(userid, user_items[userid])

`HybridRecommender` serves new and old items in one call; `RouteSettings` fix what it otherwise
chooses. `other_libraries` reads models of Cornac, Spark and LightFM. `FactorRegressor` is a
scikit-learn estimator from embeddings to factors. Each is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.lazy_attributes import lazy_attributes

if TYPE_CHECKING:
    from recommender.cold_start.content_route import RouteSettings
    from recommender.cold_start.hybrid import HybridRecommender
    from recommender.cold_start.regression.regressor import FactorRegressor
    from recommender.cold_start.top_n import Route

__all__ = ["FactorRegressor", "HybridRecommender", "Route", "RouteSettings"]

if not TYPE_CHECKING:
    # scikit-learn is loaded only for those who ask for a name that needs it.
    __getattr__ = lazy_attributes(
        __name__,
        {
            "FactorRegressor": "regression.regressor",
            "HybridRecommender": "hybrid",
            "Route": "top_n",
            "RouteSettings": "content_route",
        },
    )
