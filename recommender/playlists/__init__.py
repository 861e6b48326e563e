"""Ways through a library: an endless station, a path between two tracks, a playlist of a duration.

All walk over embeddings and end in a `Playlist` or its `Entry`s. The same question, catalog and
random seed give the same tracks.
"""

from recommender.playlists.fill import fill_playlist
from recommender.playlists.path import path_between
from recommender.playlists.playlist import Entry, Playlist
from recommender.playlists.station import Station

__all__ = ["Entry", "Playlist", "Station", "fill_playlist", "path_between"]
