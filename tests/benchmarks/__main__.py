"""``python -m tests.benchmarks [--only NAME] [--quick] [--json PATH]``."""

import os

# One thread each.  The linear algebra libraries read this when they are first loaded, so before any other import.
for variable in (
    "OMP_NUM_THREADS",
    "TORCHINDUCTOR_COMPILE_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
):
    os.environ[variable] = "1"

from .command import main  # noqa: E402 (on purpose, see above)

if __name__ == "__main__":
    main()
