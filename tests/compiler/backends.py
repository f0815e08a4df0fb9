"""The ways to compile that most tests go through."""

import pytest

BACKENDS = {"exact": {"exact": True}, "numpy": {"backend": "numpy"}, "c": {"backend": "c"}}
HOW = pytest.mark.parametrize("how", BACKENDS)
# That a function is recorded anew, or that there is no C compiler, is asked about where it is the question.
QUIET = pytest.mark.filterwarnings("ignore::tinygrad_bn.compiler.CompileWarning")
