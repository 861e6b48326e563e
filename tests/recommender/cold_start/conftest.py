from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from recommender.cold_start import HybridRecommender

if TYPE_CHECKING:
    from tests.recommender.cold_start.plays import World


@pytest.fixture(scope="session")
def world() -> World:
    from tests.recommender.cold_start.plays import make_world

    return make_world()


@pytest.fixture(scope="session")
def plain(world: World) -> HybridRecommender:
    """The old items only, called by number."""
    from tests.recommender.cold_start.plays import ROUTE, WARM

    return HybridRecommender(world.model, world.train, world.embeddings[:WARM], route=ROUTE)
