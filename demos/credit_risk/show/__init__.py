"""What the demo shows: tables, plots and verdicts, from the measurements alone."""

from __future__ import annotations

from ...lab.measure.part import Measured
from ...lab.show.blocks import Block, Heading, Summary, Text, Verdict
from ..measure.tables import LENDERS
from . import pictures
from .speed import DEFINITIONS, all_races
from .tables import (
    costs_table,
    definitions_table,
    differences_table,
    edge_warnings,
    learning_rates,
    quality_table,
    speed_table,
)
from .verdicts import beats_logistic, faster, higher_accuracy


def show(measured: Measured) -> list[Block]:
    """Tables, plots and verdicts."""
    races = all_races(measured)
    speed = faster(races)
    return [
        summary(speed[0], higher_accuracy(measured)),
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
        *speed,
        higher_accuracy(measured),
        beats_logistic(measured),
    ]


def summary(steps: Verdict, accuracy: Verdict) -> Summary:
    """The case study in a sentence."""
    clear = sum(case.answer == "yes" for case in steps.cases)
    words = {"yes": "better", "no": "worse", "open": "neither clearly better nor worse"}
    changes = [
        f"{words[case.answer]} {case.name.removeprefix('in AUC ')}" for case in accuracy.cases if "AUC" in case.name
    ]
    ranking = f"; it ranks unseen loans {' and '.join(changes)}" if changes else ""
    return Summary(
        f"Batch Normalization saves 30 % of the steps, beyond chance, in {clear} of {len(steps.cases)} comparisons{ranking}.",
        "saved",
    )


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
