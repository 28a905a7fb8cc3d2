"""The page in a real browser: what people do with it, by mouse and by keyboard."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.drawn.scenes import draw_scene
from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.layouts.recognise import open_dataset
from headstart.inference.class_maps import resized
from headstart.inference.masks import predict
from headstart.inference.segmenter import brought, probability_map
from headstart.serve.app import Served
from headstart.serve.samples import Samples
from tests.serve.conftest import address, running, served  # noqa: F401 - fixtures

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: sync_api.Browser, address: str) -> Iterator[sync_api.Page]:  # noqa: F811
    """The page, opened; whatever it complains of, or asks elsewhere, fails the test."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        opened = context.new_page()
        opened.set_default_timeout(15_000)
        trouble: list[str] = []
        opened.on("console", lambda m: trouble.append(m.text) if m.type != "log" else None)
        opened.on("pageerror", lambda e: trouble.append(str(e)))
        opened.on(
            "request",
            lambda r: None if r.url.startswith((address, "blob:")) else trouble.append(r.url),
        )
        opened.goto(address)
        opened.wait_for_selector("#drop")
        yield opened
        assert trouble == []


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image, _ = draw_scene(np.random.default_rng(5), 96, 120)
    (tmp_path / "in").mkdir()
    Image.fromarray(image).save(tmp_path / "in/scene.png")
    return tmp_path / "in/scene.png"


def upload(page: sync_api.Page, path: Path) -> None:
    page.set_input_files("#file", path)
    page.wait_for_selector("#view:not([hidden])")
    page.wait_for_selector("#stage:not([aria-busy])")


def until(page: sync_api.Page, script: str) -> None:
    """Waits for something to be true; the page's policy forbids playwright's own way to."""
    end = time.monotonic() + 15
    while not page.evaluate(script):
        assert time.monotonic() < end, script
        page.wait_for_timeout(20)


def pixels(page: sync_api.Page) -> np.ndarray:
    """What the canvas shows, at the size of a thumbnail."""
    values = page.evaluate("""() => {
      const small = document.createElement("canvas");
      [small.width, small.height] = [160, 128];
      const ink = small.getContext("2d", { willReadFrequently: true });
      ink.drawImage(document.getElementById("canvas"), 0, 0, 160, 128);
      return [...new Uint32Array(ink.getImageData(0, 0, 160, 128).data.buffer)];
    }""")
    return np.array(values)


def largest(page: sync_api.Page) -> int:
    """The row of the foreground class that covers most of what is shown."""
    shares = page.locator("#classes tr td:nth-child(2)").all_inner_texts()
    values = [float(re.sub("[^0-9]", "", share)) for share in shares]
    return 1 + int(np.argmax(values[1:]))


def test_a_picture_is_shown_switched_and_slid(page: sync_api.Page, picture: Path) -> None:
    upload(page, picture)
    first = pixels(page)
    k = largest(page)
    page.locator("#classes input").nth(k - 1).uncheck()
    without = pixels(page)
    assert (first != without).any()
    page.locator("#classes input").nth(k - 1).check()
    assert np.array_equal(pixels(page), first)
    page.locator("#opacity").fill("0")
    clear = pixels(page)
    page.locator("#opacity").fill("100")
    opaque = pixels(page)
    assert (clear != first).any() and (opaque != first).any()
    assert page.locator("#opacity-value").inner_text() == "100 %"


def test_downloads_are_what_predict_writes(
    page: sync_api.Page,
    picture: Path,
    served: Served,  # noqa: F811
    tmp_path: Path,
) -> None:
    upload(page, picture)
    predict(served.segmenter, find_pictures(picture).frames, picture.parent, tmp_path / "out")
    with page.expect_download() as mask:
        page.click("#save-mask")
    assert mask.value.suggested_filename == "scene-mask.png"
    assert Path(mask.value.path()).read_bytes() == (tmp_path / "out/masks/scene.png").read_bytes()
    with page.expect_download() as overlay:
        page.click("#save-overlay")
    with Image.open(mask.value.path()) as grey, Image.open(overlay.value.path()) as shown:
        assert shown.size == grey.size == (120, 96)
        with Image.open(picture) as image:
            differs = (np.asarray(shown.convert("RGB")) != np.asarray(image)).any(2)
        assert np.array_equal(differs, differs & (np.asarray(grey) > 0))
        assert differs.any()


def test_the_crosshair_reads_the_networks_probabilities(
    page: sync_api.Page,
    picture: Path,
    served: Served,  # noqa: F811
) -> None:
    upload(page, picture)
    with Image.open(picture) as image:
        given = brought(served.segmenter, np.asarray(image))
        size = (image.height, image.width)
    probs = resized(probability_map(served.segmenter, given, size), (96, 120))
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    for x, y in ((3, 90), (60, 48), (117, 2)):
        page.mouse.move(
            box["x"] + (x + 0.5) * box["width"] / 120, box["y"] + (y + 0.5) * box["height"] / 96
        )
        assert f"at {x}, {y}:" in page.locator("#place").inner_text()
        told = page.locator("#classes .chance b").all_inner_texts()
        for text, p in zip(told, probs[:, y, x], strict=True):
            assert abs(float(re.sub("[^0-9]", "", text)) - 100 * p) <= 1.01, (told, probs[:, y, x])


def test_a_frame_is_shown_beside_its_truth(page: sync_api.Page) -> None:
    page.click("#strip button:nth-child(2)")
    page.wait_for_selector("#what:not([hidden])")
    assert "Dice of this frame" in page.locator("#dice").inner_text()
    assert page.get_attribute("#strip button:nth-child(2)", "aria-pressed") == "true"
    found = pixels(page)
    seen = [found]
    for what in ("Truth", "Both"):
        page.get_by_label(what, exact=True).check(force=True)
        seen.append(pixels(page))
    assert (seen[0] != seen[1]).any() and (seen[1] != seen[2]).any()


def test_the_second_tab_has_the_scores(
    page: sync_api.Page,
    trained: Path,
    served: Served,  # noqa: F811
) -> None:
    page.get_by_role("tab", name="What it is worth").click()
    panel = page.get_by_role("tabpanel", name="What it is worth")
    assert panel.is_visible() and page.locator("#panel-try").is_hidden()
    words = panel.inner_text()
    for said in ("Verdict", "dice_\u200bassignment", "Drawn Tissue", "Not a medical device"):
        assert said in words
    assert served.segmenter.digest in words
    until(page, "[...document.querySelectorAll('figure img')].every(i => i.naturalWidth > 100)")
    assert page.locator("figure img").count() == 2


def test_what_is_refused_is_said(page: sync_api.Page, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(picture.read_bytes() + b"\0" * 20_000_000)
    page.set_input_files("#file", tmp_path / "large.png")
    error = page.get_by_role("alert")
    page.wait_for_selector("#error strong")
    assert "at most 20 MB" in error.filter(has_text="MB").inner_text()
    upload(page, picture)
    assert page.locator("#error").inner_text() == ""


def test_names_are_text(page: sync_api.Page, picture: Path) -> None:
    evil = picture.with_name("<img src=x onerror=alert(1)>.png")
    picture.rename(evil)
    upload(page, evil)
    assert "<img src=x" in page.locator("#caption").inner_text()
    assert page.locator("#caption img").count() == 0


def test_by_keyboard_alone(page: sync_api.Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "tab-try"
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-worth"
    assert page.locator("#panel-worth").is_visible()
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#strip') !== null")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#view:not([hidden])")
    page.keyboard.press("Shift+Tab")
    while page.evaluate("document.activeElement.id") != "canvas":
        page.keyboard.press("Shift+Tab")
    before = page.locator("#place").inner_text()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.locator("#place").inner_text() != before
    until(page, "/^[0-9]+, [0-9]+: .*%/.test(document.getElementById('announcement').innerText)")
    page.keyboard.press("Tab")
    shown = pixels(page)
    while page.evaluate("document.activeElement.type") != "checkbox":
        page.keyboard.press("Tab")
    for _ in range(4):  # every class
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
    assert (pixels(page) != shown).any()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_or_fades_on_phones_and_desktops(
    browser: sync_api.Browser,
    address: str,  # noqa: F811
    tmp_path: Path,
    width: int,
) -> None:
    with browser.new_context(viewport={"width": width, "height": 844}) as context:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#drop")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.click("#strip button")
        page.wait_for_selector("#view:not([hidden])")
        for tab in ("try", "worth"):
            page.click(f"#tab-{tab}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.screenshot(path=tmp_path / f"{tab}-{width}.png", full_page=True)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                for rgb, ground, text in page.evaluate(_CONTRASTS):
                    assert _contrast(rgb, ground) >= 4.5, (scheme, text, rgb, ground)


# Text and ground of every element that has text of its own and is seen.
_CONTRASTS = """() => [...document.querySelectorAll('body *')].filter((e) =>
    e.checkVisibility() && e.getBoundingClientRect().width > 2 && e.tagName !== 'CANVAS' &&
    [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
  const numbers = (c) => c.match(/[0-9.]+/g).map(Number);
  let ground = e;
  const clear = (g) => { const n = numbers(getComputedStyle(g).backgroundColor);
    return n.length === 4 && n[3] === 0; };
  while (clear(ground) && ground.parentElement) ground = ground.parentElement;
  const colours = [getComputedStyle(e).color, getComputedStyle(ground).backgroundColor];
  return [...colours.map((c) => numbers(c).slice(0, 3)), e.textContent.trim().slice(0, 40)];
})"""


def _contrast(a: list[float], b: list[float]) -> float:
    """As WCAG 2.2 has it.

    See https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
    """

    def luminance(rgb: list[float]) -> float:
        c = np.array(rgb) / 255
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_token_comes_with_the_address_or_by_hand(
    browser: sync_api.Browser,
    served: Served,  # noqa: F811
) -> None:
    token = "sixteen-letters-and-more"
    with running(served, token) as url, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{url}/#token={token}")
        page.wait_for_selector("#drop:visible")
        assert token not in page.url
        page.reload()
        page.wait_for_selector("#drop:visible")
        until(page, "document.querySelector('#strip img').naturalWidth > 0")
        stranger = context.new_page()
        stranger.goto(url)
        stranger.fill("#token", "guessed-guessed-guessed")
        stranger.click("#gate button")
        stranger.wait_for_selector("#gate-error:not(:empty)")
        stranger.fill("#token", token)
        stranger.keyboard.press("Enter")
        stranger.wait_for_selector("#drop:visible")


def test_ignored_pixels_of_the_truth_are_grey_and_named(
    browser: sync_api.Browser,
    served: Served,  # noqa: F811
    drawn: Path,
    tmp_path: Path,
) -> None:
    """Nothing counts in the left half of the frame."""
    root = shutil.copytree(drawn, tmp_path / "data")
    dataset = open_dataset(root)
    region = np.full((32, 40), 255, np.uint8)
    region[:, :20] = 0
    Image.fromarray(region).save(root / "region.png")
    frames = tuple(replace(f, valid=root / "region.png") for f in dataset.splits["test"])
    samples = Samples("test", frames, root, "", dataset.label_map)
    with (
        running(replace(served, samples=samples)) as url,
        browser.new_context(viewport={"width": 1280, "height": 900}) as context,
    ):
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto(url)
        page.locator("#strip button").first.click()
        page.wait_for_selector("#what:not([hidden])")
        page.get_by_label("Truth", exact=True).check(force=True)
        page.locator("#opacity").fill("100")
        grey = pixels(page).reshape(128, 160) == 0xFF969696
        assert grey[:, :78].all() and not grey[:, 82:].any()
        assert "ignored" in page.locator("#dice").inner_text()
