"""Ways through a library: an endless station, a path between two tracks, a playlist of a duration.

All walk over embeddings and end in a `Journey` or its `Stop`s. The same question, catalog and
random seed give the same tracks.
"""

from recommender.playlists.fill import playlist_of
from recommender.playlists.path import path_between
from recommender.playlists.playlist import Journey, Stop
from recommender.playlists.station import Station

__all__ = ["Journey", "Station", "Stop", "path_between", "playlist_of"]
