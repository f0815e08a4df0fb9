"""The picture of the explorer in the README: its page of Batch Normalization at the end of the backward pass.

``python docs/make_screenshot.py docs/images/explorer.png`` opens the page in Chromium, through Playwright.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tinygrad_bn.cli import main as command
from tinygrad_bn.files import write_whole

SIZE = {"width": 1100, "height": 540}
SHARPNESS = 1.6
STEPS = 9  # backward
COLORS = 48  # enough for a page of flat colors, and a quarter of the file


def screenshot(page: Path) -> bytes:
    """The page at the last step of the backward pass, as a PNG of few colors."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page(viewport=SIZE, device_scale_factor=SHARPNESS)
        tab.goto(page.as_uri())
        tab.click("#turn")
        for _ in range(STEPS):
            tab.keyboard.press("ArrowRight")
        tab.evaluate("document.activeElement.blur()")
        tab.wait_for_timeout(1000)
        image = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
        browser.close()
    small = io.BytesIO()
    image.quantize(COLORS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "bn.html"
        if command(["explore", "bn", "-o", str(page)]) == 0:
            print(f"wrote {write_whole(sys.argv[1], screenshot(page))}")
