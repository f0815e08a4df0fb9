"""The tables: learning rates, speed by each definition, costs and quality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...lab.measure import statistics
from ...lab.measure.arms import ARMS
from ...lab.measure.part import Measured
from ...lab.show import texts
from ...lab.show.arms import NAMES
from ...lab.show.blocks import Block, Table, Text
from ..measure import scores
from ..measure.networks import NETS, Net
from ..measure.tables import LENDERS
from .quality import MEASURES, PLACES, averaged, difference
from .speed import SHORT, Race
from .verdicts import by_definition


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
        "The learning rates tried, with the lowest validation log-loss so far, averaged over the run and over splits that are "
        "not reported; for logistic regression, the penalties λ and the log-loss",
        ("data", "model", "network", "chosen", "value: log-loss"),
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
            found.append(f"{model}: {values[best]:g} (better by {beside - losses[best]:.4f} than the next value)")
    if not found:
        return [Text("No chosen value is at an edge of its grid.")]
    return [
        Text(
            f"Warning: these values are at the edge of their grid, so a better one may lie outside: {'; '.join(found)}."
        )
    ]


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
        f"{LENDERS[lender].title}: steps and CPU time to convergence, and the share that BN saves",
        ("network", "converged", "steps, plain", "steps, BN", "steps saved", "CPU ms, plain / BN", "CPU time saved"),
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
    found = {cpu: by_definition(races, [race.case(cpu) for race in races]) for cpu in (False, True)}
    rows = [
        (f"{name}: {SHORT[name]}" if name in SHORT else name, str(len(found[False][name])),
         *(str(found[cpu][name].count(answer)) for cpu in found for answer in ("yes", "no")))
        for name in found[False]
    ]  # fmt: skip
    return Table(
        "definitions",
        "By definition of converged: how many networks save at least 30 % with the whole 95 % interval, and how many clearly "
        "save less (or never converge with BN)",
        ("converged", "networks", "save 30 % of steps", "less", "save 30 % of CPU time", "less"),
        rows,
    )


def costs_table(measured: Measured) -> Table:
    """What a step costs."""
    costs = {net: measured["costs"][net.name] for net in trained(measured)}
    compiled = ["ratio, compiled"] * all("compiled" in cost for cost in costs.values())  # earlier results have none
    rows = []
    for net, cost in costs.items():
        plain, bn = (f"{1000 * cost[arm]['seconds']:.2f}" for arm in ARMS)
        ratios = [f"{each['bn']['ratio']:.2f}" for each in (cost, *(cost["compiled"] for _ in compiled))]
        rows.append((PLACES[net.lender], net.title, plain, bn, *ratios))
    return Table(
        "costs",
        "CPU milliseconds of a training step; the networks take turns, and the ratio is the median over the turns"
        + (f"; a step with BN costs {price(list(costs.values()))}" if compiled else ""),
        ("data", "network", "plain", "with BN", "ratio", *compiled),
        rows,
    )


def price(costs: Sequence[Mapping[str, Any]]) -> str:
    """What steps with Batch Normalization cost: eager, and compiled where that was measured."""
    compiled = [cost["compiled"]["bn"]["ratio"] for cost in costs if "compiled" in cost]
    return texts.price_text([cost["bn"]["ratio"] for cost in costs], compiled)


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
        "Unseen rows: mean ± standard deviation over splits; lower is better for log-loss, Brier score (mean squared "
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
        "Differences on the same unseen rows: mean ± half of the 95 % interval over splits (in parentheses: wider, because "
        "splits share rows; Nadeau and Bengio 2003)",
        ("data", "network", "AUC: BN - plain", "accuracy: BN - plain", "AUC: BN - logistic"),
        rows,
    )
