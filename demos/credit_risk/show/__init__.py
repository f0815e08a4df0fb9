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
        f"Batch Normalization clearly saves 30 % of the steps in {clear} of {len(steps.cases)} comparisons{ranking}.",
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
            f"without sensitive ones ({', '.join(out)})" if out else "INCLUDING SENSITIVE ONES (`--sensitive`)"
        )
        blocks.append(
            Text(
                f"{lender.title}: {columns}. The table is split at random {len(part['test']['auc'])} times into {fitted:,} "
                f"rows for training, {validation:,} for validation and {test:,} unseen ones. Networks train for "
                f"{lender.evaluations[-1]} steps with batches of {lender.batch}, and are evaluated on the unseen rows with "
                f"the weights of the lowest validation log-loss. {100 * part['majority']:.1f} % of the unseen loans were paid "
                "back."
            )
        )
    blocks.append(
        Text(
            "With and without BN, a network starts from the same weights, as small as the default of `nn.Linear`, and sees the "
            "same batches. With `--full`, some networks also start from He's larger weights."
        )
    )
    blocks.append(
        Text(
            "Leaving out sex, marital status, age, education and origin does not make a score fair: other columns can be "
            "correlated with them, and this demo does not measure whether they are. Do not use these scores for decisions "
            "about people."
        )
    )
    return blocks


JUDGED = Text(
    "Learning rates are compared by the lowest validation log-loss so far, averaged over the run; this is small for networks "
    "that reach a low loss early. The penalty of logistic regression is λ/2 |w|², added to the sum of the log-losses."
)

DEFINED = Text(
    "Converged is defined in several ways, on validation rows except for C. "
    + "; ".join(f"{letter}: {meaning}" for letter, meaning in DEFINITIONS.items())
    + " (as in the BN paper); AUC: that validation AUC. Steps are the lower median over the splits, with the range, "
    "and the number of splits in which the network converged. The share saved is 1 - median with BN / median without, with a "
    "95 % bootstrap interval over splits. CPU time is steps times the CPU time of a step, plain / with BN. "
    '"30 % faster" is taken to mean that 30 % is saved; a speed that is 30 % higher would save 23 %.'
)
