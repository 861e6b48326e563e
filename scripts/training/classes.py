"""AudioSet's classes that the student's tags take from mn04, beside MusiCNN's own fifty.

Instruments and voices that AudioSet's labels know and MusiCNN's listeners seldom wrote down, and
the genres that are not among its tags.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = (
    "Singing",
    "Choir",
    "Rapping",
    "Electric guitar",
    "Acoustic guitar",
    "Banjo",
    "Mandolin",
    "Sitar",
    "Piano",
    "Electric piano",
    "Organ",
    "Synthesizer",
    "Harpsichord",
    "Percussion",
    "Drum kit",
    "Drum machine",
    "Marimba, xylophone",
    "Glockenspiel",
    "Orchestra",
    "Brass instrument",
    "Trumpet",
    "String section",
    "Violin, fiddle",
    "Cello",
    "Flute",
    "Saxophone",
    "Clarinet",
    "Harp",
    "Harmonica",
    "Accordion",
    "Bagpipes",
    "Rhythm and blues",
    "Reggae",
    "Swing music",
    "Bluegrass",
    "Middle Eastern music",
    "Disco",
    "Classical music",
    "Opera",
    "Techno",
    "Dubstep",
    "Drum and bass",
    "Trance music",
    "Music of Latin America",
    "Flamenco",
    "New-age music",
    "Gospel music",
    "Ska",
    "Video game music",
    "Scary music",
)


def class_numbers(labels: Path) -> list[int]:
    """Where `CLASSES` are in AudioSet's list.

    Parameters
    ----------
    labels : Path
        Table with the column `display_name`, one row a class, in mn04's order.

    Raises
    ------
    ValueError
        One of them is not in it.
    """
    with labels.open(encoding="utf-8", newline="") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    return [names.index(name) for name in CLASSES]
