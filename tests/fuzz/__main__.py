"""``python -m tests.fuzz N [SEED]``: check N random programs; on a mismatch print the seed and the smallest program."""

from __future__ import annotations

import secrets
import sys
import warnings

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import HypothesisWarning

from .programs import Program, check, programs


def main(argv: list[str]) -> int:
    try:
        number = int(argv[0]) if argv else 10_000
        start = int(argv[1]) if len(argv) > 1 else secrets.randbelow(2**32)
        if number < 1:
            raise ValueError
    except ValueError:
        print("usage: python -m tests.fuzz [N [SEED]], both whole numbers, N at least 1", file=sys.stderr)
        return 2
    seen = 0
    smallest: list[Program] = []

    @seed(start)
    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(programs())
    def agree(program: Program) -> None:
        nonlocal seen
        seen += 1
        try:
            check(program)
        except Exception:
            smallest[:] = [program]  # hypothesis ends with the smallest
            raise

    warnings.simplefilter("ignore", HypothesisWarning)
    try:
        agree()
    except KeyboardInterrupt:
        print(f"stopped after {seen} programs, no mismatch; seed {start}")
        return 130
    except Exception as error:
        print(f"mismatch after {seen} programs; seed {start}; the smallest program:\n{smallest[0]}\n{error}")
        return 1
    print(
        f"{seen} programs agree with PyTorch in value, gradient, Hessian-vector product, hooks and kept gradients; seed {start}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
