"""Write the playground: ``python -m demos.playground [--out FILE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..lab.options import whole
from ..lab.output import OutputError, prepare
from .examples import EXAMPLES, MEASURED, measure_all
from .page import write


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 when the file cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m demos.playground", allow_abbrev=False,
        description="Write a page in which two networks, with and without Batch Normalization, are trained side by side.",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("out/playground.html"), metavar="FILE", help="default: out/playground.html"
    )
    parser.add_argument("--measure", action="store_true", help="measure the page's examples anew, in Python, before")
    parser.add_argument("--seeds", type=whole(2), default=20, metavar="N", help="for --measure (default: 20)")
    options = parser.parse_args(argv)
    try:
        prepare(options.out.parent)
        if options.measure:
            print(f"Measuring {len(EXAMPLES)} examples with {options.seeds} seeds each ...", flush=True)
            measure_all(options.seeds)
            print(f"wrote {MEASURED}")
        print(f"wrote {write(options.out)}: the playground; open it in a browser")
    except OutputError as error:
        print(f"playground: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
