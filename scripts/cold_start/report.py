"""Means over worlds, with intervals, as tables; the ratios that they come down to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from evaluation.tables import Figure, Table
from scipy.stats import t as student

from cold_start.experiment import (
    CEILING,
    CHOSEN,
    COLD_TRACKS,
    HALF,
    OTHER_PLAYS,
    RECALL,
    SOUND_TASTE,
    TASTE,
)
from cold_start.handover import PLAYS, WAYS
from cold_start.measures import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from cold_start.experiment import Row
    from cold_start.simulation import Habits

RATIOS = (
    ("ceiling", CEILING),
    ("plain cosine", "{first}, plain cosine"),
    ("shuffled", "{first} shuffled, {chosen}"),
    ("popularity", "popularity"),
    ("ceiling, other plays", OTHER_PLAYS),
    ("true taste, no popularity", TASTE),
    ("true taste, its sound alone", SOUND_TASTE),
)
"""What recall@20 of content is divided by: the name of the ratio, and the row of the table."""


def tables_of(worlds: Sequence[Iterable[Row]], *, first: str) -> list[Table]:
    """Tables of all rows, one for each title, and a table of the ratios."""
    gathered: dict[str, dict[str, list[NDArray[np.float64]]]] = defaultdict(dict)
    for world in worlds:
        for title, name, means in world:
            gathered[title].setdefault(name, []).append(means)
    notes = f"Simulated users, {len(worlds)} worlds; in brackets the 95 % interval over worlds."
    tables = [
        Table(
            title,
            MEASURES,
            tuple((n, tuple(figure(c) for c in np.transpose(f))) for n, f in rows.items()),
            notes,
        )
        for title, rows in gathered.items()
    ]
    recalls = [
        {
            **{name: found[world][RECALL] for name, found in gathered[COLD_TRACKS].items()},
            OTHER_PLAYS: _other_plays_ratio(gathered[HALF], f"{first}, {CHOSEN}", world)
            * gathered[COLD_TRACKS][f"{first}, {CHOSEN}"][world][RECALL],
        }
        for world in range(len(worlds))
    ]
    rows = tuple((name, (figure(ratio),)) for name, ratio in ratios(recalls, first).items())
    title = f"Recall@20 of cold tracks by {first}, {CHOSEN}, divided by that of"
    return [*tables, Table(title, ("ratio",), rows, notes)]


def _other_plays_ratio(
    half: Mapping[str, list[NDArray[np.float64]]], content: str, world: int
) -> float:
    """Ceiling from other plays divided by content, both on the same half of plays."""
    return float(half[OTHER_PLAYS][world][RECALL] / half[content][world][RECALL])


def ratios(recalls: Sequence[Mapping[str, float]], first: str) -> dict[str, NDArray[np.float64]]:
    """Each ratio in each world."""
    content = f"{first}, {CHOSEN}"
    return {
        name: np.array(
            [one[content] / one[of.format(first=first, chosen=CHOSEN)] for one in recalls]
        )
        for name, of in RATIOS
    }


def variations(habits: Habits) -> dict[str, Habits]:
    """The main world, and worlds with one thing changed."""
    return {
        "main world": habits,
        "popularity 0.5": replace(habits, popularity=0.5),
        "popularity 1.5": replace(habits, popularity=1.5),
        "40 tastes": replace(habits, tastes=40),
        "2000 tastes": replace(habits, tastes=2000),
        "labels 0": replace(habits, artist=0.0, group=0.0, genre=0.0),
        "labels doubled": replace(habits, artist=4.0, group=2.0, genre=2.0),
        "sound 3": replace(habits, sound=3.0),
        "sound 12": replace(habits, sound=12.0),
        "4 components": replace(habits, components=4),
        "16 components": replace(habits, components=16),
        "few sides (0.1)": replace(habits, sides=0.1),
        "many sides (3)": replace(habits, sides=3.0),
    }


def sensitivity_of(found: Mapping[str, Sequence[Mapping[str, float]]], *, first: str) -> Table:
    """Table of the ratios in worlds with other habits."""
    rows = tuple(
        (name, tuple(figure(ratio) for ratio in ratios(recalls, first).values()))
        for name, recalls in found.items()
    )
    number = len(next(iter(found.values())))
    notes = f"Simulated users, {number} worlds each; in brackets the 95 % interval over worlds."
    title = f"Recall@20 of cold tracks by {first}, {CHOSEN}, divided by that of"
    return Table(title, tuple(name for name, _ in RATIOS), rows, notes)


def handover_of(curves: NDArray[np.float64]) -> Table:
    """Curves (worlds, len(PLAYS), len(WAYS)) as a table, with the hybrid's worst shortfall."""
    short = curves[:, :, 2] - curves[:, :, :2].max(2)
    rows = tuple(
        (
            f"{number} plays",
            (*(figure(curves[:, row, way]) for way in range(len(WAYS))), figure(short[:, row])),
        )
        for row, number in enumerate(PLAYS)
    )
    return Table(
        "Recall@20 against plays",
        (*WAYS, "both, less the better"),
        rows,
        f"Simulated users, {len(curves)} worlds; in brackets the 95 % interval over worlds.",
    )


def figure(values: Sequence[float] | NDArray[np.float64]) -> Figure:
    """Mean and 95 % interval over worlds, by Student's t."""
    mean, number = float(np.mean(values)), len(values)
    if number < 2:
        return Figure(round(mean, 4))
    half = float(student.ppf(0.975, number - 1) * np.std(values, ddof=1) / number**0.5)
    return Figure(round(mean, 4), round(mean - half, 4), round(mean + half, 4))
