"""Writes what this environment holds as constraints for pip: ``make pins``."""

from __future__ import annotations

import sys
from importlib.metadata import distributions

HEAD = """\
# The versions with which everything in this repository is run, so that nothing changes by itself; `make pins` renews them.
# Older versions of Python get what fits them.
"""


def pins() -> str:
    """All distributions but this one, a line each; local versions, as of builds for one machine, are left out."""
    found = {
        dist.metadata["Name"].lower().replace("_", "-"): dist.version.partition("+")[0] for dist in distributions()
    }
    found.pop("tinygrad-bn", None)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return HEAD + "".join(f'{name}=={version}; python_version >= "{here}"\n' for name, version in sorted(found.items()))


if __name__ == "__main__":
    print(pins(), end="")
