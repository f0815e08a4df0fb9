"""What a battery of checks found: one line per check, and the whole story of those that failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ArgumentError, TinygradError, explain

PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


class Outcome(NamedTuple):
    """What a check returns; to fail, it raises."""

    verdict: str
    detail: str
    message: str = ""


def passed(detail: str) -> Outcome:
    """It is as it should be."""
    return Outcome("passed", detail)


def warning(detail: str, message: str) -> Outcome:
    """It may be meant so."""
    return Outcome("warning", detail, message)


def note(detail: str) -> Outcome:
    """Information, neither good nor bad; or why the check does not apply."""
    return Outcome("note", detail)


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes:
        name: what was checked.
        verdict: "passed", "warning" (it may be meant so), "failed", or "note" (information only).
        detail: one line.
        message: for a failure or a warning: what, where, got, expected, how to fix it.
    """

    name: str
    verdict: str
    detail: str
    message: str = ""


class CheckError(TinygradError, AssertionError):
    """A layer or a primitive failed its checks; ``report`` has all of them."""

    report: Report


@dataclass(frozen=True)
class Report:
    """All checks of one subject; ``str(report)`` is the table, with the messages of failures and warnings below it."""

    subject: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; warnings and notes do not count."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == "failed")

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The checks that found something which may be meant so."""
        return tuple(check for check in self.checks if check.verdict == "warning")

    def __getitem__(self, name: str) -> Check:
        """The check of this name.

        Raises:
            KeyError: there is none.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def __bool__(self) -> bool:
        return self.ok

    def table(self) -> str:
        """One line per check, and one that counts them."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines = [f"  {check.verdict:<8} {check.name:<{width}}  {check.detail}".rstrip() for check in self.checks]
        counts = [
            (verdict, sum(c.verdict == verdict for c in self.checks)) for verdict in ("passed", "warning", "failed")
        ]
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts if count or verdict == "passed")
        return "\n".join([self.subject, *lines, said])

    def failure_details(self, checks: Iterable[Check]) -> str:
        """The full messages of some checks; a message that several checks share appears once."""
        said: dict[str, list[str]] = {}
        for check in checks:
            said.setdefault(check.message, []).append(check.name)
        return "\n".join(f"{', '.join(names)}: {message}" for message, names in said.items())

    def __str__(self) -> str:
        details = self.failure_details([*self.failures, *self.warnings])
        return f"{self.table()}\n{details}" if details else self.table()


def skipped(names: Iterable[str], known: Iterable[str], what: str) -> frozenset[str]:
    """The checks to leave out.

    Raises:
        ArgumentError: there is no check with that name.
    """
    chosen, valid = frozenset([names] if isinstance(names, str) else names), tuple(known)
    if unknown := sorted(chosen.difference(valid)):
        raise ArgumentError(explain(f"{what}: skip= names no check", got=", ".join(unknown), expected=", ".join(valid)))
    return chosen


def run(name: str, check: Callable[[], Outcome], skip: Container[str] = ()) -> Check:
    """Run one check; whatever it raises is its failure."""
    if name in skip:
        return Check(name, "note", "left out, as asked")
    try:
        outcome = check()
    except Exception as error:
        text = str(error)
        cause: BaseException = error
        if isinstance(error, CheckError):
            cause = error.__cause__ or error  # its own words; but where, only what the user's code raised knows
        elif not isinstance(error, TinygradError):
            text = f"{type(error).__name__}: {text}"
        site = line_of(cause)
        text = f"{text}\n  {'where:':<10}{site}" if site else text
        return Check(name, "failed", text.split("\n", 1)[0], text)
    return Check(name, *outcome)


def line_of(error: BaseException) -> str:
    """``file:line`` of the innermost code outside this package that the error came through; "" if there is none."""
    found, step = "", error.__traceback__
    while step is not None:
        filename = step.tb_frame.f_code.co_filename
        if not filename.startswith(PACKAGE):
            found = f"{filename}:{step.tb_lineno}"
        step = step.tb_next
    return found


def print_and_raise(report: Report, quiet: bool, raise_exception: bool) -> Report:
    """Print the table, raise or return.

    Raises:
        CheckError: something failed and ``raise_exception`` is set.
    """
    raising = raise_exception and not report.ok
    if not quiet:
        print(report.table() if raising else report)
    if raising:
        error = CheckError(
            f"{report.subject}: {len(report.failures)} failed\n{report.failure_details(report.failures)}"
        )
        error.report = report
        raise error
    return report
