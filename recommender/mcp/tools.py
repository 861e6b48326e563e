"""The questions that assistants may ask, with their arguments; none changes anything.

The SDK makes schemas of types and sentences here. A track is named by id, key or words: files that
the catalog does not hold are not looked at, whoever asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from indexer.catalog.status import TrackStatus
from indexer.errors import UnknownTrack
from recommender.engine import Recommender
from recommender.playlists.path import path_between
from recommender.playlists.station import Station
from recommender.retrieval.details import track_details
from recommender.retrieval.lookup import display_name
from recommender.retrieval.ranking import Ranking
from recommender.retrieval.where import Where
from recommender.text.search import find

if TYPE_CHECKING:
    from indexer.catalog.records import Track

LONGEST_TEXT = 500
MOST_NAMES = 100
_REMEDY = "`search` lists those there are, with their ids"

Name = Annotated[str, Field(max_length=LONGEST_TEXT)]
Query = Annotated[
    Annotated[int, Field(strict=True)] | Name,
    Field(description='A track: its id, its key, or a part of "artist - title".'),
]
Count = Annotated[int, Field(strict=True, ge=1, le=100, description="How many tracks.")]
Words = Annotated[
    tuple[Name, ...],
    Field(max_length=20, description='Words such as "calm", "piano", "faster", "90s".'),
]
Names = Annotated[
    tuple[Name, ...], Field(max_length=MOST_NAMES, description="Only tracks with one of these.")
]
Year = Annotated[int | None, Field(ge=0, le=9999, description="Only tracks of these years.")]


class Tools:
    """The questions to one catalog; their docstrings are what assistants read."""

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender

    def search(
        self,
        text: Annotated[
            Name, Field(description="Words of title, artist and album; empty lists everything.")
        ] = "",
        n: Count = 20,
        after: Annotated[
            str | None, Field(max_length=60, description="`next` of the page before.")
        ] = None,
        artist: Names = (),
        genre: Names = (),
        year_from: Year = None,
        year_to: Year = None,
    ) -> dict[str, Any]:
        """List tracks by name: those whose title, artist and album hold all words of a text."""
        where = _where(artist, genre, year_from, year_to)
        page = self._recommender.browse(text, n, after=after, where=where)
        names = ("id", "key", "title", "artist", "album", "genre", "year", "duration_s")
        return {
            "tracks": [{name: getattr(track, name) for name in names} for track in page.tracks],
            "total": page.total,
            "next": page.after,
            "note": page.note,
        }

    def similar(
        self,
        liked: Annotated[
            tuple[Query, ...],
            Field(min_length=1, max_length=MOST_NAMES, description="Sound like these."),
        ],
        disliked: Annotated[
            tuple[Query, ...], Field(max_length=MOST_NAMES, description="And not like these.")
        ] = (),
        n: Count = 10,
        more: Words = (),
        less: Words = (),
        artist: Names = (),
        genre: Names = (),
        year_from: Year = None,
        year_to: Year = None,
        per_artist: Annotated[
            int | None, Field(ge=1, description="Tracks of one artist at most.")
        ] = None,
        why: Annotated[  # noqa: FBT002 - arguments come by name
            bool, Field(description="Also say what each track has in common with those liked.")
        ] = False,
    ) -> dict[str, Any]:
        """Find the tracks that sound most like others, by the sound alone.

        The score is the share of random pairs of the library that are less alike: 0.99 is very
        alike. `more` and `less` steer by words.
        """
        answer = self._recommender.similar_to_tracks(
            [self._id(query) for query in liked],
            [self._id(query) for query in disliked],
            n,
            where=_where(artist, genre, year_from, year_to),
            ranking=Ranking(per_artist=per_artist),
            more=more,
            less=less,
            why=why,
        )
        return answer.to_json()

    def words(
        self,
        text: Annotated[
            Name,
            Field(
                min_length=1,
                description='Moods, instruments, voices, genres, years, tempo: "calm piano, 90s, '
                'no vocals", "jazz or blues".',
            ),
        ],
        n: Count = 10,
        artist: Names = (),
        genre: Names = (),
        year_from: Year = None,
        year_to: Year = None,
    ) -> dict[str, Any]:
        """Find the tracks that fit a description best.

        Words that are not known are left out; `unknown` names known ones that are near to them.
        """
        where = _where(artist, genre, year_from, year_to)
        return find(self._recommender, text, n, where=where).to_json()

    def station(
        self,
        seed: Query,
        n: Count = 20,
        liked: Annotated[
            tuple[Query, ...], Field(max_length=MOST_NAMES, description="Also towards these.")
        ] = (),
        disliked: Annotated[
            tuple[Query, ...], Field(max_length=MOST_NAMES, description="Away from these.")
        ] = (),
        more: Words = (),
        less: Words = (),
        artist: Names = (),
        genre: Names = (),
        year_from: Year = None,
        year_to: Year = None,
        random_state: Annotated[
            int, Field(ge=0, lt=2**32, description="Another one draws other tracks.")
        ] = 0,
    ) -> dict[str, Any]:
        """Make a playlist that drifts slowly around a track, and repeats nothing."""
        playing = Station(
            self._recommender,
            self._id(seed),
            where=_where(artist, genre, year_from, year_to),
            more=more,
            less=less,
            random_seed=random_state,
        )
        playing.lean(map(self._id, liked), map(self._id, disliked))
        return playing.take(n).to_json()

    def path(
        self,
        start: Query,
        end: Query,
        steps: Annotated[
            int, Field(ge=1, le=100, description="One track fewer lies between the two.")
        ] = 8,
        more: Words = (),
        less: Words = (),
        artist: Names = (),
        genre: Names = (),
        year_from: Year = None,
        year_to: Year = None,
    ) -> dict[str, Any]:
        """Make a playlist that leads from one track to another in even steps of sound."""
        found = path_between(
            self._recommender,
            self._id(start),
            self._id(end),
            steps,
            where=_where(artist, genre, year_from, year_to),
            more=more,
            less=less,
        )
        return found.to_json()

    def show(self, track: Query) -> dict[str, Any]:
        """Show all that the catalog knows of a track, and its strongest tags."""
        found = self._track(track)
        return track_details(found, self._recommender.tags(found.id))

    def _id(self, query: int | str) -> int:
        """The id of a present track.

        Raises
        ------
        UnknownTrack, AmbiguousTrack
        """
        found = self._track(query)
        if found.status != TrackStatus.PRESENT:
            raise UnknownTrack(
                f"track {found.id} ({display_name(found)}) is {found.status} and no longer part of "
                f"the library: {_REMEDY}"
            )
        return found.id

    def _track(self, query: int | str) -> Track:
        # What a person at a terminal would do about it is nothing that an assistant can.
        try:
            return self._recommender.track(query)
        except UnknownTrack as error:
            raise UnknownTrack(f"no track of the catalog is {query!r}: {_REMEDY}") from error


def _where(
    artist: tuple[str, ...], genre: tuple[str, ...], year_from: int | None, year_to: int | None
) -> Where:
    year = None if year_from is None and year_to is None else (year_from, year_to)
    return Where(artist=artist, genre=genre, year=year)
