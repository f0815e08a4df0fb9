"""Fill the figures of the documentation from results of the demos: ``python docs/make_measured.py [RESULTS [OTHER ...]]``.

A page marks where measurements go::

    <!-- measured: bn_activity table steps -->
    (written anew by this program)
    <!-- end measured -->

The first word is the demo; then comes ``table NAME``, ``plot NAME``, ``drawing NAME`` or ``verdict NAME``.  ``all verdicts``
is the table of the verdicts, ``all seeds`` how they came out in runs with other seeds, ``all environment`` what the figures
were measured on, ``all pytorch`` how they compare with those of the same designs in PyTorch,
``all full`` with those at full size, which are kept in ``docs/measured/full.json.gz``.

The results that the pages show are kept in ``docs/measured/results.json``, those of other seeds beside it, compressed. Given
files, these are kept from now on. The verdicts of all of them, by the rules as they are, go to ``docs/measured/verdicts.json``.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from demos.lab import results  # noqa: E402
from demos.lab.show import plots  # noqa: E402
from demos.lab.show.blocks import Block, Drawing, Plot, Table, Verdict  # noqa: E402
from demos.lab.show.evidence import LABELS  # noqa: E402
from tinygrad_bn.files import write_whole  # noqa: E402

RESULTS = DOCS / "measured" / "results.json"
PYTORCH = DOCS / "measured" / "pytorch.json"
VERDICTS = DOCS / "measured" / "verdicts.json"
FULL = DOCS / "measured" / "full.json.gz"
OTHERS = DOCS / "measured" / "seeds-{}.json.gz"
IMAGES = DOCS / "images" / "measured"
MARK = re.compile(
    r"(?P<start><!-- measured: (?P<demo>\w+) (?P<kind>\w+)(?: (?P<name>\w+))? -->\n)(?:.*?)(?P<end><!-- end measured -->)",
    re.DOTALL,
)


class Pages:
    """The pages with marks, and the measurements that belong there."""

    def __init__(self) -> None:
        content = results.read(RESULTS)
        self.blocks = results.shown(content)
        self.content = results.judged(content, self.blocks)
        self.used: set[tuple[str, str]] = set()
        self.folder = ""  # of the pictures, as the page sees it

    def filled(self, path: Path) -> str:
        """A page with all its measurements written anew."""
        text = path.read_text("utf-8")
        self.folder = IMAGES.relative_to(path.parent).as_posix()
        return MARK.sub(self.replaced, text)

    def replaced(self, match: re.Match[str]) -> str:
        """One place with its marks."""
        return f"{match['start']}{self.measured(match['demo'], match['kind'], match['name'])}\n{match['end']}"

    def measured(self, demo: str, kind: str, name: str | None) -> str:
        """What goes to one place."""
        if demo == "all":
            kinds = {
                "verdicts": self.verdicts,
                "seeds": seeds,
                "environment": self.environment,
                "pytorch": self.pytorch,
                "full": self.full,
            }
            return kinds[kind]()
        block = self.find(demo, kind, name)
        if isinstance(block, Table):
            return f"{block.caption}\n\n{table([block.head, *block.rows])}"
        if isinstance(block, Verdict):
            lines = ("The lecture says", block.claim), ("Measured", block.measured), ("Verdict", outcome(block))
            return "\\\n".join(f"> **{word}:** {text}" for word, text in lines)
        assert isinstance(block, (Plot, Drawing))
        self.used.add((demo, block.name))
        caption = block.caption.replace("[", "(").replace("]", ")")
        return f"![{caption}]({self.folder}/{image(demo, block)})\n\n*{block.caption}*"

    def find(self, demo: str, kind: str, name: str | None) -> Block:
        """A block by its kind and name."""
        for block in self.blocks[demo]:
            if type(block).__name__.lower() == kind and getattr(block, "name", None) == name:
                return block
        raise SystemExit(f"no {kind} {name} in the results of {demo}")

    def verdicts(self) -> str:
        """The table of all verdicts."""
        rows = [("The lecture says", "Measured", "Verdict")]
        for blocks in self.blocks.values():
            rows += [(b.claim, b.measured, outcome(b)) for b in blocks if isinstance(b, Verdict)]
        return table(rows)

    def full(self) -> str:
        """What was measured at the sizes of the papers, beside the same at default size."""
        rows = [("Demo", "Claim", "Default size", "Sizes of the papers")]
        for demo, blocks in results.shown(json.loads(gzip.decompress(FULL.read_bytes()))).items():
            usual = {block.name: block for block in self.blocks[demo] if isinstance(block, Verdict)}
            for block in blocks:
                if isinstance(block, Verdict):
                    sides = (f"{each.measured}: {outcome(each)}" for each in (usual[block.name], block))
                    rows.append((demo, block.claim, *sides))
        return table(rows)

    def pytorch(self) -> str:
        """Figures of the same designs in PyTorch, beside those measured here."""
        entries = json.loads(PYTORCH.read_text("utf-8"))
        rows = [(entry["what"], entry["pytorch"], self.cell(*entry["at"]), entry["remark"]) for entry in entries]
        return table([("Quantity", "PyTorch", "here", "what was different"), *rows])

    def cell(self, demo: str, name: str, column: str, *start: str) -> str:
        """What a table says in a column, in the row that starts with these cells; "*" stands for any."""
        found = self.find(demo, "table", name)
        assert isinstance(found, Table)
        above: Sequence[str] = ()
        for row in found.rows:
            above = [cell or old for cell, old in zip_longest(row, above, fillvalue="")]  # an empty cell repeats
            if all(want in ("*", got) for want, got in zip(start, above)):
                return row[list(found.head).index(column)]
        raise SystemExit(f"no row {', '.join(start)} in table {name} of {demo}")

    def environment(self) -> str:
        """What the figures were measured on."""
        where, demos = self.content["environment"], self.content["demos"]
        seconds = sum(part["cpu_seconds"] for entry in demos for part in entry["parts"].values())
        return (
            f"Python {where['python']}, NumPy {where['numpy']}, {where['machine']}, one thread; {seconds:.0f} s of CPU time "
            "in all."
        )

    def draw(self) -> None:
        """Write the pictures that the pages show."""
        shutil.rmtree(IMAGES, ignore_errors=True)
        IMAGES.mkdir(parents=True)
        for demo, blocks in self.blocks.items():
            for block in blocks:
                if isinstance(block, (Plot, Drawing)) and (demo, block.name) in self.used:
                    content = plots.render(block, ("svg",))["svg"] if isinstance(block, Plot) else block.svg.encode()
                    write_whole(IMAGES / image(demo, block), content)


def pages() -> Iterator[Path]:
    """The pages that have marks."""
    return (
        path for path in (*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md") if MARK.search(path.read_text("utf-8"))
    )


def image(demo: str, block: Plot | Drawing) -> str:
    """The name of a picture's file."""
    return f"{demo}-{block.file}"


def outcome(verdict: Verdict) -> str:
    """A verdict in words."""
    return f"**{LABELS[verdict.outcome]}**. {verdict.condition}".strip()


def table(rows: Any) -> str:
    """Rows as Markdown, the first as the head."""
    head, *body = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])


def seeds() -> str:
    """How each verdict came out in each run."""
    runs = json.loads(VERDICTS.read_text("utf-8"))
    rows: list[list[str]] = [["Demo", "Claim", *(f"seeds from {run['seed']}" for run in runs)]]
    rows += [[*key.split("."), *(LABELS[run["outcomes"][key]] for run in runs)] for key in runs[0]["outcomes"]]
    return table(rows)


def keep(files: Sequence[str]) -> None:
    """Keep results, and these alone: the first for the pages, the others, of other seeds, compressed."""
    documents = [results.read(Path(file)) for file in files]
    for old in OTHERS.parent.glob(OTHERS.name.format("*")):
        old.unlink()
    results.write(RESULTS, results.judged(documents[0], results.shown(documents[0])))
    for content in documents[1:]:
        bare = {**content, "demos": [{**entry, "verdicts": []} for entry in content["demos"]]}
        text = json.dumps(bare, ensure_ascii=False, separators=(",", ":")).encode()
        path = OTHERS.with_name(OTHERS.name.format(content["demos"][0]["settings"]["seed"]))
        write_whole(path, gzip.compress(text, mtime=0))


def kept() -> Iterator[Any]:
    """All results that are kept, those of the pages first."""
    yield results.read(RESULTS)
    for path in sorted(OTHERS.parent.glob(OTHERS.name.format("*"))):
        yield json.loads(gzip.decompress(path.read_bytes()))


def outcomes(content: Any) -> dict[str, Any]:
    """The verdicts of a document of results, in short."""
    return {
        "seed": content["demos"][0]["settings"]["seed"],
        "outcomes": {
            f"{entry['name']}.{verdict['name']}": verdict["outcome"]
            for entry in content["demos"]
            for verdict in entry["verdicts"]
        },
    }


def main(files: list[str]) -> None:
    """Keep what was given, then write all pages and pictures."""
    if files:
        keep(files)
    documents = [results.judged(content, results.shown(content)) for content in kept()]
    results.write(RESULTS, documents[0])
    write_whole(VERDICTS, (json.dumps([outcomes(each) for each in documents], indent=1) + "\n").encode())
    writer = Pages()
    for path in pages():
        write_whole(path, writer.filled(path).encode())
    writer.draw()


if __name__ == "__main__":
    main(sys.argv[1:])
