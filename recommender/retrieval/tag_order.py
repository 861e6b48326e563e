"""Tags in the order of their probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def strongest_tags(
    tag_names: Sequence[str], activations: NDArray[np.floating]
) -> list[tuple[str, float]]:
    """Tags with their probabilities (tags,), strongest first; equal ones in the model's order."""
    order = np.argsort(-activations, kind="stable").tolist()
    return [(tag_names[tag], round(float(activations[tag]), 4)) for tag in order]
