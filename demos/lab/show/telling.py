"""Verdicts as sentences that can be read aloud: where a claim holds, where it does not, and where that is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .blocks import Table, Verdict
from .evidence import MOST, Case, Outcome, judge
from .wording import listed

LENGTH = 160  # of the names of cases; longer, they are counted


def verdict(
    name: str,
    claim: str,
    measured: str,
    cases: Sequence[Case],
    *,
    short: str,
    form: str = "{:+.1f}",
    headline: str = "",
    noun: str = "comparison",
    outcome: Outcome | None = None,
    condition: str | None = None,
) -> Verdict:
    """What the cases make of a claim.

    Args:
        name: as in ``Verdict``, and so are the others that are not told here.
        claim: the document's.
        measured: figures, as sentences.
        cases: what was compared, each under its own name and detail.
        short: the claim, for the figure.
        form: of an effect.
        headline: by default the smallest and the largest effect.
        noun: what a case is called.
        outcome: where another rule than ``judge`` decides.
        condition: where other sentences than those of ``told`` say when the claim holds.
    """
    outcome = judge(cases) if outcome is None else outcome
    condition = told(cases, outcome, noun) if condition is None else condition
    return Verdict(
        name,
        claim,
        measured,
        outcome,
        condition,
        tuple(cases),
        short,
        form,
        headline or effects_text(cases, form),
        noun,
    )


def told(cases: Sequence[Case], outcome: Outcome, noun: str = "comparison") -> str:
    """Where a claim holds, where it does not, and where that is open, in sentences; nothing where nothing is to add."""
    found = {answer: [case for case in cases if case.answer == answer] for answer in ("yes", "no", "open")}

    def where(answer: str) -> str:
        some = found[answer]
        named = listed(phrases(some, cases), "and")
        return named if len(named) <= LENGTH else f"in {len(some)} of {len(cases)} {noun}s"

    said = []
    if outcome == "holds":
        return f"It holds in {every(cases, noun)}." if len(cases) > 1 else ""
    if outcome == "holds if":
        said.append(f"It holds {where('yes')}.")
    if found["no"]:
        if len(found["no"]) < len(cases):
            said.append(f"It does not hold {where('no')}." if outcome == "holds if" else f"It fails {where('no')}.")
        elif len(cases) > 1:
            said.append(f"It fails in {every(cases, noun)}.")
    if outcome == "does not hold" and found["yes"]:
        said.append(f"It holds only {where('yes')}.")
    if found["open"]:
        only = len(found["open"]) == len(cases) == 1
        said.append(f"It is not decided{'' if only else ' ' + where('open')}{enough(found['open'])}.")
    return " ".join(said)


def every(cases: Sequence[Case], noun: str) -> str:
    """``both networks``, ``all 3 networks``."""
    return f"{'both' if len(cases) == 2 else f'all {len(cases)}'} {noun}s"


def enough(cases: Sequence[Case]) -> str:
    """With how many seeds open cases could be decided, as it ends a sentence."""
    needed = [case.seeds_needed for case in cases if case.seeds]
    known = sorted(count for count in needed if count is not None)
    if not needed:
        return ""
    if not known and all(case.between for case in cases):
        return ": the difference is too small to count"
    if not known:
        return f": {MOST:,} seeds would not be enough"
    if len(known) == 1:
        return f": {known[0]} seeds could decide {'it' if len(needed) == 1 else 'one of them'}"
    return f": {known[0]} seeds could decide the first of them, {known[-1]} {'all' if len(known) == len(needed) else 'most'}"


def phrases(some: Sequence[Case], every: Sequence[Case]) -> list[str]:
    """The names of cases; with their details only where others of the same name are missing."""
    said = []
    for name in dict.fromkeys(case.name for case in some):
        own = [case for case in some if case.name == name]
        whole = len(own) == sum(case.name == name for case in every)
        details = listed([case.detail for case in own if case.detail], "and")
        said.append(name if whole or not details else f"{name} {details}")
    return said


def effects_text(cases: Sequence[Case], form: str) -> str:
    """The smallest effect and the largest; of a single case also its interval."""
    effects = [case.effect for case in cases if case.effect is not None]
    if not effects:
        return "never"
    if len(cases) == 1:
        return interval_text(cases[0], form.format)
    low, high = form.format(min(effects)), form.format(max(effects))
    if low == high:
        return low
    unit = next((end for end in (" %", " points", "x") if low.endswith(end) and high.endswith(end)), "")
    return f"{low.removesuffix(unit)} to {high}".replace("-", "\N{MINUS SIGN}")


def interval_text(case: Case, form: Callable[[float], str]) -> str:
    """``+1.5 [0.2, 2.8]``; a bound that is not there is three dots."""
    if case.effect is None:
        return "never"
    text = form(case.effect)
    if case.low != case.high or case.low is None:
        bounds = ("…" if value is None else form(value).rstrip(" %pointsx") for value in (case.low, case.high))
        text += f" [{', '.join(bounds)}]"
    return text.replace("-", "\N{MINUS SIGN}")


ANSWERS = {"yes": "supports the claim", "no": "contradicts the claim", "open": "not decided"}


def cases_table(verdict: Verdict) -> Table:
    """Every case that a verdict rests on."""
    rows = []
    for case in verdict.cases:
        needed = case.seeds_needed
        more = "" if needed is None else f": {needed} seeds could decide it"
        if case.answer == "open" and needed is None and case.seeds:
            more = f": {MOST:,} seeds would not be enough"
        text = interval_text(case, verdict.form.format)
        rows.append((f"{case.name} {case.detail}".strip(), text, f"{ANSWERS[case.answer]}{more}"))
    return Table(
        f"{verdict.name}_cases",
        f"{verdict.short}: every {verdict.noun}",
        (verdict.noun, "effect [95 % interval]", "answer"),
        rows,
    )
