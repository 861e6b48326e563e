"""Draw how alike the demo library's pieces sound, grouped by style: the picture in the README.

Run after scripts/demo. Example: python scripts/draw_demo.py catalog.db docs/demo-cosines.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from recommender import Recommender

mpl.use("Agg")


def draw(catalog: Path, picture: Path) -> None:
    """Write the matrix of cosines between all tracks, ordered by style, as a PNG."""
    from matplotlib import pyplot as plt

    with Recommender.open(catalog) as recommender:
        style = {one.id: one.genre or "?" for one in recommender.tracks(recommender.ids())}
        ids = sorted(style, key=lambda track: (style[track], track))
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
