"""From vector to answer: what sounds like this?

`Recommender.open("catalog.db")` is the door; `indexer.errors` holds what can go wrong.
"""

from recommender.answers import Answer, Neighbour
from recommender.engine import Recommender

__all__ = ["Answer", "Neighbour", "Recommender"]
