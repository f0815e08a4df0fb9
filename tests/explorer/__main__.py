"""By the clock, and in large numbers: what the tests of the explorer do not wait for.

python -m tests.explorer pages               # sizes, time to the first reply, frames of a drag
python -m tests.explorer programs 2000       # random programs in the browser against Python, and every primitive's cases
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tests.conftest import NAMES, QUIET
from tests.explorer.interpreting import every_operation, gaps, in_browser, random_jobs
from tinygrad_bn import functional, nn
from tinygrad_bn.explorer import explore
from tinygrad_bn.explorer.examples import EXAMPLES

# At "load" a key is pressed; the reply is there when the frame after the next one begins.
REPLY = """addEventListener("load", () => {
  const loaded = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  requestAnimationFrame(() => requestAnimationFrame(() => { window.reply = [loaded, performance.now() - loaded]; }));
});"""

# The pointer, which is down already, moves once in each frame for two seconds.
DRAG = """([x, y]) => new Promise((done) => {
  const held = document.elementFromPoint(x, y);
  const began = performance.now();
  const frames = [began];
  const move = (now) => {
    frames.push(performance.now());
    const clientX = x + 40 * Math.sin(frames.length / 9);
    const event = { clientX, clientY: y, pointerId: 1, bubbles: true, cancelable: true };
    held.dispatchEvent(new PointerEvent("pointermove", event));
    if (now - began < 2000) requestAnimationFrame(move);
    else done(frames.slice(1).map((at, i) => at - frames[i]));
  };
  requestAnimationFrame(move);
})"""


def browser(playwright: Any) -> Any:
    program = next(filter(None, map(shutil.which, NAMES)))
    return playwright.chromium.launch(executable_path=program, args=list(QUIET))


def worked(session: Any) -> float:
    """Seconds of the processor that the page's thread has taken."""
    return next(m["value"] for m in session.send("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration")


def deep() -> Any:
    """Twelve equal parts of a network: 159 operations."""
    tg.manual_seed(0)
    layers = [m for _ in range(12) for m in (nn.Linear(4, 4, dtype=float), nn.BatchNorm1d(4, dtype=float), nn.ReLU())]
    net = nn.Sequential(*layers)
    rows = np.random.default_rng(0).standard_normal((5, 4))
    return explore(functional.mse_loss(net(rows), np.zeros((5, 4))), module=net)


def pages() -> None:
    from playwright.sync_api import sync_playwright

    made = {"batch_norm": EXAMPLES["batch_norm"], "network": EXAMPLES["network"], "twelve layers": deep}
    print(
        f"{'page':14} {'kB':>5} {'loaded':>9} {'first reply':>12} {'frames/s':>9} {'median':>8} {'slowest of 20':>14} "
        f"{'processor':>12}"
    )
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = browser(playwright)
        for name, make in made.items():
            file = make().save(Path(folder) / f"{name.replace(' ', '_')}.html")
            times = []
            for _ in range(5):
                page = chromium.new_page(viewport={"width": 1280, "height": 800})
                page.add_init_script(REPLY)
                page.goto(file.as_uri())
                page.wait_for_function("() => window.reply")
                times.append(page.evaluate("window.reply"))
                if len(times) < 5:
                    page.close()
            loaded, reply = (statistics.median(column) for column in zip(*times))
            page.keyboard.press("End")  # where gradients, checks and all are shown
            handle = page.locator("#line .handle, #inputs input").first.bounding_box()
            at = [handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2]
            page.mouse.move(*at)
            page.mouse.down()
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            before = worked(session)
            frames = sorted(page.evaluate(DRAG, at))
            each = 1000 * (worked(session) - before) / len(frames)
            page.mouse.up()
            rate, late = len(frames) / sum(frames) * 1000, frames[int(0.95 * len(frames))]
            size = file.stat().st_size / 1000
            print(
                f"{name:14} {size:5.0f} {loaded:6.0f} ms {reply:9.0f} ms {rate:9.0f} "
                f"{statistics.median(frames):5.1f} ms {late:11.1f} ms {each:12.1f} ms"
            )
            page.close()
        chromium.close()


def programs(count: int, seed: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = browser(playwright)
        with in_browser(chromium) as run:
            for dtype in (np.float64, np.float32):
                jobs = every_operation(dtype)[0]
                worst = max(gaps(run, jobs), key=lambda found: found[1])
                print(f"{len(jobs)} cases of every primitive in {dtype.__name__}: {_said(worst, dtype)}")
            done, worst = 0, ("", 0.0)
            while done < count:
                jobs = random_jobs(100, seed + done)
                worst = max(worst, *gaps(run, jobs), key=lambda found: found[1])
                done += len(jobs)
            print(f"{done} random programs with their gradients: {_said(worst, np.float64)}")
        chromium.close()


def _said(worst: tuple[str, float], dtype: Any) -> str:
    units = worst[1]
    return f"largest difference {units:.3g} units in the last place, {units * np.finfo(dtype).eps:.1g} of the value"


if __name__ == "__main__":
    if sys.argv[1:2] == ["programs"]:
        programs(int(sys.argv[2]) if len(sys.argv) > 2 else 2000, int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    elif sys.argv[1:] in ([], ["pages"]):
        pages()
    else:
        sys.exit(__doc__)
