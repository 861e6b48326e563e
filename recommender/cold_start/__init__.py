"""The cold start: factors of a collaborative-filtering model for tracks that nobody has played.

    hybrid = HybridRecommender.from_catalog(als, user_items, sound, item_keys=keys)
    hybrid.add_item("upload-7", "upload.mp3")
    ids, scores = hybrid.recommend(userid, user_items[userid])

`FactorRegressor` maps embeddings to factors, `ContentFactors` adds what an artist's other tracks
say, `HybridRecommender` serves new and old items in one call. Each is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recommender.cold_start.content import ContentFactors
    from recommender.cold_start.hybrid import HybridRecommender
    from recommender.cold_start.ranked import Route
    from recommender.cold_start.regressor import FactorRegressor

__all__ = ["ContentFactors", "FactorRegressor", "HybridRecommender", "Route"]

_ROOMS = {
    "ContentFactors": "content",
    "FactorRegressor": "regressor",
    "HybridRecommender": "hybrid",
    "Route": "ranked",
}


def __getattr__(name: str) -> object:
    """Load scikit-learn only for those who ask for what stands on it (PEP 562)."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
