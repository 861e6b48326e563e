"""The page in a real browser, before a real server, over real sound."""

from __future__ import annotations

import fcntl
import re
import shutil
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from indexer.catalog.storing import Stored
from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from tests import sounds
from tests.recommender.server.conftest import NEEDS_CHROMIUM, RUN_MS, WAIT_MS, start_server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from axe_playwright_python.sync_playwright import Axe  # noqa: E402 - after the check
from playwright.sync_api import Browser, Locator, Page, Route, expect  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.analysis.pools import AnalysisPool

MARKUP = "<img src=x onerror=\"document.title='bad'\"><b>bold</b>"
LONG = "Long " * 400
TURNED = "\u202egnos sdrawkcab\u202c"
VIEWS = (
    "",
    "#/?q=song",
    "#/similar?like=1&dislike=2&more=calm",
    "#/track/1",
    "#/path?start=1&end=7",
)
VIEWS += ("#/path", "#/map", "#/queue", "#/upload", "#/indexing", "#/?q=calm&by=sound")
PHONE = {"width": 360, "height": 740}
BUDGET_BYTES = 100_000

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]


@pytest.fixture(scope="module")
def catalog_of_site(
    tmp_path_factory: pytest.TempPathFactory, original_catalog: Path, pool: AnalysisPool
) -> Path:
    """A catalog of the twelve songs and some odd ones."""
    folder = tmp_path_factory.mktemp("page")
    for file in original_catalog.parent.iterdir():
        shutil.copy2(file, folder / file.name)
    odd = folder / "odd"
    write_odd_songs(odd)
    catalog = folder / original_catalog.name
    with closing(Library.open_for_writing(catalog)) as library:
        summary = index_paths(library, [odd], pool=pool)
    assert summary.stored[Stored.NEW] == 4
    return catalog


@pytest.fixture(scope="module")
def site(catalog_of_site: Path) -> Iterator[str]:
    """The address of a server of it."""
    odd, uploads = catalog_of_site.with_name("odd"), catalog_of_site.with_name("uploads")
    uploads.mkdir()
    options = ("--folder", str(odd), "--uploads", str(uploads))
    with start_server(catalog_of_site, *options) as running:
        yield running.url


def write_odd_songs(folder: Path) -> None:
    """Songs with hard names, a near-duplicate of "Song 3", and a file that is no sound."""
    folder.mkdir()
    tags = {"artist": "Odd & Co", "genre": "Folk", "date": "1994", "album": "Odds"}
    music = sounds.music(6, seed=50)
    sounds.write_audio(folder / "markup.mp3", music, tags={**tags, "title": MARKUP})
    music = sounds.music(7, seed=51)
    sounds.write_audio(folder / "long.flac", music, tags={**tags, "title": LONG})
    music = sounds.music(8, seed=52)
    sounds.write_audio(
        folder / "turned.flac", music, tags={**tags, "title": TURNED, "date": "1968"}
    )
    music = sounds.music(4 + 1.1 * 3, seed=3)
    sounds.write_audio(
        folder / "again.ogg", music, tags={"title": "Song 3 again", "artist": "Band 0"}
    )
    sounds.random_bytes(folder / "noise.mp3", size=5000)


@contextmanager
def opened(browser: Browser, site: str, view: str = "", **options: Any) -> Iterator[Page]:
    """A page of its own, which has thrown no error when it is closed."""
    options.setdefault("viewport", {"width": 1280, "height": 800})
    context = browser.new_context(base_url=site, reduced_motion="reduce", **options)
    context.set_default_timeout(WAIT_MS)
    # No song ends while something else is looked at.
    context.add_init_script(
        "addEventListener('play', ({ target }) => { target.loop = true; }, true)"
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: "Content Security" in line.text and errors.append(line.text))
    page.goto(site + view)
    try:
        yield page
        assert errors == []
    finally:
        context.close()


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    with opened(browser, site) as found:
        yield found


def rows(page: Page) -> Locator:
    return page.get_by_role("row")


def titles(page: Page) -> list[str]:
    return page.locator("[role=row] a.title").all_inner_texts()


def row_of(page: Page, title: str) -> Locator:
    return rows(page).filter(has=page.get_by_role("link", name=title, exact=True))


def player(page: Page) -> Locator:
    return page.get_by_role("region", name="Player")


def position(page: Page) -> float:
    return float(page.evaluate("document.querySelector('audio').currentTime"))


def wait_until(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript; the policy forbids `wait_for_function` its eval."""
    for _ in range(WAIT_MS // 25):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"not within {WAIT_MS / 1000} s: {condition}")


def remember(page: Page, selector: str) -> None:
    """Keep in `window.shown` whatever elements of a kind say from now on, be it for a moment."""
    page.evaluate(
        """(selector) => {
          window.shown = [];
          const look = () => shown.push(
            ...[...document.querySelectorAll(selector)].map((one) => one.textContent));
          new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
        }""",
        selector,
    )


def wait_until_playing(page: Page) -> None:
    wait_until(page, "document.querySelector('audio').currentTime > 0.05")


def play(page: Page, title: str) -> None:
    row_of(page, title).get_by_role("button", name=re.compile("^Play ")).click()
    wait_until_playing(page)


def go_to(page: Page, view: str) -> None:
    page.evaluate("(hash) => { location.hash = hash }", view)


def test_search_as_one_types(page: Page) -> None:
    expect(rows(page).first).to_be_visible()
    page.get_by_role("searchbox").press_sequentially("song 1", delay=30)
    expect(row_of(page, "Song 10")).to_be_visible()
    expect(row_of(page, "Song 2")).to_have_count(0)
    assert "q=song+1" in page.url
    page.get_by_role("searchbox").fill("nothing is called so")
    expect(page.get_by_role("heading", name="No track found")).to_be_visible()
    page.get_by_role("searchbox").fill("BÀND")
    expect(rows(page)).to_have_count(13)


def test_an_answer_that_comes_late_is_dropped(page: Page) -> None:
    expect(rows(page).first).to_be_visible()
    waiting: list[Route] = []

    def keep(route: Route) -> None:
        waiting.append(route)

    page.route(re.compile(r"tracks\?q=song\+5"), keep)
    page.get_by_role("searchbox").fill("song 5")
    for _ in range(WAIT_MS // 25):
        if waiting:
            break
        page.wait_for_timeout(25)
    page.get_by_role("searchbox").fill("song 7")
    expect(rows(page)).to_have_count(1)
    expect(row_of(page, "Song 7")).to_be_visible()
    assert len(waiting) == 1
    waiting[0].abort()
    page.wait_for_timeout(200)
    assert titles(page) == ["Song 7"]
    expect(page.get_by_role("alert")).to_have_count(0)


def test_one_player_plays_on_through_every_view(page: Page) -> None:
    play(page, "Song 11")
    expect(player(page)).to_contain_text("Song 11")
    expect(page).to_have_title(re.compile("Song 11"))
    source = page.evaluate("document.querySelector('audio').src")
    for view in VIEWS:
        go_to(page, view or "#/")
        page.wait_for_timeout(60)
    assert page.locator("audio").count() == 1
    assert page.evaluate("document.querySelector('audio').src") == source
    wait_until(page, "document.querySelector('audio').currentTime > 0.3")
    media = page.evaluate(
        "const { metadata, playbackState } = navigator.mediaSession;"
        "[metadata.title, metadata.artist, metadata.artwork.length, playbackState]"
    )
    assert media == ["Song 11", "Band 2", 1, "playing"]
    player(page).get_by_role("button", name="Pause").click()
    at = position(page)
    player(page).get_by_role("slider", name="Position").fill("500")
    assert position(page) != at
    page.reload()
    expect(player(page)).to_contain_text("Song 11")
    expect(player(page).get_by_role("button", name="Play", exact=True)).to_be_enabled()


def test_the_next_track_follows_and_is_fetched_ahead(page: Page) -> None:
    with page.expect_request(re.compile(r"tracks/2/audio")):
        play(page, "Song 0")
    page.evaluate("document.querySelector('audio').loop = false")
    player(page).get_by_role("slider", name="Position").fill("990")
    expect(player(page)).to_contain_text("Song 1")
    wait_until_playing(page)


def test_more_and_less_like_a_row_steer_at_once(page: Page) -> None:
    row_of(page, "Song 4").get_by_role("button", name=re.compile("^More like")).click()
    seeds = page.get_by_role("list", name="Seeds")
    expect(seeds).to_contain_text("Song 4")
    expect(page.get_by_role("grid", name="Similar tracks")).to_be_visible()
    before = titles(page)
    assert "Song 4" not in before
    rows(page).first.get_by_role("button", name=re.compile("^Less like")).click()
    expect(seeds.get_by_role("listitem")).to_have_count(2)
    expect(page.locator("[role=row] a.title").first).not_to_have_text(before[0])
    assert re.search(r"similar\?like=\d+&dislike=\d+", page.url)
    page.get_by_label("More or less of a word").fill("calmer")
    page.get_by_role("button", name="Steer", exact=True).click()
    expect(seeds).to_contain_text("more calmer")
    expect(page.locator(".reason.word").first).to_be_visible()
    page.get_by_role("button", name="Remove more calmer").click()
    expect(seeds.get_by_role("listitem")).to_have_count(2)
    page.go_back()
    expect(seeds).to_contain_text("more calmer")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(seeds).to_be_hidden()


def test_rows_can_be_queued_and_ten_similar_added(page: Page) -> None:
    play(page, "Song 11")
    for title, entry in (("Song 3", "Play next"), ("Song 6", "Add to queue")):
        row_of(page, title).get_by_role("button", name=re.compile("^More actions")).click()
        page.get_by_role("menuitem", name=entry).click()
    page.get_by_role("link", name="Queue").click()
    expect(page.get_by_role("heading", name="Next")).to_be_visible()
    queued = page.locator(".queued a.title")
    expect(queued.nth(0)).to_have_text("Song 11")
    expect(queued.nth(1)).to_have_text("Song 3")
    count = queued.count()
    page.get_by_role("button", name="Add 10 similar").click()
    expect(queued).not_to_have_count(count)
    assert queued.count() > count
    page.get_by_role("button", name="Remove Band 0 - Song 3", exact=True).first.click()
    expect(queued.nth(1)).not_to_have_text("Song 3")


def test_a_station_goes_on_from_what_plays_without_restarting_it(page: Page) -> None:
    play(page, "Song 10")
    page.evaluate(
        "window.starts = 0;"
        "document.querySelector('audio').addEventListener("
        "'loadstart', () => { window.starts += 1; })"
    )
    page.wait_for_timeout(300)
    at = position(page)
    player(page).get_by_role("button", name="Station").click()
    page.get_by_role("link", name="Queue").click()
    queued = page.locator(".queued a.title")
    expect(queued).to_have_count(4)
    wait_until(page, f"document.querySelector('audio').currentTime > {at}")
    assert page.evaluate("window.starts") == 0
    first = queued.all_inner_texts()
    assert first[0] == "Song 10"
    assert len(set(first)) == 4
    # The last word counts where there was no time to send the one before.
    page.evaluate(
        """() => ["More", "Less"].forEach((word) =>
            document.querySelector(`.player [aria-label="${word} like what plays"]`).click())"""
    )
    expect(queued).to_have_count(4)
    player(page).get_by_role("button", name="Next").click()
    expect(player(page)).not_to_contain_text("Song 10")
    expect(page.locator(".queued").filter(has_text="Station from").locator("li")).to_have_count(3)
    page.get_by_role("button", name="End the station").click()
    expect(page.get_by_role("button", name="Endless station")).to_be_visible()


def drop(page: Page, path: Path) -> None:
    """Let go of a file over the page."""
    page.evaluate(
        """([name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name));
          for (const type of ["dragenter", "dragover", "drop"]) {
            dispatchEvent(new DragEvent(type, { dataTransfer: data, cancelable: true }));
          }
        }""",
        [path.name, list(path.read_bytes())],
    )


def test_a_dropped_file_is_asked_about_and_added(page: Page, tmp_path: Path) -> None:
    expect(rows(page).first).to_be_visible()
    file = sounds.write_audio(
        tmp_path / "new.mp3", sounds.music(6, seed=77), tags={"title": "Fresh", "artist": "Nobody"}
    )
    remember(page, "main [role=status]")
    drop(page, file)
    expect(page.get_by_role("heading", name="Nobody - Fresh")).to_be_visible(timeout=RUN_MS)
    assert "Analysing…" in page.evaluate("shown")
    expect(rows(page).first).to_be_visible()
    page.get_by_role("button", name="Add to the library").click()
    expect(page.get_by_text("Added to the library")).to_be_visible(timeout=RUN_MS)
    page.get_by_role("searchbox").fill("fresh")
    expect(row_of(page, "Fresh")).to_be_visible()


def test_a_file_that_waits_is_followed_until_it_is_added(
    page: Page, catalog_of_site: Path, tmp_path: Path
) -> None:
    lock = catalog_of_site.with_name(f"{catalog_of_site.name}.lock")
    tags = {"title": "Patient", "artist": "Nobody"}
    file = sounds.write_audio(tmp_path / "waits.mp3", sounds.music(5, seed=78), tags=tags)
    # Nothing can be indexed as long as another one writes, which the run before may still do.
    with lock.open("a") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        drop(page, file)
        page.get_by_role("button", name="Add to the library").click(timeout=RUN_MS)
        expect(page.get_by_text("it appears when it is indexed")).to_be_visible(timeout=RUN_MS)
    expect(page.get_by_text("Added to the library")).to_be_visible(timeout=RUN_MS)


def test_a_file_that_is_no_sound_is_answered_with_one_sentence(page: Page, tmp_path: Path) -> None:
    expect(rows(page).first).to_be_visible()
    drop(page, sounds.text_file(tmp_path / "notes.mp3"))
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_rows_say_why_and_short_lists_say_why(browser: Browser, site: str) -> None:
    with opened(browser, site, "#/similar?like=1&n=50") as page:
        expect(rows(page).first).to_be_visible()
        assert page.locator(".reason").count() > 0
        expect(page.locator(".note")).to_contain_text("of the 50 asked for")
        expect(rows(page).first.locator(".score")).to_have_text(re.compile(r"^\d+%$"))


def test_versions_of_one_song_are_folded(browser: Browser, site: str) -> None:
    with opened(browser, site, "#/similar?like=1&n=50") as page:
        opener = page.get_by_role("button", name="1 other version").first
        opener.click()
        expect(page.get_by_role("link", name=re.compile("Song 3")).nth(1)).to_be_visible()
        expect(opener).to_have_attribute("aria-expanded", "true")


def test_filters_show_what_would_remain(page: Page) -> None:
    page.get_by_role("button", name="Artist", exact=True).click()
    chip = page.get_by_role("button", name="Band 1 4")
    chip.click()
    expect(rows(page)).to_have_count(4)
    expect(page.get_by_role("button", name="Band 1 4")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Decade").click()
    expect(page.get_by_text("No track has a known decade here.")).to_be_visible()
    page.get_by_role("button", name="Remove filter Band 1").click()
    page.get_by_role("button", name="1990s 2").click()
    expect(rows(page)).to_have_count(2)
    assert "year_from=1990&year_to=1999" in page.url


def test_a_path_is_found_between_two_tracks(page: Page) -> None:
    row_of(page, "Song 1").get_by_role("button", name=re.compile("^More actions")).click()
    page.get_by_role("menuitem", name="Path from here").click()
    field = page.get_by_role("combobox", name="To")
    field.fill("song 9")
    expect(page.get_by_role("option", name=re.compile("Song 9"))).to_be_visible()
    field.press("Enter")
    expect(rows(page).first).to_be_visible()
    shown = titles(page)
    assert (shown[0], shown[-1]) == ("Song 1", "Song 9")
    assert len(shown) > 3
    page.get_by_role("button", name="Swap the ends").click()
    expect(page.locator("[role=row] a.title").first).to_have_text("Song 9")


def test_the_map_lights_up_what_is_searched_for(browser: Browser, site: str) -> None:
    with opened(browser, site, "#/map") as page:
        expect(page.locator(".canvas canvas").first).to_be_visible(timeout=RUN_MS)
        page.get_by_role("searchbox").fill("song 7")
        expect(page.get_by_text("1 track lit up")).to_be_visible()
        assert "#/map?q=song+7" in page.url
        page.get_by_role("searchbox").fill("")
        # It has its name once its tracks are there.
        page.get_by_role("application", name=re.compile("^Map of")).press("Enter")
        expect(player(page).get_by_role("button", name="Pause")).to_be_visible()


def test_a_map_shows_what_changes_while_it_opens(page: Page) -> None:
    play(page, "Song 11")
    waiting: list[Route] = []

    def keep(route: Route) -> None:
        waiting.append(route)

    answers = re.compile(r"api/v1/(map|similar)(\?|$)")
    page.route(answers, keep)
    go_to(page, "#/map")
    while not waiting:
        page.wait_for_timeout(25)
    player(page).get_by_role("button", name="Next").click()
    page.get_by_role("searchbox").fill("song 7")
    expect(page.get_by_text("1 track lit up")).to_be_visible()
    page.route(answers, lambda route: route.continue_())
    for route in waiting:
        route.continue_()
    expect(page.get_by_role("application", name=re.compile("^Map of"))).to_be_visible()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    lit = page.locator(".canvas").screenshot()
    page.get_by_role("searchbox").fill("")
    expect(page.get_by_text("Click a track to play it")).to_be_visible()
    assert page.locator(".canvas").screenshot() != lit


def test_the_m3u8_holds_exactly_what_is_shown(browser: Browser, site: str) -> None:
    with opened(browser, site, "#/similar?like=5&n=10") as page:
        expect(rows(page).first).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="M3U8").click()
        text = Path(download.value.path()).read_text(encoding="utf-8")
        names = re.findall(r"#EXTINF:\d+,(?:.* - )?(.*)", text)
        assert names == titles(page)
        assert download.value.suggested_filename.endswith(".m3u8")


def test_the_index_is_followed_live_and_failures_are_listed(browser: Browser, site: str) -> None:
    with opened(browser, site, "#/indexing") as page:
        expect(page.locator(".failures")).to_contain_text("noise.mp3")
        remember(page, ".run button")
        page.get_by_role("button", name="Index all").click()
        # What is said of the run before goes away.
        wait_until(page, "shown.includes('Stop')")
        expect(page.locator(".run")).to_contain_text("Last run done", timeout=RUN_MS)


def test_events_are_not_followed_while_the_tab_is_hidden(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        page.add_init_script(
            "window.open_now = 0; const Source = EventSource;"
            "window.EventSource = class extends Source {"
            " constructor(u) { super(u); window.open_now += 1; }"
            " close() { super.close(); window.open_now -= 1; } }"
        )
        page.reload()
        wait_until(page, "window.open_now === 1")
        page.evaluate(
            "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        assert page.evaluate("window.open_now") == 0


def test_foreign_text_is_shown_as_text(browser: Browser, site: str) -> None:
    with opened(browser, site, "#/?q=odd") as page:
        expect(row_of(page, MARKUP)).to_be_visible()
        assert page.locator("main img[src=x], main b").count() == 0
        for number in range(rows(page).count()):
            box = rows(page).nth(number).bounding_box()
            assert box is not None
            assert box["height"] < 100
        assert page.locator("bdi", has_text="gnos").count() == 1
        page.goto(f"{site}#/?q={'x' * 10_000}")
        expect(page.get_by_role("heading", name="No track found")).to_be_visible()
        assert fits(page)


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_an_error_is_one_sentence_with_a_way_on(page: Page) -> None:
    expect(rows(page).first).to_be_visible()
    page.route("**/api/v1/tracks?**", lambda route: route.abort())
    page.get_by_role("searchbox").fill("song 1")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    page.unroute("**/api/v1/tracks?**")
    page.get_by_role("button", name="Try again").click()
    expect(row_of(page, "Song 1")).to_be_visible()


def test_the_page_works_below_another_path(browser: Browser, site: str) -> None:
    prefix = f"{site}music/"
    context = browser.new_context()
    page = context.new_page()
    page.route(
        f"{prefix}**", lambda route: route.continue_(url=route.request.url.replace(prefix, site))
    )
    outside: list[str] = []
    page.on("request", lambda one: one.url.startswith(prefix) or outside.append(one.url))
    page.goto(prefix)
    expect(rows(page).first).to_be_visible()
    page.get_by_role("link", name="Queue").click()
    expect(page.get_by_role("heading", name="Queue", exact=True)).to_be_visible()
    assert outside == []
    context.close()


@pytest.mark.parametrize(
    ("phone", "dark"), [(False, False), (True, True)], ids=["desktop", "phone"]
)
def test_every_view_can_be_read_by_everyone(
    browser: Browser, site: str, *, phone: bool, dark: bool
) -> None:
    size = {"viewport": PHONE} if phone else {}
    with opened(browser, site, color_scheme="dark" if dark else "light", **size) as page:
        play(page, "Song 11")
        for view in VIEWS:
            go_to(page, view or "#/")
            expect(page.locator("main :is(h1, .headline, canvas)").first).to_be_attached()
            wait_until(page, "!document.querySelector('[aria-busy]')")
            found = Axe().run(page)
            assert found.violations_count == 0, f"{view}: {found.generate_report()}"
            assert fits(page), view


def test_the_theme_is_kept(browser: Browser, site: str) -> None:
    with opened(browser, site, color_scheme="light") as page:
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Light or dark").click()
        ground = "getComputedStyle(document.body).backgroundColor"
        # What switches is loaded with the first click.
        wait_until(page, f"{ground} !== '{light}'")
        dark = page.evaluate(ground)
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_all_by_keyboard(page: Page) -> None:
    expect(rows(page).first).to_be_visible()
    keys = page.keyboard
    keys.press("/")
    keys.type("song 8")
    expect(rows(page)).to_have_count(1)
    keys.press("ArrowDown")
    expect(rows(page).first).to_be_focused()
    keys.press("Enter")
    wait_until_playing(page)
    keys.press("Space")
    expect(player(page).get_by_role("button", name="Play", exact=True)).to_be_visible()
    keys.press("Tab")
    expect(rows(page).first.get_by_role("button").first).to_be_focused()
    keys.press("Escape")
    rows(page).first.focus()
    keys.press("+")
    expect(page.get_by_role("list", name="Seeds")).to_contain_text("Song 8")
    expect(rows(page).nth(1)).to_be_visible()
    keys.press("j")
    keys.press("ArrowDown")
    second = titles(page)[1]
    with page.expect_response(re.compile(r"similar\?.*dislike=")):
        keys.press("-")
    expect(page.get_by_role("list", name="Seeds").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("list", name="Seeds")).to_contain_text(second)
    # Rows that are drawn anew while keys are pressed take the focus with them.
    wait_until(page, "!document.querySelector('main [aria-busy]')")
    keys.press("j")
    for _ in range(5):
        keys.press("ArrowRight")
    keys.press("Enter")
    expect(page.get_by_role("menuitem", name="Play next")).to_be_focused()
    keys.press("End")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Sounds like it")).to_be_visible()
    keys.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    keys.press("Escape")
    for key, name in (("3", "A path between two tracks"), ("4", "Queue"), ("5", "Library")):
        keys.press(key)
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def test_every_view_has_an_address(browser: Browser, site: str) -> None:
    with opened(browser, site, "#/track/3") as page:
        expect(page.get_by_role("heading", name="Song 2", level=1)).to_be_visible()
        expect(page.get_by_role("grid", name="Similar tracks")).to_be_visible()
        page.get_by_text("Picture of the signal").click()
        expect(page.locator(".picture img")).to_be_visible(timeout=RUN_MS)
    with opened(browser, site, "#/?q=song&artist=Band+2") as page:
        expect(rows(page)).to_have_count(4)
        expect(page.get_by_role("searchbox")).to_have_value("song")
    with opened(browser, site, "#/track/999999") as page:
        expect(page.get_by_role("alert").first).to_be_visible()


def test_an_empty_library_says_how_to_fill_it(browser: Browser, tmp_path: Path) -> None:
    Library.open_for_writing(tmp_path / "catalog.db", create=True).close()
    with start_server(tmp_path / "catalog.db") as running, opened(browser, running.url) as page:
        expect(page.get_by_text("soundalike index ~/Music")).to_be_visible()


def test_a_server_with_a_token_asks_for_it(
    browser: Browser, tmp_path: Path, original_catalog: Path
) -> None:
    token_file = tmp_path / "token"
    options = ("--token-file", str(token_file))
    with start_server(original_catalog, *options) as running, opened(browser, running.url) as page:
        field = page.locator("#token")
        field.fill("this is not the token")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("dialog").locator(".note")).to_be_visible()
        field.fill(token_file.read_text().strip())
        page.get_by_role("button", name="Go on").click()
        expect(row_of(page, "Song 1")).to_be_visible()


def test_the_first_view_is_small_and_quick(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        expect(rows(page).first).to_be_visible()
        sizes = page.evaluate(
            "performance.getEntries().filter((one) => 'transferSize' in one)"
            ".map((one) => one.transferSize)"
        )
        assert len(sizes) > 20
        assert sum(sizes) < BUDGET_BYTES
