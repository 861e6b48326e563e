"""Ways through a library: an endless station, a path between two tracks, a playlist of a duration.

All walk over embeddings and end in a `Journey` or its `Stop`s. The same question, catalog and
random seed give the same tracks.
"""

from recommender.journeys.between import path_between
from recommender.journeys.filling import playlist_of
from recommender.journeys.station import Station
from recommender.journeys.stop import Journey, Stop

__all__ = ["Journey", "Station", "Stop", "path_between", "playlist_of"]
