"""Words answered from sound alone: how many of the first answers have the label that was asked for.

The catalog is of files without tags, so that nothing but the model's tags can answer.
"""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation.tables import Cell, Figure, Table
from recommender import Recommender
from recommender.text.search import find

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST = 10
"""Answers that are looked at."""
WORDS: Mapping[str, tuple[str, frozenset[str]]] = {
    "blues": ("genres", frozenset({"Blues"})),
    "classical": ("genres", frozenset({"Classical"})),
    "country": ("genres", frozenset({"Country"})),
    "electronic": ("genres", frozenset({"Electronic"})),
    "folk": ("genres", frozenset({"Folk"})),
    "jazz": ("genres", frozenset({"Jazz"})),
    "latin": ("genres", frozenset({"Latin"})),
    "new age": ("genres", frozenset({"New Age"})),
    "rap": ("genres", frozenset({"Rap"})),
    "reggae": ("genres", frozenset({"Reggae"})),
    "rock": ("genres", frozenset({"Pop/Rock"})),
    "soul": ("genres", frozenset({"R&B"})),
    "happy": ("quadrant", frozenset({"Q1"})),
    "happy energetic": ("quadrant", frozenset({"Q1"})),
    "angry": ("quadrant", frozenset({"Q2"})),
    "energetic": ("quadrant", frozenset({"Q1", "Q2"})),
    "sad": ("quadrant", frozenset({"Q3"})),
    "calm": ("quadrant", frozenset({"Q4"})),
}
"""Words, and the labels of `mood4q.csv` that fit: Q1 to Q4 are the quadrants of valence and
arousal."""


def measure_words(catalog: Path, labels: Path) -> Table:
    """Ask a catalog for each word and count the answers whose label fits.

    Parameters
    ----------
    labels : Path
        `mood4q.csv`: path, genres (separated by ";"), quadrant.

    Raises
    ------
    QueryError
    """
    with labels.open(encoding="utf-8", newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    cells: list[tuple[str, tuple[Cell, ...]]] = []
    shares = []
    with Recommender.open(catalog) as recommender:
        for word, (column, wanted) in WORDS.items():
            fits = {name: bool(wanted & set(row[column].split(";"))) for name, row in rows.items()}
            found = (Path(hit.key).name for hit in find(recommender, word, len(recommender.ids())))
            hits = [fits[name] for name in islice((n for n in found if n in fits), FIRST)]
            chance = float(np.mean(list(fits.values())))
            shares.append((float(np.mean(hits)), chance))
            cells.append((word, (sum(fits.values()), *map(Figure, shares[-1]))))
    mean, chance = np.mean(shares, axis=0)
    cells.append(("mean", (None, Figure(float(mean)), Figure(float(chance)))))
    columns = ("tracks that fit", f"P@{FIRST}", "chance")
    return Table("Words, from sound alone", columns, tuple(cells), f"{len(rows)} tracks.")
