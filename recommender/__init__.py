"""From vector to answer: what sounds like this?

`Recommender.open("catalog.db")` is the door; `indexer.errors` holds what can go wrong.
"""

from recommender.answers import Answer, Neighbour
from recommender.engine import Recommender
from recommender.filters import Where
from recommender.ranking import Ranking

__all__ = ["Answer", "Neighbour", "Ranking", "Recommender", "Where"]
