"""Draw how alike the demo library's pieces sound, grouped by style: the picture in the README.

Run after scripts/demo. Example: python scripts/draw_demo.py catalog.db docs/demo-cosines.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from indexer.catalog.reader import Catalog
from recommender import Recommender

mpl.use("Agg")


def styles_of(catalog: Path) -> dict[int, str]:
    """The genre tag of each present track by its id."""
    opened = Catalog.open_for_reading(catalog)
    try:
        tracks = opened.tracks([row[0] for row in opened.names()])
    finally:
        opened.close()
    return {track.id: track.genre or "?" for track in tracks.values()}


def draw(catalog: Path, picture: Path) -> None:
    """Write the matrix of cosines between all tracks, ordered by style, as a PNG."""
    from matplotlib import pyplot as plt

    style = styles_of(catalog)
    ids = sorted(style, key=lambda track: (style[track], track))
    with Recommender.open(catalog) as recommender:
        vectors = recommender.vectors(ids)
    figure, axes = plt.subplots(figsize=(7.2, 6.2), dpi=130, layout="constrained")
    image = axes.imshow(vectors @ vectors.T, cmap="magma", vmin=-0.1, vmax=1.0)
    names = sorted(set(style.values()))
    edges = np.cumsum([0] + [list(style.values()).count(name) for name in names])
    middles = (edges[:-1] + edges[1:] - 1) / 2
    axes.set_xticks(middles, names, rotation=40, ha="right")
    axes.set_yticks(middles, names)
    axes.tick_params(length=0)
    for edge in edges[1:-1]:
        axes.axhline(edge - 0.5, color="white", linewidth=0.4)
        axes.axvline(edge - 0.5, color="white", linewidth=0.4)
    axes.set_title(f"How alike {len(ids)} pieces of {len(names)} styles sound")
    figure.colorbar(image, ax=axes, label="cosine of the two embeddings", shrink=0.85)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    draw(given.catalog, given.picture)
