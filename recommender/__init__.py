"""From vector to answer: what sounds like this?

`Recommender.open("catalog.db")` is the door; `indexer.errors` holds what can go wrong.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommender.engine import Recommender
    from recommender.retrieval.answers import Answer, Neighbour
    from recommender.retrieval.ranking import Ranking
    from recommender.retrieval.where import Where

__all__ = ["Answer", "Neighbour", "Ranking", "Recommender", "Where"]

if not TYPE_CHECKING:
    _MODULES = {
        "Answer": "retrieval.answers",
        "Neighbour": "retrieval.answers",
        "Ranking": "retrieval.ranking",
        "Recommender": "engine",
        "Where": "retrieval.where",
    }

    def __getattr__(name: str) -> Any:
        """Import what is asked for: the command line begins before any of it is needed."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
