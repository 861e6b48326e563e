"""The notebooks run from beginning to end, and their stored outputs can be published."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from scripts import run_notebooks

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STYLES = ("Baroque", "Drum and Bass", "Folk")
"""Of the demo library's eight: the upload's own, and those that are quickest to compose."""
PIECES = 5
"""Of each: the fewest that a genre is learned from."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, demo_library: Path) -> Path:
    """A part of the demo library, indexed, in a folder laid out as the repository.

    So nothing that a notebook writes lands in the repository.
    """
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "scripts").symlink_to(ROOT / "scripts")
    return run_notebooks.prepare(folder, _part_of(demo_library, folder / "made"))


def _part_of(demo_library: Path, folder: Path) -> Path:
    """A folder with some styles of the demo library, and its upload."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        from make_demo_library import fill, order_library
    orders = [
        order
        for order in order_library(folder / "library", seed=0, pieces_per_style=PIECES)
        if order.commission.style.name in STYLES
    ]
    folder.mkdir()
    shutil.copy(demo_library / "upload.mp3", folder)
    for order in orders:
        composed = demo_library / order.path.relative_to(folder)
        if composed.exists():
            order.path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(composed, order.path)
        else:
            fill(order)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)  # longer than a cell may take, with what is composed before the first
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_the_demo_library(path: Path, prepared: Path) -> None:
    copies = prepared.parent / "notebooks"
    before = sorted(copies.iterdir())
    ran = run_notebooks.run(copies / path.name, prepared)
    assert run_notebooks.faults(ran) == []
    kept = nbformat.read(path, as_version=4)
    assert [cell.id for cell in ran.cells] == [cell.id for cell in kept.cells]
    kinds, stored = ([_kinds(cell) for cell in one.cells] for one in (ran, kept))
    assert kinds == stored, "it has other kinds of output than the stored copy"
    assert sorted(copies.iterdir()) == before


def _kinds(cell: nbformat.NotebookNode) -> list[str]:
    """Names of streams and kinds of data in the outputs of a cell."""
    return [
        kind
        for output in cell.get("outputs", ())
        for kind in (output.get("name"), *sorted(output.get("data", {})))
        if kind is not None
    ]


def test_there_are_three_notebooks() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["1-", "2-", "3-"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_can_be_published(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert run_notebooks.faults(notebook) == []
    pictures = [kind for cell in notebook.cells for kind in _kinds(cell) if "image" in kind]
    assert len(pictures) >= 3
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(not cell.metadata for cell in notebook.cells)


def test_a_notebook_that_ran_well_has_no_faults() -> None:
    output = new_output(
        "stream", text="library/Band/song.mp3, 3/4 time, C:major, https://a.org/b\n"
    )
    cell = new_code_cell("1 / 2", execution_count=1, outputs=[output])
    assert run_notebooks.faults(new_notebook(cells=[cell])) == []


@pytest.mark.parametrize(
    ("count", "output", "fault"),
    [
        (None, None, "not all run"),
        (2, None, "not all run"),
        (1, new_output("stream", name="stderr", text="oh"), "stderr: oh"),
        (1, new_output("stream", text="in /home/somebody/x"), "names an absolute path.*/home"),
        (
            1,
            new_output("stream", text="at '/srv/music/a.mp3'"),
            "names an absolute path.*/srv/music",
        ),
        (1, new_output("stream", text="C:\\Users\\me"), "names an absolute path"),
        (
            1,
            new_output("display_data", {"text/html": "<td>/mnt/x/y</td>"}),
            "names an absolute path.*/mnt",
        ),
        (1, new_output("stream", text="FutureWarning: soon"), "shows a warning"),
        (1, new_output("error", ename="E", evalue="no"), "cell 1 failed: E: no"),
        (1, new_output("display_data", {"image/png": "A" * 1_500_000}), "smaller pictures"),
    ],
)
def test_faults_are_named(count: int | None, output: nbformat.NotebookNode, fault: str) -> None:
    cell = new_code_cell("x", execution_count=count, outputs=[] if output is None else [output])
    (found,) = run_notebooks.faults(new_notebook(cells=[cell]))
    assert re.search(fault, found)


def test_a_missing_demo_library_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_notebooks.main(["--demo", str(tmp_path)])
    assert stop.value.code == 2
    assert "run scripts/demo" in capsys.readouterr().err
