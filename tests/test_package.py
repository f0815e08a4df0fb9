"""What is published: one version, dated changes, a check of the files that can fail.  ``make package`` builds it."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import tinygrad_bn
from tests.package import differences, files_of_the_package

ROOT = Path(__file__).parents[1]
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
RELEASE = re.compile(r"(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)")


def test_sections_of_the_changelog_have_a_date_and_the_newest_is_this_version() -> None:
    headings = SECTION.findall((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert headings[0] == "Unreleased"
    releases = [match for heading in headings[1:] if (match := RELEASE.fullmatch(heading))]
    assert len(releases) == len(headings) - 1
    dates = [datetime.date.fromisoformat(release[2]) for release in releases]
    assert dates == sorted(dates, reverse=True)
    assert releases[0][1] == tinygrad_bn.__version__


def test_the_version_stands_in_one_place() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project
    assert 'attr = "tinygrad_bn.__version__"' in project


def test_files_that_are_missing_or_too_much_are_named() -> None:
    assert differences(["a", "b"], ["a", "c"]) == ["missing: c", "does not belong there: b"]
    files = files_of_the_package()
    assert {"tinygrad_bn/py.typed", "tinygrad_bn/explorer/browser/page.js", "tinygrad_bn/__init__.py"} <= files


def test_tools_have_one_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition(";")[0].strip() for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9.-]+==[\w.]+", pin) for pin in pins)
    assert {"numpy", "pytest", "ruff", "mypy", "sphinx", "pip", "setuptools", "torch"} <= {
        pin.partition("==")[0] for pin in pins
    }
