"""The command line of one demo: ``python -m demos.NAME [--full] [--seeds N] [--seed N] [--out DIR] [--jobs N]``."""

from __future__ import annotations

import argparse
import signal
import sys
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..datasets import DatasetError
from . import results
from .demo import Demo
from .measure import stepping
from .measure.part import Settings
from .options import INTERRUPTED, whole
from .output import OutputError, prepare, write_whole
from .results import ResultsError
from .run import load, processors, run
from .show import plots
from .show.blocks import Attachment, Block, Drawing, Plot
from .show.terminal import as_text


def main(name: str, argv: Sequence[str] | None = None) -> int:
    """Run one demo: print what it found, write its results and pictures to ``DIR/NAME``.

    Returns:
        0; 2 when the data or the output folder cannot be used; 130 after Ctrl-C.
    """
    return guarded(name, lambda: run_one(load(name), argv))


def guarded(name: str, work: Callable[[], int]) -> int:
    """Do the work; expected failures become a message and an exit code, and being terminated leaves no process behind."""
    before = signal.signal(signal.SIGTERM, leave)
    try:
        return work()
    except KeyboardInterrupt:
        print("\nInterrupted. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED
    except (DatasetError, OutputError, ResultsError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    finally:
        signal.signal(signal.SIGTERM, before)


def leave(number: int, frame: object) -> None:
    """What SIGTERM does: an exception, on whose way out the other processes are ended."""
    sys.exit(128 + number)


def run_one(demo: Demo, argv: Sequence[str] | None) -> int:
    """The command of one demo."""
    parser = argparse.ArgumentParser(
        prog=f"python -m demos.{demo.name}", description=f"{demo.title}. {demo.claim}", allow_abbrev=False
    )
    add_options(parser, demo.fewest, f"{demo.seeds[0]}, with --full {demo.seeds[1]}")
    for flag, what in demo.flags.items():
        parser.add_argument(f"--{flag}", action="store_true", help=what)
    if demo.own:
        group = parser.add_argument_group(
            "a setting of your own", "Each of these measures one setting of your own instead of those of the demo."
        )
        for option in demo.own.options:
            group.add_argument(f"--{option.name}", type=option.convert, metavar=option.metavar, help=option.help)
    options = parser.parse_args(argv)
    settings = settings_of(options, demo)
    if complaint := demo.own.complaint(settings.own) if demo.own and settings.own else "":
        parser.error(complaint)
    if settings.own and settings.flags:
        parser.error(f"--{min(settings.flags)} measures more of the demo's settings; leave it out with one of your own")
    folder = prepare(options.out)
    print(f"{demo.title}\n{'=' * len(demo.title)}\n{results.command(demo, settings)}\n", flush=True)
    parts = run([(demo, settings)], folder, options.jobs)[demo.name]
    content = results.document([(demo, settings, parts)])
    blocks = results.shown(content)
    shown = blocks[demo.name]
    print(f"\n{as_text(shown)}")
    own = prepare(folder / place(demo, settings))
    results.write(own / "results.json", results.judged(content, blocks))
    print(f"\nwrote {own / 'results.json'}: everything that was measured")
    for path, caption in write_pictures(shown, own):
        print(f"wrote {path}: {caption}")
    if settings.own:
        print(f"a report on it: python -m demos --again {own / 'results.json'} --out {own}")
    if not plots.available() and any(isinstance(block, Plot) for block in shown):
        print(plots.MISSING)
    return 0


def add_options(parser: argparse.ArgumentParser, fewest: int, seeds: str) -> None:
    """The options that all demos have."""
    parser.add_argument("--full", action="store_true", help="the sizes of the papers; takes long")
    parser.add_argument(
        "--seeds", type=enough(fewest), metavar="N", help=f"paired runs for each interval (default: {seeds})"
    )
    parser.add_argument(
        "--seed", type=whole(0), default=0, metavar="N", help="the first seed; another gives other runs (default: 0)"
    )
    parser.add_argument(
        "--backend", type=backend, metavar="NAME",
        help="how training steps are made: c (compiled to C), numpy (compiled, with the bits of eager steps) or eager "
        "(default: c where there is a C compiler, numpy elsewhere)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="default: out")
    parser.add_argument(
        "--jobs", type=whole(1), default=processors(), metavar="N",
        help="parts measured at once (default: as many as there are processors)",
    )  # fmt: skip


def enough(fewest: int) -> Callable[[str], int]:
    """For ``add_argument(type=...)``: a number of seeds that has an interval."""

    def convert(text: str) -> int:
        count = whole(1)(text)
        if count < fewest:
            raise argparse.ArgumentTypeError(f"{count} is too few for an interval; give at least {fewest}")
        return count

    return convert


def backend(text: str) -> str:
    """For ``add_argument(type=...)``: a way to make training steps that there is on this machine."""
    if text not in stepping.BACKENDS:
        raise argparse.ArgumentTypeError(f"{' or '.join(stepping.BACKENDS)}, not {text!r}")
    if text == "c" and stepping.usual() != "c":
        raise argparse.ArgumentTypeError("there is no C compiler here; install gcc or clang, or say numpy")
    return text


def place(demo: Demo, settings: Settings) -> Path:
    """Where in the output folder a run goes: what somebody chose stands apart from the demo's own results."""
    chosen = results.chosen(demo, settings)
    if not chosen:
        return Path(demo.name)
    words = "-".join([demo.name, *(f"{name}-{value}" for name, value in chosen.items())])
    return Path("own") / (words if len(words) <= 100 else f"{words[:90]}-{zlib.crc32(words.encode()):08x}")


def settings_of(options: argparse.Namespace, demo: Demo) -> Settings:
    """What the options ask of a demo."""
    given = {option.name: getattr(options, option.name, None) for option in (demo.own.options if demo.own else ())}
    own = {}
    if demo.own and any(value is not None for value in given.values()):
        own = {o.name: o.default if given[o.name] is None else given[o.name] for o in demo.own.options}
    seeds = options.seeds or demo.seeds[options.full]
    flags = frozenset(flag for flag in demo.flags if getattr(options, flag.replace("-", "_"), False))
    return Settings(seeds, options.seed, options.full, flags, options.backend or stepping.usual(), own)


def write_pictures(blocks: Sequence[Block], folder: Path) -> list[tuple[Path, str]]:
    """Write plots (where matplotlib is installed, in all formats), drawings and attachments; returns files and captions.

    Raises:
        OutputError: one cannot be written.
    """
    written = []
    for block in blocks:
        write: Callable[[Path], object]
        if isinstance(block, Plot):
            written += [(path, block.caption) for path in write_plot(block, folder)[:1]]
            continue
        if isinstance(block, Drawing):
            write = partial(Path.write_bytes, data=block.svg.encode())
        elif isinstance(block, Attachment):
            write = block.write
        else:
            continue
        written.append((write_whole(folder / block.file, write), block.caption))
    return written


def write_plot(plot: Plot, folder: Path) -> list[Path]:
    """Write a plot in all formats, the SVG first; nothing where matplotlib is not installed.

    Raises:
        OutputError: one cannot be written.
    """
    if not plots.available():
        return []
    return [
        write_whole(folder / f"{plot.name}.{kind}", partial(Path.write_bytes, data=content))
        for kind, content in plots.render(plot).items()
    ]
