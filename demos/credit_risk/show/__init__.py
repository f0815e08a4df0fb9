"""What the demo shows: tables, plots and verdicts, from the measurements alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...lab.measure import statistics
from ...lab.measure.arms import ARMS
from ...lab.measure.part import Measured
from ...lab.show import texts, wording
from ...lab.show.arms import NAMES
from ...lab.show.blocks import Block, Heading, Outcome, Table, Text, Verdict, outcome
from ..measure import scores
from ..measure.networks import NETS, Net
from ..measure.tables import LENDERS, PLACES
from . import pictures
from .quality import averaged, difference
from .speed import DEFINITIONS, SHORT, Race, all_races

MEASURES = {"auc": "AUC", "accuracy": "accuracy"}


def show(measured: Measured) -> list[Block]:
    """Tables, plots and verdicts."""
    races = all_races(measured)
    return [
        *introduction(measured),
        Heading("Learning rates"),
        JUDGED,
        learning_rates(measured),
        *edge_warnings(measured),
        Heading("Speed"),
        DEFINED,
        *(speed_table(lender, races) for lender in LENDERS),
        definitions_table(races),
        costs_table(measured),
        *pictures.curves(measured),
        *pictures.savings(races),
        Heading("Unseen data"),
        quality_table(measured),
        differences_table(measured),
        *pictures.forest(measured),
        *pictures.calibration(measured),
        Heading("Verdicts"),
        *faster(races),
        higher_accuracy(measured),
        beats_logistic(measured),
    ]


def introduction(measured: Measured) -> list[Block]:
    """What was used, and what was not."""
    blocks: list[Block] = []
    for lender in LENDERS.values():
        part = measured.get(f"{lender.name}_logistic")
        if part is None:
            continue
        fitted, validation, test = lender.rows
        out = part["left_out"]
        columns = f"{part['columns']} columns, " + (
            f"sensitive ones left out ({', '.join(out)})" if out else "THE SENSITIVE ONES AMONG THEM (`--sensitive`)"
        )
        blocks.append(
            Text(
                f"{lender.title}: {columns}. {len(part['test']['auc'])} random splits into {fitted:,} rows to train on, "
                f"{validation:,} to choose by and {test:,} unseen ones; batches of {lender.batch}, "
                f"{lender.evaluations[-1]} steps. On the unseen rows a network is taken as it was at its lowest "
                f"validation log-loss. {100 * part['majority']:.1f} % of the unseen loans were paid back."
            )
        )
    blocks.append(
        Text(
            "Both arms of a network start from the same weights, as small as those of `nn.Linear`, and see the same batches. "
            "With `--full` some start from He's larger weights too."
        )
    )
    blocks.append(
        Text(
            "Leaving out sex, marital status, age, education and origin does not make a score fair: other columns can "
            "stand in for them, and nothing here measures whether they do. No score made here is fit to decide about "
            "anybody."
        )
    )
    return blocks


JUDGED = Text(
    "The mean over the run of the lowest validation log-loss so far is low if the end is low, and early. The penalty of "
    "logistic regression is λ/2 |w|², beside the sum of the log-losses."
)

DEFINED = Text(
    "Converged is read in several ways, on validation rows except C. "
    + "; ".join(f"{letter}: {meaning}" for letter, meaning in DEFINITIONS.items())
    + " (the BN paper counts like this, steps to what the plain network reaches at best); AUC: that validation AUC. "
    "Steps: lower median over the splits (range), and how many got there. Saved: 1 - median with BN / median without, and "
    "a 95 % bootstrap interval over splits. CPU: steps times the CPU time of a step, plain / with BN. "
    '"30 % faster" is read as 30 % saved; 30 % more speed would be 23 % saved.'
)


# -- tables -------------------------------------------------------------------------------------------------------------


def trained(measured: Measured) -> list[Net]:
    """The networks of this run."""
    return [net for net in NETS if net.name in measured]


def learning_rates(measured: Measured) -> Table:
    """What each rate is judged by, and the best."""
    rows = []
    for net in trained(measured):
        part = measured[net.name]
        for arm in ARMS:
            judged = ", ".join(f"{rate:g}: {loss:.4f}" for rate, loss in zip(part["rates"], part[arm]["tuning"]))
            rows.append((PLACES[net.lender], net.title, NAMES[arm], f"{part[arm]['rate']:g}", judged))
    for lender in LENDERS.values():
        part = measured.get(f"{lender.name}_logistic")
        if part:
            judged = ", ".join(f"{penalty:g}: {loss:.4f}" for penalty, loss in zip(part["penalties"], part["tuning"]))
            rows.append((PLACES[lender.name], "logistic regression", "", f"{part['penalty']:g}", judged))
    return Table(
        "rates",
        "Learning rates tried, and the validation log-loss of the best network so far, mean over the run and over splits "
        "that are not reported; for logistic regression λ of a penalty, and its log-loss",
        ("data", "model", "arm", "best", "tried"),
        rows,
    )


def edge_warnings(measured: Measured) -> list[Block]:
    """One for each best value at an edge of what was tried."""
    tried = [
        (
            f"{PLACES[net.lender]} {net.title}, {NAMES[arm]}",
            measured[net.name]["rates"],
            measured[net.name][arm]["tuning"],
        )
        for net in trained(measured)
        for arm in ARMS
    ]
    for name in LENDERS:
        part = measured.get(f"{name}_logistic")
        if part:
            tried.append((f"{PLACES[name]} logistic regression", part["penalties"], part["tuning"]))
    found = []
    for model, values, losses in tried:
        best = losses.index(min(losses))
        if best in (0, len(values) - 1):
            beside = losses[best + 1 if best == 0 else best - 1]
            found.append(f"{model}: {values[best]:g} (better by {beside - losses[best]:.4f} than the one beside it)")
    if not found:
        return [Text("None of the best is at an edge of what was tried.")]
    return [Text(f"Warning: at the edge of what was tried, so a better one may lie beyond: {'; '.join(found)}.")]


def speed_table(lender: str, races: Iterable[Race]) -> Table:
    """Steps and CPU time to convergence on one table."""
    rows, last = [], None
    for race in races:
        if race.net.lender != lender:
            continue
        rows.append(
            (
                race.net.title if race.net != last else "",
                race.definition,
                texts.steps_text(race.plain),
                texts.steps_text(race.bn),
                texts.saved_text(race.plain, race.bn),
                cpu_ms(race),
                cpu_saved(race),
            )
        )
        last = race.net
    return Table(
        f"steps_{lender}",
        f"{LENDERS[lender].title}: steps to convergence, and what BN saves",
        ("network", "by", "steps, plain", "steps, with BN", "steps saved", "CPU ms", "CPU saved"),
        rows,
    )


def cpu_ms(race: Race) -> str:
    """``404 / 360``: CPU milliseconds of training to convergence, without and with Batch Normalization."""
    medians = (statistics.lower_median(race.plain), statistics.lower_median(race.bn))
    return " / ".join(
        "never" if steps is None else f"{1000 * cost * steps:,.0f}" for steps, cost in zip(medians, race.seconds)
    )


def cpu_saved(race: Race) -> str:
    """``37 % [1, 46]``: the share of CPU time saved, and its interval."""
    if race.saved is None:
        return ""
    low, high = (f"{100 * race.cpu(bound):.0f}" for bound in race.interval or (0, 0))
    return f"{100 * race.cpu(race.saved):.0f} %" + (f" [{low}, {high}]" if race.interval else "")


def definitions_table(races: Sequence[Race]) -> Table:
    """How many networks save 30 %, by definition."""
    found = {cpu: by_definition(races, cpu) for cpu in (False, True)}
    rows = [
        (f"{name}: {SHORT[name]}" if name in SHORT else name, str(len(found[False][name])),
         *(str(found[cpu][name].count(word)) for cpu in found for word in ("for", "against")))
        for name in found[False]
    ]  # fmt: skip
    return Table(
        "definitions",
        "Networks that save at least 30 % with the whole 95 % interval, by what converged means, and networks that clearly "
        "save less (or never get there with BN)",
        ("converged", "networks", "30 % of steps", "less", "30 % of CPU time", "less"),
        rows,
    )


def costs_table(measured: Measured) -> Table:
    """What a step costs."""
    rows = []
    for net in trained(measured):
        cost = measured["costs"][net.name]
        plain, bn = (f"{1000 * cost[arm]['seconds']:.2f}" for arm in ARMS)
        rows.append((PLACES[net.lender], net.title, plain, bn, f"{cost['bn']['ratio']:.2f}"))
    return Table(
        "costs",
        "CPU ms of a training step of one network alone, networks taking turns; the ratio is the median over turns",
        ("data", "network", "plain", "with BN", "ratio"),
        rows,
    )


def quality_table(measured: Measured) -> Table:
    """Every model on unseen rows."""
    rows = []
    for name in LENDERS:
        models = []
        if f"{name}_logistic" in measured:
            models.append(("logistic regression", measured[f"{name}_logistic"]["test"]))
        for net in trained(measured):
            if net.lender == name:
                models += [(f"{net.title}, {NAMES[arm]}", measured[net.name][arm]["test"]) for arm in ARMS]
        for i, (title, test) in enumerate(models):
            rows.append(
                (
                    PLACES[name] if i == 0 else "",
                    title,
                    *(texts.mean_text(test[measure], digits=4) for measure in ("auc", "accuracy")),
                    *(f"{np.mean(test[measure]):.4f}" for measure in ("log_loss", "brier")),
                    f"{scores.calibration_error(test['reliability']):.4f}",
                )
            )
    return Table(
        "unseen",
        "On unseen rows, mean ± standard deviation over splits; lower is better for log-loss, Brier score (mean squared "
        f"error of the probability) and ECE (expected calibration error, {scores.BINS} bins over all splits)",
        ("data", "model", "AUC", "accuracy", "log-loss", "Brier", "ECE"),
        rows,
    )


def differences_table(measured: Measured) -> Table:
    """What Batch Normalization adds, and whether a network was needed."""
    rows: list[tuple[str, ...]] = [
        (
            PLACES[net.lender],
            net.title,
            *(difference(measured, net, measure).text() for measure in MEASURES),
            difference(measured, net, "auc", logistic=True).text(),
        )
        for net in trained(measured)
    ]
    for name in LENDERS:
        found = [averaged(measured, name, measure) for measure in MEASURES]
        found.append(averaged(measured, name, "auc", logistic=True))
        rows += [(PLACES[name], "mean of the above", *(d.text() for d in found if d))] if all(found) else []
    return Table(
        "differences",
        "Differences on the same unseen rows: mean ± half of the 95 % interval over splits (in brackets: widened, as splits "
        "share rows; Nadeau and Bengio 2003); means over the default networks",
        ("data", "network", "AUC: BN - plain", "accuracy: BN - plain", "AUC: BN - logistic"),
        rows,
    )


# -- verdicts -----------------------------------------------------------------------------------------------------------


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
