"""What the map of a large library costs: its layout, its bytes, new tracks, a frame in a browser.

The browser draws with software: the time of the page's own code is measured, not frames a second.
"""

from __future__ import annotations

import resource
import time
from contextlib import closing
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import numpy as np

from benchmarks.catalogs import make_catalog
from benchmarks.served import CHROMIUM, served
from benchmarks.table import Cell, Table
from indexer.catalog.status import TrackStatus
from indexer.catalog.writer import set_status
from indexer.library import Library
from recommender.collection.kept_map import map_path, read_map, update_map, write_map
from recommender.engine import Recommender

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.setting import Setting

_NEW = 1_000
_FRAMES = 60
_COUNT = """
  window.times = []; window.draws = 0;
  const real = WebGL2RenderingContext.prototype.drawArrays;
  WebGL2RenderingContext.prototype.drawArrays = function (...given) {
    window.draws++;
    return real.apply(this, given);
  };
  const ask = window.requestAnimationFrame;
  window.requestAnimationFrame = (run) => ask((time) => {
    const began = performance.now();
    run(time);
    window.times.push(performance.now() - began);
  });
"""
_MOVE = """async (count) => {
  const surface = document.querySelector(".map-canvas");
  const box = surface.getBoundingClientRect();
  const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
  window.times.length = 0;
  window.draws = 0;
  for (let turn = 0; turn < count; turn++) {
    const deltaY = turn % 40 < 20 ? -60 : 60;
    const key = ["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"][turn >> 3 & 3];
    const frames = window.times.length;
    surface.dispatchEvent(new WheelEvent("wheel", { ...at, deltaY, cancelable: true }));
    surface.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
    while (window.times.length === frames) await new Promise((done) => setTimeout(done, 5));
  }
  return { times: window.times, draws: window.draws };
}"""


def measure(setting: Setting) -> tuple[Table, ...]:
    """Seconds, bytes and memory of the map of the largest catalog that is asked."""
    count = setting.sizes.catalog_counts[-1]
    folder = setting.folder / "map"
    folder.mkdir()
    catalog = folder / "catalog.db"
    make_catalog(catalog, count, seed=setting.seed)
    _set_last(catalog, TrackStatus.MISSING)
    layout_s, layout_mb = _in_own_process(catalog)
    _set_last(catalog, TrackStatus.PRESENT)
    placing_s, _ = _in_own_process(catalog)
    rows: list[tuple[Cell, ...]] = [
        ("layout of 5,000 landmarks, and all others among them: s", layout_s),
        ("the same: peak MB of its process", layout_mb),
        (f"{_NEW:,} new tracks placed: s", placing_s),
        *_ask(catalog),
    ]
    return (
        Table(
            title=f"Map of {count:,} tracks",
            columns=("", "value"),
            rows=tuple(rows),
            notes="One run; layout and new tracks each in a fresh process, its start not counted.\n"
            f"A frame is the page's own code in it, over {_FRAMES} frames of zooming and panning; "
            "without a GPU frames a second say nothing.",
        ),
    )


def _set_last(catalog: Path, status: TrackStatus) -> None:
    with closing(Library.open_for_writing(catalog)) as library:
        assert library.index is not None  # noqa: S101 - it was just made
        with library.catalog.writing() as connection:
            last = connection.exec_driver_sql("SELECT max(id) FROM tracks").scalar_one()
            set_status(connection, list(range(last - _NEW + 1, last + 1)), status)
        library.refresh()


def _in_own_process(catalog: Path) -> tuple[float, float]:
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_update, args=(sender, catalog))
    process.start()
    sender.close()
    try:
        found: tuple[float, float] = receiver.recv()
    finally:
        process.join()
    return found


def _update(sender: Any, catalog: Path) -> None:
    with Recommender.open(catalog) as recommender:
        kept = read_map(map_path(catalog))
        began = time.perf_counter()
        newer = update_map(recommender, kept)
        seconds = time.perf_counter() - began
    write_map(map_path(catalog), newer)
    sender.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3))


def _ask(catalog: Path) -> list[tuple[Cell, ...]]:
    """What a client gets, and what a browser needs to draw it."""
    from playwright.sync_api import sync_playwright

    with served(catalog) as url:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            with urlopen(f"{url}api/v1/map") as answer:  # noqa: S310 - our own server
                size = len(answer.read())
            times.append(time.perf_counter() - began)
        with sync_playwright() as playwright:
            flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(120_000)
            page.add_init_script(_COUNT)
            page.goto(f"{url}#/map")
            page.wait_for_selector(".map-canvas[aria-label]")
            found = page.evaluate(_MOVE, _FRAMES)
            browser.close()
    median, p99 = np.percentile(found["times"], [50, 99]).tolist()
    return [
        ("GET map: bytes", size),
        ("GET map: ms, median of 5", 1e3 * float(np.median(times))),
        ("a frame: ms of JavaScript, median", median),
        ("a frame: ms of JavaScript, p99", p99),
        ("a frame: draw calls", found["draws"] / len(found["times"])),
    ]
