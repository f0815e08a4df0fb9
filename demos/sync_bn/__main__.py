"""The command of this demo."""

import sys

from ..lab.command import main

if __name__ == "__main__":
    sys.exit(main("sync_bn"))
