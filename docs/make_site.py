"""Makes the site from the pages, the docstrings and the notebooks, without a network: ``make site`` writes out/site."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE / "site"), str(ROOT)]

import check  # noqa: E402
import live  # noqa: E402
import reference  # noqa: E402

# What is laid before Sphinx, at the place where it stands in the repository, so that links between pages stay as they are.
PAGES = ("*.md", "docs/**/*.md", "docs/**/*.ipynb", "docs/**/*.svg", "docs/**/*.png", "demos/**/README.md")


def lay(source: Path) -> None:
    """Copy the pages, and write those that exist for the site alone."""
    for pattern in PAGES:
        for file in sorted(ROOT.glob(pattern)):
            target = source / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    reference.write_all(source)
    live.write_all(source, source / "extra")


def make(target: Path) -> int:
    """Build the site; an old one is replaced when the new one is whole and no link in it is dead.

    Returns:
        0, or what went wrong as an exit status.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".site-", dir=target.parent) as folder:
        source, built = Path(folder, "source"), Path(folder, "site")
        lay(source)
        settings = ["-W", "--keep-going", "--quiet", "-c", str(HERE / "site"), "-d", str(Path(folder, "read"))]
        code = build_main([*settings, "-D", f"html_extra_path={source / 'extra'}", str(source), str(built)])
        dead = [] if code else check.Site(built).dead()
        if dead:
            print(*dead, sep="\n", file=sys.stderr)
            print(f"{len(dead)} links of the site lead nowhere", file=sys.stderr)
            code = 1
        if code == 0:
            shutil.rmtree(target, ignore_errors=True)
            built.rename(target)
    return code


if __name__ == "__main__":
    site = ROOT / "out" / "site"
    status = make(site)
    if status == 0:
        print(f"wrote {site}: open index.html in a browser")
    sys.exit(status)
