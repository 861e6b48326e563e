"""Style of all pictures: fonts and colours; and writing them as PNG files.

Colour maps are perceptually uniform (magma, viridis, cividis), so that equal steps look equal, also
in grey and to people who see fewer colours. Groups take their colours from `GROUP_COLOURS`, which
are legible on white and on black.
"""

from __future__ import annotations

import unicodedata
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from indexer.errors import ExtraMissing, InvalidOption
from indexer.filesystem import begins_with, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

GROUP_COLOURS = (
    "#4e79a7",
    "#f28e2b",
    "#59a14f",
    "#e15759",
    "#b07aa1",
    "#2fa3a0",
    "#c9a227",
    "#9c755f",
    "#e377a2",
    "#7a86e0",
)
"""Colours of the largest groups, in their order."""
OTHER_COLOUR = "#9aa0a6"
"""Colour of groups beyond those."""
INK, FAINT, ACCENT = "#1f2933", "#6b7785", "#2f6f9f"

_DPI = 150
_STYLE: Any = {
    # Names of tracks are no formulas: "$" is a dollar.
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#c5ccd3",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e3e7eb",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
_LETTERS = ("Noto Sans CJK JP", "Noto Sans", "Noto Emoji", "Symbola")
"""Fonts for letters that the first one lacks, where they are installed."""
_PNG = b"\x89PNG\r\n\x1a\n"


def count_coloured(groups: Sequence[str]) -> int:
    """Number of groups that have a colour of their own: the first ones."""
    return min(len(groups), len(GROUP_COLOURS))


def need_matplotlib() -> None:
    """Raise if matplotlib is missing, before anything is computed.

    Raises
    ------
    ExtraMissing
        matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ExtraMissing("pictures need matplotlib: run `pip install 'soundalike[pictures]'`")


@contextmanager
def plot_style() -> Iterator[None]:
    """In here figures are made, and saved, in one style."""
    import warnings

    import matplotlib as mpl
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    letters = ["DejaVu Sans", *(font for font in _LETTERS if font in installed)]
    with mpl.rc_context({**_STYLE, "font.family": letters}), warnings.catch_warnings():
        # A letter that no font has becomes a box; there is nothing else to be done about it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def new_figure(width: float, height: float, **spaces: Any) -> Figure:
    """An empty figure, in inches, whose parts are laid out without overlap.

    `spaces` are those of matplotlib's constrained layout.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(**spaces))


def one_line(text: str, *, longest: int = 60) -> str:
    """Foreign text as a label: one line without control characters, cut at `longest` letters."""
    clean = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    words = " ".join(clean.split())
    return words if len(words) <= longest else f"{words[: longest - 1].rstrip()}…"


def as_png(figure: Figure) -> bytes:
    """A figure as a PNG, the same bytes for the same figure."""
    from io import BytesIO

    content = BytesIO()
    with plot_style():
        figure.savefig(content, format="png", dpi=_DPI, metadata={"Software": "soundalike"})
    return content.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG.

    Raises
    ------
    InvalidOption
        As `replace_file`.
    """
    replace_file(
        path,
        as_png(figure),
        kind="PNG picture",
        is_kind=lambda existing: begins_with(existing, _PNG),
    )


def check_target(path: Path, suffix: str) -> None:
    """Raise if a file cannot be written under a name, before anything is computed.

    Raises
    ------
    InvalidOption
        It ends otherwise, its folder does not exist, or it is a folder.
    """
    if path.suffix.lower() != suffix:
        raise InvalidOption(f"{path} does not end in {suffix}: name the file so")
    if not path.parent.is_dir():
        raise InvalidOption(f"the folder {path.parent} does not exist: make it first")
    if path.is_dir():
        raise InvalidOption(f"{path} is a folder: name a file that ends in {suffix}")
