"""``python -m tests.soak watch | fuzz | mixed | crowd``: what takes too long for a test, with figures and a status.

* ``watch``: memory of a program that watches 5,000 PVs, and the wake-ups of one whose PVs are quiet.
* ``fuzz``: mutated conversations with a real IOC, healthy PVs beside them.
* ``mixed``: all kinds of work with an IOC that is restarted every two minutes; nothing may grow.
* ``crowd``: threads that do everything at once; nothing may fail, nothing be left.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.soak import crowd, fuzz, mixed, watch


def main() -> int:
    """The exit status: 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    watching = kinds.add_parser("watch")
    watching.add_argument("--pvs", type=int, default=5000)
    watching.add_argument("--seconds", type=float, default=60.0)
    fuzzing = kinds.add_parser("fuzz")
    fuzzing.add_argument("--conversations", type=int, default=5000)
    fuzzing.add_argument("--seed", type=int, default=1)
    mixing = kinds.add_parser("mixed")
    mixing.add_argument("--minutes", type=float, default=20.0)
    mixing.add_argument("--restart", type=float, default=120.0, help="seconds between restarts")
    crowding = kinds.add_parser("crowd")
    crowding.add_argument("--threads", type=int, default=32)
    crowding.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.kind == "watch":
            return watch.run(chosen.pvs, chosen.seconds)
        if chosen.kind == "fuzz":
            fuzzed = fuzz.run(chosen.conversations, folder, chosen.seed)
            print(fuzzed)
            return 1 if fuzzed.wrong else 0
        if chosen.kind == "crowd":
            crowded = crowd.run(chosen.seconds, chosen.threads)
            print(crowded)
            return 1 if crowded.wrong else 0
        mixture = mixed.run(chosen.minutes * 60, folder, restart_every=chosen.restart, show=print)
        print(mixture)
        return 1 if mixture.wrong or mixture.growth > mixed.PER_HOUR else 0


if __name__ == "__main__":
    sys.exit(main())
