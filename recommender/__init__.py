"""Answers to "what sounds like this?" from a catalog.

Begin with `Recommender.open("catalog.db")`; `indexer.errors` holds the exceptions.
"""

from typing import TYPE_CHECKING

from recommender.lazy_attributes import lazy_attributes

if TYPE_CHECKING:
    from recommender.engine import Recommender
    from recommender.retrieval.answers import Answer, Neighbour
    from recommender.retrieval.ranking import Ranking
    from recommender.retrieval.where import Where

__all__ = ["Answer", "Neighbour", "Ranking", "Recommender", "Where"]

if not TYPE_CHECKING:
    # The command line starts before NumPy is needed.
    __getattr__ = lazy_attributes(
        __name__,
        {
            "Answer": "retrieval.answers",
            "Neighbour": "retrieval.answers",
            "Ranking": "retrieval.ranking",
            "Recommender": "engine",
            "Where": "retrieval.where",
        },
    )
