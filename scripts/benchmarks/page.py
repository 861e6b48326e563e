"""What the first view of the page costs: requests, bytes, and time until tracks are seen."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.catalogs import make_catalog
from benchmarks.served import CHROMIUM, served
from benchmarks.table import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import BrowserContext

    from benchmarks.setting import Setting

_SEE_ROWS = """
  new MutationObserver((_, observer) => {
    if (!document.querySelector("[role=row]")) return;
    window.rowsAt = performance.now();
    observer.disconnect();
  }).observe(document, { childList: true, subtree: true });
"""
_SIZES = """() => performance.getEntries()
  .filter((one) => "transferSize" in one)
  .map((one) => [one.transferSize, one.decodedBodySize])"""


class Visit(NamedTuple):
    """One visit of the start page."""

    requests: int
    sent: int
    unpacked: int
    rows_ms: float


def measure(setting: Setting) -> tuple[Table, ...]:
    """Requests, bytes and milliseconds of the start page, for newcomers and those who come back."""
    from playwright.sync_api import sync_playwright

    count = setting.sizes.served_tracks
    folder = setting.folder / "page"
    folder.mkdir()
    catalog = folder / "catalog.db"
    make_catalog(catalog, count, seed=setting.seed)
    first, again = [], []
    with served(catalog) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for _ in range(setting.sizes.start_runs + 1):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            first.append(_visit(context, url))
            again.append(_visit(context, url))
            context.close()
        browser.close()
    return (
        Table(
            title=f"The first view of the page, {count:,} tracks, desktop, loopback",
            columns=("", "requests", "bytes sent", "bytes unpacked", "ms until tracks"),
            rows=(_row("first visit", first[1:]), _row("again", again[1:])),
            notes=f"Medians, runs: {setting.sizes.start_runs}, after one that is not counted. "
            "Sent: with headers; what the browser had kept\ncounts as 0.",
        ),
    )


def _visit(context: BrowserContext, url: str) -> Visit:
    page = context.new_page()
    page.add_init_script(_SEE_ROWS)
    page.goto(url)
    page.wait_for_selector("[role=row]")
    page.wait_for_timeout(1000)  # covers
    sizes: list[tuple[int, int]] = page.evaluate(_SIZES)
    rows_ms: float = page.evaluate("window.rowsAt")
    page.close()
    return Visit(
        len(sizes), sum(sent for sent, _ in sizes), sum(whole for _, whole in sizes), rows_ms
    )


def _row(name: str, visits: Sequence[Visit]) -> tuple[Cell, ...]:
    columns = (median(column) for column in zip(*visits, strict=True))
    return name, *(round(value) for value in columns)
