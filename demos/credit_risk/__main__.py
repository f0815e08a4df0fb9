"""``python -m demos.credit_risk``."""

import sys

from ..lab.command import main

sys.exit(main("credit_risk"))
