"""``python -m caclient`` is the ``caclient`` command."""

from __future__ import annotations

import sys

from caclient.cli import main

if __name__ == "__main__":
    sys.exit(main())
