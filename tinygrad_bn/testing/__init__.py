"""For authors of layers and primitives: one call that tests, and a doctor for graphs that train nothing.

``check_layer`` and ``check_primitive`` run a battery and print one table; ``check_all`` finds what of a package no check
touches; ``why_no_grad`` says why a parameter gets no gradient; ``find_nonfinite`` finds where a NaN or an infinity began.
Usable with any test runner, or with none.
"""

from .doctor import Diagnosis, why_no_grad
from .layer import check_layer
from .nonfinite import Finding, find_nonfinite
from .package import check_all
from .primitive import check_primitive
from .report import Check, CheckError, Report

__all__ = [
    "Check", "CheckError", "Diagnosis", "Finding", "Report", "check_all", "check_layer", "check_primitive", "find_nonfinite",
    "why_no_grad",
]  # fmt: skip
