"""From vector to answer: what sounds like this?

`Recommender.open("catalog.db")` is the door; `indexer.errors` holds what can go wrong.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommender.answers import Answer, Neighbour
    from recommender.engine import Recommender
    from recommender.filters import Where
    from recommender.ranking import Ranking

__all__ = ["Answer", "Neighbour", "Ranking", "Recommender", "Where"]

if not TYPE_CHECKING:
    _MODULES = {
        "Answer": "answers",
        "Neighbour": "answers",
        "Ranking": "ranking",
        "Recommender": "engine",
        "Where": "filters",
    }

    def __getattr__(name: str) -> Any:
        """Import what is asked for: the command line begins before any of it is needed."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
