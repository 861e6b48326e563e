"""Run the notebooks on the demo library, and store them with their outputs.

A notebook is written back only when it ran through and no output names a path of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
DEMO = ROOT / "demo"
LARGEST = 1_500_000
"""Bytes of a notebook's file at most."""
CELL_S = 600

_ABSOLUTE = re.compile(r"(?<![\w.:/<*~-])/(?!/)[\w.-]+/[\w.-]+|\b[A-Z]:\\|/(?:home|root|Users)\b")
_WARNING = re.compile(r"\b\w*Warning\b:")
_NO_TEXT = ("image/png", "image/jpeg")


def prepare(folder: Path, demo: Path) -> Path:
    """Link to the demo library in a folder, and index it into a catalog beside the link.

    Parameters
    ----------
    demo : Path
        Folder with `library` and `upload.mp3`, as `scripts/demo` makes it.

    Returns
    -------
    Path
        The value for `SOUNDALIKE_DEMO`.
    """
    from indexer.indexing.pipeline import index_paths
    from indexer.library import Library

    link = folder / "demo"
    link.symlink_to(demo.resolve(), target_is_directory=True)
    with closing(Library.open_for_writing(folder / "catalog.db", create=True)) as library:
        index_paths(library, [link / "library"])
    return link


def run(path: Path, demo: Path) -> NotebookNode:
    """Run a notebook from its first cell to its last; its file stays as it is.

    Parameters
    ----------
    demo : Path
        What `prepare` returned.

    Raises
    ------
    CellExecutionError
        A cell failed; the error shows it.
    """
    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    client = NotebookClient(
        notebook,
        # Sockets that are files: no port is opened.
        config=Config(KernelManager={"transport": "ipc", "ip": str(demo.parent / "kernel")}),
        timeout=CELL_S,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    # IPython's history belongs to the person whose machine this is.
    own = {"SOUNDALIKE_DEMO": str(demo), "IPYTHONDIR": str(demo.parent / "ipython")}
    asyncio.run(client.async_execute(env={**os.environ, **own}))
    notebook.metadata = nbformat.from_dict(metadata)
    return notebook


def faults(notebook: NotebookNode) -> list[str]:
    """Reasons not to publish a notebook, a sentence each."""
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = []
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        found.append("its cells were not all run, once each, from the first to the last")
    for number, cell in enumerate(cells, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {number} failed: {output.ename}: {output.evalue}")
            if output.get("name") == "stderr":
                found.append(f"cell {number} wrote to stderr: {output.text.strip()}")
        for text in _texts(cell):
            if match := _ABSOLUTE.search(text):
                found.append(f"cell {number} names an absolute path: {match.group()}")
            if match := _WARNING.search(text):
                found.append(f"cell {number} shows a warning: {match.group()}")
    size = len(nbformat.writes(notebook).encode())
    if size > LARGEST:
        found.append(f"it has {size:,} bytes, and {LARGEST:,} are allowed: draw smaller pictures")
    return found


def _texts(cell: NotebookNode) -> Iterator[str]:
    yield cell.source
    for output in cell.outputs:
        yield output.get("text", "")
        for kind, content in output.get("data", {}).items():
            if kind not in _NO_TEXT:
                # Tags of HTML end with a slash that begins no path.
                yield re.sub(r"<[^>]*>", " ", str(content))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, or 1 if a notebook has a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python scripts/run_notebooks.py notebooks/1-sound-as-a-signal.ipynb",
    )
    parser.add_argument(
        "notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="which (default: all)"
    )
    parser.add_argument(
        "--demo",
        type=Path,
        default=DEMO,
        help="folder with library/ and upload.mp3 (default: demo, which scripts/demo makes)",
    )
    options = parser.parse_args(arguments)
    for needed in (options.demo / "library", options.demo / "upload.mp3"):
        if not needed.exists():
            parser.error(f"{needed} is not there: run scripts/demo")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        demo = prepare(Path(folder), options.demo)
        for path in options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
            started = time.monotonic()
            try:
                notebook = run(path, demo)
                wrong = faults(notebook)
            except CellExecutionError as error:
                wrong = [str(error)]
            if wrong:
                failed = True
                print(f"{path.name} was left as it is:", *wrong, sep="\n  ", file=sys.stderr)
                continue
            nbformat.write(notebook, path)
            size, seconds = path.stat().st_size, time.monotonic() - started
            print(f"{path.name}: {size / 1e6:.2f} MB in {seconds:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
