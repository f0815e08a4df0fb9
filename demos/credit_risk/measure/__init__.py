"""What is measured of both tables: logistic regression, the networks, and what their steps cost."""

from __future__ import annotations

from functools import partial

from ...lab.measure.part import Part, Settings
from . import logistic, networks
from .tables import GERMAN_LOANS, LENDERS, TAIWAN_CARDS


def belongs(net: networks.Net, settings: Settings) -> bool:
    """Whether a network is trained in a run with these settings."""
    return settings.full or not net.full


PARTS = (
    *(
        Part(
            net.name,
            partial(networks.measure, net),
            (LENDERS[net.lender].file,),
            18 if net.lender == "taiwan" else 8,
            partial(belongs, net),
        )
        for net in networks.NETS
    ),
    Part("costs", networks.costs, (TAIWAN_CARDS.file, GERMAN_LOANS.file), 4),
    *(
        Part(f"{lender.name}_logistic", partial(logistic.measure, lender), (lender.file,), 3)
        for lender in LENDERS.values()
    ),
)
