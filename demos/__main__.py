"""All demos and the report on them: ``python -m demos [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .lab import results
from .lab.command import add_options, guarded, settings_of, write_pictures, write_plot
from .lab.output import prepare, write_whole
from .lab.run import load, run
from .lab.show import overview, plots
from .lab.show.blocks import Verdict
from .lab.show.page import page
from .lab.show.terminal import verdict_text
from .playground import page as playground

NAMES = (
    "worked_example",
    "bn_activity",
    "activation_drift",
    "credit_risk",
    "loss_landscape",
    "shallow_vs_deep",
    "sync_bn",
    "build_your_own",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0; 2 when the data, the output folder or a file of results cannot be used; 130 after Ctrl-C.
    """
    return guarded("demos", lambda: run_all(argv))


def run_all(argv: Sequence[str] | None) -> int:
    """Measure everything, or read it again, then write the results and the report."""
    parser = argparse.ArgumentParser(
        prog="python -m demos", allow_abbrev=False,
        description="Run all demos and write DIR/results.json, DIR/playground.html and the report DIR/report.html.",
    )  # fmt: skip
    add_options(parser, 2, "each demo's own")
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, metavar="NAME", help=f"some of the demos: {', '.join(NAMES)}"
    )
    parser.add_argument(
        "--again", type=Path, metavar="FILE", help="measure nothing: write the report anew from a results.json"
    )
    options = parser.parse_args(argv)
    folder = prepare(options.out)
    if options.again:
        content = results.read(options.again)
        print(f"Writing the report on {options.again}; nothing is measured.", flush=True)
    else:
        demos = [load(name) for name in dict.fromkeys(options.only or NAMES)]
        for demo in demos:
            if options.seeds is not None and options.seeds < demo.fewest:
                parser.error(f"--seeds: {options.seeds} is too few for {demo.name}; give at least {demo.fewest}")
        chosen = [(demo, settings_of(options, demo)) for demo in demos]
        finished = run(chosen, folder, options.jobs)
        content = results.document([(demo, settings, finished[demo.name]) for demo, settings in chosen])
    write_report(folder, content)
    if options.only and not options.again:
        print("It shows only the demos named; the same command without --only adds the others, reusing finished parts.")
    return 0


def write_report(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the results, the pictures and the page, and say what came out."""
    blocks = results.shown(content)
    written = results.write(folder / "results.json", results.judged(content, blocks))
    for entry in content["demos"]:
        write_pictures(blocks[entry["name"]], prepare(folder / entry["name"]))
        print(f"\n{entry['title']}\n{'-' * len(entry['title'])}")
        for block in blocks[entry["name"]]:
            if isinstance(block, Verdict):
                print(f"{verdict_text(block)}\n")
    write_plot(overview.plot(overview.rows(blocks)), folder)
    if not plots.available():
        print(plots.MISSING)
    print(f"wrote {written}: everything that was measured", flush=True)
    html = page(content, blocks, folder)
    print(f"wrote {playground.write(folder / 'playground.html')}: two networks to train in the browser", flush=True)
    path = write_whole(folder / "report.html", lambda file: file.write_text(html, encoding="utf-8"))
    print(f"wrote {path}: the report; open it in a browser")


if __name__ == "__main__":
    sys.exit(main())
