"""Checks of a library's answers that need no labels.

The nearest track to a part of a track, and to the track encoded again, should be that track; songs
of an album should be near each other; no track should be the neighbour of very many. Each finding
says what its numbers mean and which values are typical.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import ModelError, ModelMismatch, QueryError
from recommender.evaluation.degradations import LONGEST_S
from recommender.evaluation.metrics import FIRST, KS, Hubness, hubness, interval
from recommender.evaluation.robustness import CROP_S, Lookup, Lookups, copy_lookups
from recommender.retrieval.library_statistics import Percentiles
from recommender.retrieval.lookup import display_name
from recommender.retrieval.names import artist_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.evaluation.robustness import Progress

MOST_SEEDS = 20_000
"""Query tracks at most; of a larger library so many are drawn at random."""
FEWEST_TRACKS = 3

_BATCH = 200
_LISTED = 5

# Values below these are atypical. Song clips and game soundtracks with MusiCNN are well above
# them; published systems reach two thirds of their tracks (Flexer & Stevens 2018).
_MIN_CROPS_FOUND = 0.8
_MIN_COPIES_FOUND = 0.95
_MIN_LIFT = 3.0
_MIN_REACH = 0.6
# Above these.
_MAX_HUB_SHARE = 0.1
_MAX_MEDIAN_COSINE = 0.9


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes
    ----------
    key : str
        Its stable name, for JSON.
    title, value, meaning : str
        For people: what was checked, the result, and a sentence about its meaning.
    figures : mapping
        The numbers as plain values.
    is_typical : bool or None
        Whether it is as in most libraries; None where that is unknown, or nothing was measured.
    """

    key: str
    title: str
    value: str
    meaning: str
    figures: Mapping[str, object] = field(default_factory=dict)
    is_typical: bool | None = None


def check_library(
    recommender: Recommender, *, sample: int, random_state: int, progress: Progress
) -> list[Finding]:
    """Findings about a library.

    Parameters
    ----------
    sample : int
        How many tracks are copied and embedded anew; 0 leaves these checks out.
    random_state : int
        Of all that is random: tracks, pairs, bootstraps.

    Raises
    ------
    QueryError
        The library has too few tracks to compare any.
    """
    ids = recommender.ids()
    if len(ids) < FEWEST_TRACKS:
        held = "one track" if len(ids) == 1 else f"{len(ids) or 'no'} tracks"
        raise QueryError(
            f"the catalog holds {held}: index at least {FEWEST_TRACKS}, so that there is "
            "something to compare"
        )
    rng = np.random.default_rng(random_state)
    tracks = recommender.tracks(ids)
    copies = _check_copies(recommender, tracks, sample, rng, progress) if sample else []
    queries = np.arange(len(ids))
    if len(ids) > MOST_SEEDS:
        queries = np.sort(rng.choice(len(ids), MOST_SEEDS, replace=False))
    neighbours, cosines = _neighbours(recommender, ids, queries, progress)
    artists = [artist_of(track) or "" for track in tracks]
    hubs = hubness(neighbours, len(ids))
    return [
        *copies,
        _same("album", _albums(tracks), queries, neighbours, random_state=random_state),
        _same("artist", artists, queries, neighbours, random_state=random_state),
        _reach(hubs, random_state=random_state),
        _greatest_hub(hubs, tracks, random_state=random_state),
        _cosines(recommender.vectors(ids[queries]), cosines, random_state=random_state),
    ]


def _check_copies(
    recommender: Recommender,
    tracks: Sequence[Track],
    sample: int,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Finding]:
    short = [track for track in tracks if track.duration_s <= LONGEST_S]
    drawn = rng.permutation(len(short))[:sample]
    try:
        found = copy_lookups(recommender, [short[row] for row in drawn], progress=progress)
    except (ModelError, ModelMismatch) as error:
        return [_skip_copies(str(error))]
    if not found.crops:
        longest = f"no track is shorter than {LONGEST_S / 60:.0f} minutes"
        return [_skip_copies(found.failures[-1] if found.failures else longest)]
    return [_crops(found), *_encodings(found)]


def _skip_copies(reason: str) -> Finding:
    return Finding("copies", "copies of tracks", "not measured", reason)


def _crops(found: Lookups) -> Finding:
    figures = _figures_of(found.crops) | {"failures": list(found.failures)}
    return Finding(
        "crops",
        "a part finds its track",
        _describe_lookups(found.crops, figures)
        + (f"; {len(found.failures)} could not be analysed" if found.failures else ""),
        f"{CROP_S:.0f} s from the beginning or the middle of a track should be nearest to it; "
        "where they are not, the model embeds other parts of the track as other music. In the "
        f"first {FIRST}: typically at least {_MIN_CROPS_FOUND:.0%}.",
        figures,
        _share_within(found.crops, FIRST) >= _MIN_CROPS_FOUND,
    )


def _encodings(found: Lookups) -> list[Finding]:
    findings = []
    for kind, lookups in found.encodings.items():
        figures = _figures_of(lookups)
        findings.append(
            Finding(
                kind.lower().replace(" ", "_"),
                f"encoded as {kind}, a track finds itself",
                _describe_lookups(lookups, figures),
                "The same sound in another file should stay the nearest; where it does not, "
                "lossy copies are like other music to the model. First: typically at least "
                f"{_MIN_COPIES_FOUND:.0%}.",
                figures,
                _share_within(lookups, 1) >= _MIN_COPIES_FOUND,
            )
        )
    middle = float(np.median(found.between))
    findings.append(
        Finding(
            "between_encodings",
            "the two encodings of a track",
            f"median cosine {middle:.3f}, least {min(found.between):.3f}",
            "Cosine of two lossy copies of one recording: near 1 is best.",
            {"median_cosine": round(middle, 4), "least_cosine": round(min(found.between), 4)},
        )
    )
    return findings


def _share_within(lookups: Sequence[Lookup], first: int) -> float:
    return sum(one.rank is not None and one.rank <= first for one in lookups) / len(lookups)


def _figures_of(lookups: Sequence[Lookup]) -> dict[str, object]:
    missed = [one for one in lookups if one.rank != 1]
    return {
        "tries": len(lookups),
        "first": round(_share_within(lookups, 1), 4),
        f"in_first_{FIRST}": round(_share_within(lookups, FIRST), 4),
        "median_cosine": round(float(np.median([one.cosine for one in lookups])), 4),
        "least_cosine": round(min(one.cosine for one in lookups), 4),
        "missed": [
            {"track": one.track, "rank": one.rank, "nearest": one.instead}
            for one in missed[:_LISTED]
        ],
    }


def _describe_lookups(lookups: Sequence[Lookup], figures: Mapping[str, object]) -> str:
    count = len(lookups)
    first = round(_share_within(lookups, 1) * count)
    within = round(_share_within(lookups, FIRST) * count)
    return (
        f"{first} of {count} first, {within} in the first {FIRST} "
        f"(median cosine {figures['median_cosine']:.3f})"
    )


def _neighbours(
    recommender: Recommender, ids: NDArray[np.int64], queries: NDArray[np.int64], progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows (queries, k) of the neighbours that `similar` gives, -1 for none, and their cosines."""
    rows, cosines = [], []
    for start in range(0, len(queries), _BATCH):
        batch = queries[start : start + _BATCH]
        found, scores = recommender.neighbours(ids[batch], min(FIRST, len(ids) - 1))
        rows.append(np.where(found >= 0, np.searchsorted(ids, found), -1))
        cosines.append(scores)
        progress("finding neighbours", start + len(batch), len(queries))
    return np.concatenate(rows), np.concatenate(cosines)


def _albums(tracks: Sequence[Track]) -> list[str]:
    """Album and who it is by, as many albums are called "Greatest Hits"."""
    return [
        f"{track.album_artist or track.artist or ''}\n{track.album}".strip().casefold()
        if track.album
        else ""
        for track in tracks
    ]


def _same(
    what: str,
    labels: Sequence[str],
    queries: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    *,
    random_state: int,
) -> Finding:
    """How many of the neighbours share a tag with their seed."""
    names, codes, counts = np.unique(
        np.array(labels, dtype=str), return_inverse=True, return_counts=True
    )
    others = np.where(names == "", 0, counts - 1)[codes]
    rows = np.flatnonzero(others[queries] > 0)
    key, title = f"same_{what}", f"neighbours of the same {what}"
    if len(rows) == 0:
        return Finding(
            key, title, "not measured", f"No {what} tag is shared by two tracks of the catalog."
        )
    found = neighbours[rows]
    hits = (codes[found] == codes[queries[rows], np.newaxis]) & (found >= 0)
    there = np.maximum((found >= 0).sum(1), 1)
    values = np.stack([hits[:, :k].sum(1) / np.minimum(k, there) for k in KS], axis=1)
    low, high = interval(values, random_state=random_state)
    means = values.mean(0)
    chance = float((others[queries[rows]] / (len(labels) - 1)).mean())
    return Finding(
        key,
        title,
        f"{means[0]:.0%} of the first, {means[1]:.0%} of the first {KS[1]} "
        f"(by chance {chance:.1%})",
        f"Songs of one {what} often sound alike, so their share should be far above chance: "
        f"typically at least {_MIN_LIFT:.0f} times it. Not all should be: other music may be as "
        "near.",
        {
            "seeds": len(rows),
            "chance": round(chance, 4),
            **{f"P@{k}": round(float(mean), 4) for k, mean in zip(KS, means, strict=True)},
            "interval": {
                f"P@{k}": [round(float(a), 4), round(float(b), 4)]
                for k, a, b in zip(KS, low, high, strict=True)
            },
        },
        bool(means[0] >= min(_MIN_LIFT * chance, (1 + chance) / 2)),
    )


def _reach(hubs: Hubness, *, random_state: int) -> Finding:
    low, high = hubs.interval(random_state=random_state)[:, 1]
    return Finding(
        "reach",
        "reach",
        f"{hubs.reach:.0%} of the tracks are among the first {FIRST} of another track",
        f"The others are in no list of {FIRST} answers. In published systems these are a third.",
        {
            "reach": round(hubs.reach, 4),
            "interval": [round(float(low), 4), round(float(high), 4)],
            "seeds": hubs.seeds,
        },
        hubs.reach >= _MIN_REACH if hubs.seeds == len(hubs.occurrences) else None,
    )


def _greatest_hub(hubs: Hubness, tracks: Sequence[Track], *, random_state: int) -> Finding:
    low, high = hubs.interval(random_state=random_state)[:, 0]
    greatest = np.argsort(-hubs.occurrences, kind="stable")[:_LISTED]
    share = hubs.largest / hubs.seeds
    hub = tracks[int(greatest[0])]
    return Finding(
        "hubs",
        "the greatest hub",
        f"{display_name(hub)}: among the first {FIRST} of {hubs.largest} tracks "
        f"(skewness {hubs.skewness:.2f})",
        "A track that is near to many is recommended too often; check that it fits them. Typically "
        f"it is among the first {FIRST} of at most {_MAX_HUB_SHARE:.0%} of the tracks, or of "
        f"{5 * FIRST}.",
        {
            "skewness": round(hubs.skewness, 4),
            "interval": [round(float(low), 4), round(float(high), 4)],
            "largest": hubs.largest,
            "hubs": [
                {
                    "id": tracks[row].id,
                    "track": display_name(tracks[row]),
                    "occurrences": int(hubs.occurrences[row]),
                }
                for row in greatest.tolist()
            ],
        },
        share <= _MAX_HUB_SHARE or hubs.largest <= 5 * FIRST,
    )


def _cosines(
    vectors: NDArray[np.float32], nearest: NDArray[np.float32], *, random_state: int
) -> Finding:
    random = Percentiles.from_vectors(vectors, random_state=random_state).cosines
    at = {
        f"p{share}": round(float(np.percentile(random, share)), 4) for share in (1, 25, 50, 75, 99)
    }
    first = round(float(np.nanmedian(nearest[:, 0])), 4)
    last = round(float(np.nanmedian(nearest[:, -1])), 4)
    return Finding(
        "cosines",
        "cosines",
        f"random pairs {at['p50']:.2f} ({at['p1']:.2f} to {at['p99']:.2f}), "
        f"first neighbour {first:.2f}, {nearest.shape[1]}th {last:.2f}",
        "How alike two tracks drawn at random are (median, 98 % of the pairs) and how alike "
        "neighbours are: the wider apart, the more an answer says. Random pairs typically lie "
        f"below {_MAX_MEDIAN_COSINE}.",
        {"random_pairs": at, "first_neighbour": first, f"neighbour_{nearest.shape[1]}": last},
        at["p50"] < _MAX_MEDIAN_COSINE and first > at["p50"],
    )
