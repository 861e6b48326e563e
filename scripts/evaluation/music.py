"""The labelled music that models are compared on: the `eval` splits of a music folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from training.corpus import read_tables

from indexer.errors import QueryError
from recommender.evaluation.metrics import Question

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from training.corpus import Track


@dataclass(frozen=True)
class Collection:
    """Tracks that are each other's candidates.

    Attributes
    ----------
    rows : int64 (tracks,)
        Of its tracks in the list of all.
    """

    name: str
    rows: NDArray[np.int64]


def read_eval(music: Path, corpus: Path | None) -> list[Track]:
    """Tracks of the `eval` splits that have labels: songs of Emotify, and soundtracks.

    Raises
    ------
    QueryError
        The folder has no tables, or they have other columns.
    """
    try:
        tracks = read_tables(music, corpus, split="eval")
    except FileNotFoundError as error:
        raise QueryError(
            f"{error.filename} is missing: name the folder that has clips.csv and, for --corpus, "
            "debian_tracks.csv"
        ) from error
    except KeyError as error:
        raise QueryError(f"a table in {music} has no column {error}") from error
    kept = [track for track in tracks if track.source in ("emotify", "debian")]
    if not kept:
        raise QueryError(f"the tables in {music} name no tracks of an eval split")
    return kept


def collections_of(tracks: list[Track]) -> list[Collection]:
    """The songs and the soundtracks, those of them that there are."""
    sources = np.array([track.source for track in tracks])
    found = [
        Collection(name, np.flatnonzero(sources == source))
        for source, name in (("emotify", "songs (Emotify)"), ("debian", "soundtracks"))
    ]
    return [one for one in found if len(one.rows) > 1]


def questions_of(tracks: list[Track]) -> dict[str, Question]:
    """What is asked of some tracks: genre, artist and group, with and without the own artist."""
    artists = [track.artist for track in tracks]
    questions = {}
    for name, labels in (
        ("genre", [track.genre if track.source == "emotify" else "" for track in tracks]),
        ("group", [track.group for track in tracks]),
    ):
        if any(labels):
            questions[f"same {name}, own artist out"] = Question(labels, without=artists)
            questions[f"same {name}"] = Question(labels)
    if any(artists):
        questions["same artist"] = Question(artists)
    return questions
