"""Makes ``docs/images/serve-*.png`` from a run, in a real Chromium.

    python docs/make_screenshots.py RUN [--data DIR] [--frame K]

The screenshots in the repository show a run on computer-drawn scenes
(``headstart.data.drawn.dataset``), so no patient's pictures. Files above 300 kB get 256 colours.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from headstart.plots.overlay import COLOURS

IMAGES = Path(__file__).parent / "images"
ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
MOST = 300_000  # bytes of each


def palette(picture: Image.Image) -> Image.Image:
    """The page's own flat colours as they are, and others for what is photographed in it."""
    counted = sorted(picture.getcolors(picture.width * picture.height) or [], reverse=True)
    flat = [(255, 255, 255), *COLOURS, *(colour for _, colour in counted[:48])]
    others = picture.quantize(256 - len(flat)).getpalette("RGB") or []
    chosen = Image.new("P", (1, 1))
    chosen.putpalette([value for colour in flat for value in colour] + others)
    return chosen


def shoot(page: Page, name: str, whole: bool = False) -> None:
    """One picture of the page."""
    path = IMAGES / f"serve-{name}.png"
    with Image.open(io.BytesIO(page.screenshot(full_page=whole))) as shot:
        picture = shot.convert("RGB")
    picture.save(path, optimize=True)
    if path.stat().st_size > MOST:
        picture.quantize(palette=palette(picture), dither=Image.Dither.NONE).save(
            path, optimize=True
        )
    size = path.stat().st_size
    print(path, size)
    if size > MOST:
        raise SystemExit(f"{path} has {size:,} bytes, expected at most {MOST:,}")


def main() -> None:
    """Serves the run and photographs both tabs at both widths."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--frame", type=int, default=0, help="which test frame is shown")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    args = parser.parse_args()
    command = [sys.executable, "-m", "headstart", "serve", str(args.run), "--port", "0"]
    command += ["--data", str(args.data)] if args.data else []
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(command, stderr=said) as server:
        try:
            url = None
            while url is None and server.poll() is None:
                time.sleep(0.2)
                said.seek(0)
                url = re.search(r"at (http://\S+)", said.read())
            if url is None:
                said.seek(0)
                raise SystemExit(said.read())
            photograph(url[1], args.chromium, args.frame)
        finally:
            server.terminate()


def photograph(url: str, chromium: str, frame: int) -> None:
    """Both tabs at both widths."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(url)
            page.click(f"#strip button:nth-child({frame + 1})")
            page.wait_for_selector("#view:not([hidden])")
            page.wait_for_selector("#stage:not([aria-busy])")
            page.mouse.move(0, 0)
            page.wait_for_timeout(1000)  # thumbnails
            shoot(page, f"try-{name}", whole=name == "phone")
            page.click("#tab-worth")
            page.wait_for_timeout(1000)
            shoot(page, f"worth-{name}")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
