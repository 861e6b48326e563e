from __future__ import annotations

import pytest

from recommender.cold_start import FactorRegressor, HybridRecommender
from tests.recommender.cold_start.listeners import WARM, World, make_world


@pytest.fixture(scope="session")
def world() -> World:
    return make_world()


@pytest.fixture(scope="session")
def plain(world: World) -> HybridRecommender:
    """The old items only, called by number."""
    return HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], regressor=FactorRegressor("ridge")
    )
