"""The verdicts on speed and on accuracy, and the rules by which claims hold or not."""

from __future__ import annotations

from collections.abc import Sequence

from ...lab.measure.part import Measured
from ...lab.show import evidence, texts, wording
from ...lab.show.blocks import Verdict
from ...lab.show.evidence import Answer, Case, Outcome
from ...lab.show.telling import verdict
from ..measure.tables import LENDERS
from .quality import MEASURES, PLACES, Difference, averaged
from .speed import SHORT, Race

# Of all cases: with fewer for it, a claim does not hold; so few against it may be chance (one end of a 95 % interval).
SOME, CHANCE = 0.2, 0.025


def faster(races: Sequence[Race]) -> list[Verdict]:
    """Both readings of "30 % faster", over all networks and all definitions of convergence."""
    found = []
    for name, what, cpu in (("faster_30_steps", "fewer steps", False), ("faster_30_cpu", "less CPU time", True)):
        cases = [race.case(cpu) for race in races]
        outcome = speed_outcome(cases)
        yes, no = (sum(each.answer == answer for each in cases) for answer in ("yes", "no"))
        found.append(
            verdict(
                name,
                f"With Batch Normalization (BN) a credit-risk model converges 30 % faster: in 30 % {what}",
                speed_measured(races, cpu),
                cases,
                short=f"A credit-risk model converges in 30 % {what}",
                form="{:.0f} %",
                headline=f"{yes} of {len(cases)} for, {no} against",
                outcome=outcome,
                condition=speed_condition(races, cases, outcome),
            )
        )
    return found


def speed_outcome(cases: Sequence[Case]) -> Outcome:
    """In at least half of the cases confirmed and contradicted in hardly any: it holds, though some are open."""
    answers = [each.answer for each in cases]
    confirmed, contradicted = (answers.count(answer) / max(len(answers), 1) for answer in ("yes", "no"))
    return "holds" if confirmed >= 0.5 and contradicted <= CHANCE else evidence.judge(cases, SOME)


def speed_measured(races: Sequence[Race], cpu: bool) -> str:
    """The range of what is saved in cases where both networks get there, and the price of a step."""
    said = []
    for lender in PLACES:
        reached = [(race, race.saved) for race in races if race.net.lender == lender and race.saved is not None]
        if reached:
            shares = [race.cpu(saved) if cpu else saved for race, saved in reached]
            said.append(f"{100 * min(shares):.0f} to {100 * max(shares):.0f} % on {borrowers(lender)}")
    text = f"The share of {'CPU time' if cpu else 'steps'} saved is {' and '.join(said) or 'unknown'}."
    compiled = [race.compiled for race in races if race.compiled is not None]
    price = texts.price_text([race.ratio for race in races], compiled) if cpu and races else ""
    step = f" A step with BN costs {price}." if price else ""
    return wording.fitting(wording.MEASURED, text + step, text)


def speed_condition(races: Sequence[Race], cases: Sequence[Case], outcome: Outcome) -> str:
    """How many cases say what, and by which definitions most networks save so much."""
    found = by_definition(races, cases)
    most = [SHORT.get(name, name) for name, answers in found.items() if 2 * answers.count("yes") > len(answers)]
    numbers = {answer: sum(each.answer == answer for each in cases) for answer in ("yes", "no", "open")}
    text = (
        f"Of {len(cases)} pairs of a network and a definition of converged, {numbers['yes']} clearly save 30 %, "
        f"{numbers['no']} save less, and {numbers['open']} are not decided"
    )
    open_cases = [each for each in cases if each.answer == "open"]
    needed = sorted(each.seeds_needed for each in open_cases if each.seeds_needed is not None)
    text += f" ({needed[0]} to {needed[-1]} splits could decide {len(needed)} of them)." if needed else "."
    if outcome != "holds if" or not most:
        return text
    return f"It holds for most networks if converged means {wording.listed(most)}. {text}"


def by_definition(races: Sequence[Race], cases: Sequence[Case]) -> dict[str, list[Answer]]:
    """What the networks' cases say of 30 %, by the definition of convergence."""
    found: dict[str, list[Answer]] = {}
    for race, each in zip(races, cases):
        found.setdefault(race.definition, []).append(each.answer)
    return found


def borrowers(lender: str) -> str:
    """``Taiwan's 30,000 borrowers``."""
    return "{}'s {} borrowers".format(*LENDERS[lender].title.removesuffix(" rows").split(", "))


def compared(name: str, found: Difference) -> Case:
    """A mean difference with Student's interval; a note where the wide interval does not say the same."""
    note = "(though not by the wide interval)" if found.above and not found.surely else ""
    return evidence.of_values(name, list(found.values), detail=note)


def higher_accuracy(measured: Measured) -> Verdict:
    """AUC and accuracy on unseen rows, the mean over a table's networks, with Batch Normalization against without."""
    cases, said = [], []
    for lender in LENDERS:
        own = {measure: averaged(measured, lender, measure) for measure in MEASURES}
        present = {measure: found for measure, found in own.items() if found is not None}
        cases += [
            compared(f"in {MEASURES[measure]} on {borrowers(lender)}", found) for measure, found in present.items()
        ]
        if present:
            texts = [f"{MEASURES[measure]} {found.text(wide=False)}" for measure, found in present.items()]
            said.append(f"{' and '.join(texts)} on {borrowers(lender)}")
    return verdict(
        "higher_accuracy",
        "With Batch Normalization (BN) a credit-risk model is more accurate on unseen data",
        f"Averaged over networks, the difference that BN makes is {'; '.join(said)}.",
        cases,
        short="A credit-risk model is more accurate with BN",
        form="{:+.4f}",
    )


def beats_logistic(measured: Measured) -> Verdict:
    """Whether the networks were needed at all."""
    found = {lender: averaged(measured, lender, "auc", logistic=True) for lender in LENDERS}
    present = {lender: value for lender, value in found.items() if value is not None}
    text = " and ".join(f"{value.text(wide=False)} on {borrowers(lender)}" for lender, value in present.items())
    return verdict(
        "beats_logistic",
        "A network with Batch Normalization (BN) ranks unseen borrowers better than logistic regression",
        f"Averaged over networks, AUC with BN minus AUC of logistic regression is {text}.",
        [compared(f"on {borrowers(lender)}", value) for lender, value in present.items()],
        short="BN ranks borrowers better than logistic regression",
        form="{:+.4f}",
    )
