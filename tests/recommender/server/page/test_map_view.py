"""The map in a real browser, over a map whose coordinates the test has chosen."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from recommender.collection.kept_map import Groups, KeptMap, map_path, write_map
from recommender.collection.layout import Components, Layout
from recommender.engine import Recommender
from recommender.server.api.library_map import COLOURS
from tests.catalogs import DIM, Planted, plant
from tests.recommender.server.conftest import NEEDS_CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route

    from tests.recommender.server.conftest import Start

WIDTH, HEIGHT = 600, 400
COLUMNS, ROWS = 6, 4
MARGIN = 1.08

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

COUNT_DRAWS = """
  window.draws = window.frames_ = 0;
  const context = WebGL2RenderingContext.prototype;
  for (const name of Object.getOwnPropertyNames(context).filter((one) => one.startsWith("draw"))) {
    const real = Object.getOwnPropertyDescriptor(context, name).value;
    if (!real) continue;
    context[name] = function (...given) { window.draws++; return real.apply(this, given); };
  }
  const ask = window.requestAnimationFrame;
  window.requestAnimationFrame = (run) => ask((time) => { window.frames_++; run(time); });
"""
OPEN = """async () => {
  const app = document.querySelector("script[type=module]").src;
  const { openMap } = await import(new URL("map_view.js", app));
  const { Api } = await import(new URL("api.js", app));
  const box = document.createElement("div");
  box.id = "tested";
  Object.assign(box.style, { position: "fixed", left: 0, top: 0, width: "600px", height: "400px" });
  Object.assign(box.style, { zIndex: 99, background: "white" });
  document.body.append(box);
  window.played = [];
  window.hovered = [];
  const api = new Api({ onUnauthorised() {} });
  const onPlay = (id) => played.push(id);
  window.view = await openMap(box, { api, onPlay, onHover: (...about) => hovered.push(about) });
}"""


def coordinates() -> np.ndarray:
    """Tracks 1 to 24 from left to right and from the top down."""
    x, y = np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(0.6, -0.6, ROWS))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def position(track: int) -> tuple[float, float]:
    """Where a track is seen at first, in pixels from the left and the top."""
    x, y = coordinates()[track - 1].tolist()
    unit = min(WIDTH / (2 * MARGIN), HEIGHT / (2 * MARGIN * 0.6))
    return WIDTH / 2 + x * unit, HEIGHT / 2 - y * unit


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, server: Start) -> Iterator[str]:
    count = COLUMNS * ROWS
    genres = ("Folk", "Jazz", "Rock")
    tracks = [Planted(f"Song {n}", genre=genres[n % 3]) for n in range(1, count + 1)]
    catalog = plant(tmp_path_factory.mktemp("seen"), ("loud",), tracks)
    with Recommender.open(catalog) as recommender:
        stamp = recommender.stamp
    components = Components(np.zeros(DIM, np.float32), np.eye(2, DIM, dtype=np.float32))
    layout = Layout(coordinates(), coordinates())
    ids = np.arange(1, count + 1)
    groups = Groups("genre", genres, (ids % 3).astype(np.uint8), np.empty((0, DIM), np.float32))
    kept = KeptMap(stamp, count, components, layout, ids, coordinates(), groups)
    write_map(map_path(catalog), kept)
    with server(catalog) as running:
        yield running.url


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """A page that shows the map, in its left upper corner."""
    opened = browser.new_page(viewport={"width": 1000, "height": 700})
    opened.add_init_script(COUNT_DRAWS)
    opened.goto(url)
    opened.evaluate(OPEN)
    yield opened
    opened.close()


def settle(page: Page) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")


def pixel(page: Page, track: int) -> np.ndarray:
    """The colour at a track's centre."""
    settle(page)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    left, top = position(track)
    return np.array(picture.getpixel((round(left), round(top))), dtype=float)


def test_a_click_plays_the_track_under_it(page: Page) -> None:
    for track in (1, 9, 24):
        page.mouse.click(*position(track))
    page.mouse.click(position(9)[0] + 40, position(9)[1] + 40)
    assert page.evaluate("played") == [1, 9, 24]


def test_dragging_moves_the_map_and_plays_nothing(page: Page) -> None:
    left, top = position(9)
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + 50, top + 30, steps=5)
    page.mouse.up()
    assert page.evaluate("played") == []
    # The first pixels of a drag could have been a click.
    page.mouse.click(left + 45, top + 27)
    assert page.evaluate("played") == [9]


def test_the_wheel_zooms_where_the_pointer_is(page: Page) -> None:
    page.mouse.move(*position(16))
    page.mouse.wheel(0, -800)
    settle(page)
    page.mouse.click(*position(16))
    page.mouse.click(*position(17))
    assert page.evaluate("played") == [16]


def test_hovering_names_the_track(page: Page) -> None:
    page.mouse.move(*position(8))
    expect(page.locator("#tested .map-tip")).to_have_text("Band - Song 8")
    assert page.evaluate("hovered") == [[8, "Band - Song 8"]]
    page.mouse.move(position(8)[0] + 45, position(8)[1] + 45)
    expect(page.locator("#tested .map-tip")).to_be_hidden()


def test_all_of_it_by_keyboard(page: Page) -> None:
    surface = page.get_by_role("application", name="Map of 24 tracks")
    surface.focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowUp")
    expect(page.locator("#tested [role=status]")).to_have_text("At the centre: Band - Song 1")
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    assert page.evaluate("played") == [1]
    expect(page.locator("#tested [role=status]")).to_have_text("Plays: Band - Song 1")
    page.keyboard.press("Home")
    page.mouse.click(*position(24))
    assert page.evaluate("played") == [1, 24]


def test_what_plays_is_said_last(page: Page) -> None:
    said = page.locator("#tested [role=status]")
    asked: list[Route] = []

    def keep(route: Route) -> None:
        asked.append(route)

    page.route("**/api/v1/tracks/*", keep)
    page.clock.install()
    page.get_by_role("application").press("ArrowLeft")
    page.clock.run_for(1000)
    page.keyboard.press("Enter")
    while len(asked) < 2:
        page.wait_for_timeout(25)
    # The name of what was at the centre comes after it plays, be it late...
    asked[1].continue_()
    expect(said).to_contain_text("Plays: ")
    with page.expect_response("**/api/v1/tracks/*"):
        asked[0].continue_()
    page.clock.run_for(1000)
    expect(said).to_contain_text("Plays: ")
    # ... or because Enter was quicker than the wait for more keys.
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    page.clock.run_for(1000)
    expect(said).to_contain_text("Plays: ")


def test_what_is_searched_lights_up(page: Page) -> None:
    own = np.array([int(COLOURS[5 % 3][at : at + 2], 16) for at in (1, 3, 5)])
    assert np.abs(pixel(page, 5) - own).max() < 40
    page.evaluate("view.highlight([23, 99])")
    assert np.abs(pixel(page, 23) - own).max() < 40
    assert pixel(page, 5).min() > 190
    page.evaluate("view.highlight([])")
    assert np.abs(pixel(page, 5) - own).max() < 40


def test_lines_lead_from_what_plays_to_its_neighbours(page: Page) -> None:
    # The list behind the map may still be loading.
    seen = page.locator("#tested")
    before = seen.screenshot()
    page.evaluate("view.setPlaying(1, [2, 7])")
    settle(page)
    assert seen.screenshot() != before
    page.evaluate("view.setPlaying(null, [])")
    settle(page)
    assert seen.screenshot() == before


def test_one_draw_call_a_frame_and_none_while_nothing_changes(page: Page) -> None:
    # The first sizes of the map may still ask for a frame.
    for _ in range(20):
        page.evaluate("draws = frames_ = 0")
        page.wait_for_timeout(400)
        if page.evaluate("[draws, frames_]") == [0, 0]:
            break
    assert page.evaluate("[draws, frames_]") == [0, 0]
    page.mouse.move(300, 200)
    for _ in range(10):
        page.mouse.wheel(0, -60)
        page.evaluate("() => new Promise((done) => setTimeout(done, 40))")
    page.evaluate("view.setPlaying(1, [2, 7])")
    page.evaluate("view.highlight([4])")
    for _ in range(100):
        if page.evaluate("frames_") >= 5:
            break
        page.wait_for_timeout(100)
    page.wait_for_timeout(300)
    draws, frames = page.evaluate("[draws, frames_]")
    assert 5 <= draws == frames


def test_a_lost_context_is_restored(page: Page) -> None:
    page.evaluate(
        """() => {
          const canvas = document.querySelector("#tested canvas");
          window.lost = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
          lost.loseContext();
        }"""
    )
    page.wait_for_timeout(200)
    page.evaluate("lost.restoreContext()")
    own = np.array([int(COLOURS[5 % 3][at : at + 2], 16) for at in (1, 3, 5)])
    for _ in range(50):
        page.wait_for_timeout(200)
        if np.abs(pixel(page, 5) - own).max() < 40:
            return
    raise AssertionError(pixel(page, 5))


def test_without_webgl2_a_sentence_says_so(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind === 'webgl2' ? null : real.call(this, kind, ...rest); };"
    )
    page.goto(url)
    page.evaluate(OPEN)
    expect(page.locator("#tested")).to_contain_text("needs WebGL2")
    page.evaluate("view.highlight([1]); view.setPlaying(1, []); view.destroy()")
    expect(page.locator("#tested")).to_be_empty()
    page.close()
