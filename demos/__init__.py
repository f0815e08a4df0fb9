"""Runnable demonstrations on real data; see the docstring of each module.

One thread for the linear algebra: the networks are small, more threads make them slower and their CPU time meaningless.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # read by NumPy's libraries when NumPy is first imported
