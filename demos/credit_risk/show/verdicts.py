"""The verdicts on speed and on accuracy, and the rules by which claims hold or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...lab.measure.part import Measured
from ...lab.show import wording
from ...lab.show.blocks import Outcome, Verdict, outcome
from ..measure.tables import LENDERS
from .quality import MEASURES, PLACES, averaged
from .speed import SHORT, Race

# Of all cases: with fewer for it, a claim does not hold; so few against it may be chance (one end of a 95 % interval).
SOME, CHANCE = 0.2, 0.025


def faster(cases: Sequence[Race]) -> list[Verdict]:
    """Both readings of "30 % faster", over all networks and all definitions of convergence."""
    return [
        Verdict(
            name,
            f"With Batch Normalization (BN) a credit-risk model converges 30 % faster: in 30 % {what}",
            speed_measured(cases, cpu),
            speed_outcome([race.reading(cpu) for race in cases]),
            speed_condition(cases, cpu),
        )
        for name, what, cpu in (
            ("faster_30_steps", "fewer steps", False),
            ("faster_30_cpu", "less CPU time", True),
        )
    ]


def speed_outcome(readings: Sequence[str]) -> Outcome:
    """Confirmed in few cases, or in at least half and contradicted in hardly any, or in between."""
    confirmed, contradicted = (readings.count(word) / max(len(readings), 1) for word in ("for", "against"))
    if confirmed < SOME:
        return "does not hold"
    return "holds" if confirmed >= 0.5 and contradicted <= CHANCE else "holds if"


def speed_measured(cases: Sequence[Race], cpu: bool) -> str:
    """Counts, and the range of what is saved in cases where both networks get there."""
    readings = [race.reading(cpu) for race in cases]
    what = "CPU time" if cpu else "Steps"
    text = (
        f"{what} saved: at least 30 % beyond chance in {readings.count('for')} of {len(cases)} cases (network and definition "
        f"of converged), less in {readings.count('against')}"
    )
    for lender, place in PLACES.items():
        reached = [(race, race.saved) for race in cases if race.net.lender == lender and race.saved is not None]
        if reached:
            shares = [race.cpu(saved) if cpu else saved for race, saved in reached]
            text += f"; {place}: {100 * min(shares):.0f} to {100 * max(shares):.0f} %"
    ratios = [race.ratio for race in cases]
    step = f"; a step costs {min(ratios):.1f} to {max(ratios):.1f} times as much" if cpu and ratios else ""
    return wording.fitting(wording.MEASURED, text + step, text)


def speed_condition(cases: Sequence[Race], cpu: bool) -> str:
    """By which definitions it is so in most networks; or how many cases there are, if there is none or that is too long."""
    if speed_outcome([race.reading(cpu) for race in cases]) != "holds if":
        return ""
    counted = {name: (found.count("for"), len(found)) for name, found in by_definition(cases, cpu).items()}
    shares = {name: yes / of for name, (yes, of) in counted.items()}
    most = sorted((name for name in shares if shares[name] > 0.5), key=lambda name: -shares[name])
    networks = ["{} of {} networks", *["{} of {}"] * len(counted)]
    said = [f"{SHORT.get(name, name)} ({words.format(*counted[name])})" for name, words in zip(most, networks)]
    count = sum(yes for yes, _ in counted.values())
    cases_text = f"it is one of the {count} of {len(cases)} cases with an interval above 30 % in the tables"
    if not most:
        return cases_text
    text = f"converged means {wording.listed(said)}"
    share = f"converged is read by {len(most)} of {len(counted)} definitions, those by which most networks save 30 %"
    return wording.fitting(wording.CONDITION, f"{text}: {len(most)} of {len(counted)} definitions", text, share)


def by_definition(cases: Sequence[Race], cpu: bool) -> dict[str, list[str]]:
    """The readings of all networks, by the definition of convergence."""
    found: dict[str, list[str]] = {}
    for race in cases:
        found.setdefault(race.definition, []).append(race.reading(cpu))
    return found


def borrowers(lender: str) -> str:
    """``Taiwan's 30,000 borrowers``."""
    return "{}'s {} borrowers".format(*LENDERS[lender].title.removesuffix(" rows").split(", "))


def higher_accuracy(measured: Measured) -> Verdict:
    """AUC and accuracy on unseen rows, the mean over a table's networks, with Batch Normalization against without."""
    found = {
        (lender, measure): averaged(measured, lender, measure) for lender in LENDERS for measure in MEASURES
    }  # fmt: skip
    present = {key: value for key, value in found.items() if value is not None}
    up = [key for key, value in present.items() if value.above]
    said = []
    for lender in {lender: None for lender, _ in present}:
        own = [f"{MEASURES[m]} {present[lender, m].text(wide=False)}" for m in MEASURES]
        said.append(f"{', '.join(own)} on {borrowers(lender)}")
    return Verdict(
        "higher_accuracy",
        "With Batch Normalization (BN) a credit-risk model is more accurate on unseen data",
        f"With BN less plain, mean over networks: {'; '.join(said)}",
        outcome(up, present.keys() - up),
        accuracy_condition({key: present[key].surely for key in up}) if 0 < len(up) < len(present) else "",
    )


def accuracy_condition(up: Mapping[tuple[str, str], bool]) -> str:
    """What has risen on which table, and whether by the wide interval, too."""
    named = {f"{MEASURES[measure]} on {borrowers(lender)}": surely for (lender, measure), surely in up.items()}
    marked = [name + ("" if surely else " (not by the wide interval)") for name, surely in named.items()]
    short = [f"{MEASURES[measure]} ({PLACES[lender]} table)" for lender, measure in up]
    narrow = sum(not surely for surely in named.values())
    note = f" ({narrow} not by the wide interval)" if narrow else ""
    return wording.fitting(
        wording.CONDITION,
        f"more accurate means {wording.listed(marked)}",
        f"more accurate means {wording.listed(short)}{note}",
        f"it means one of the {len(up)} differences above 0 in the table{note}",
    )


def beats_logistic(measured: Measured) -> Verdict:
    """Whether the networks were needed at all."""
    found = {lender: averaged(measured, lender, "auc", logistic=True) for lender in LENDERS}
    present = {lender: value for lender, value in found.items() if value is not None}
    up = [lender for lender, value in present.items() if value.above]
    text = ", ".join(f"{value.text(wide=False)} on {borrowers(lender)}" for lender, value in present.items())
    return Verdict(
        "beats_logistic",
        "A network with Batch Normalization (BN) ranks unseen borrowers better than logistic regression",
        f"AUC with BN less that of logistic regression, mean over networks: {text}",
        outcome(up, present.keys() - up),
        f"the model ranks {wording.listed([borrowers(lender) for lender in up])}" if 0 < len(up) < len(present) else "",
    )
