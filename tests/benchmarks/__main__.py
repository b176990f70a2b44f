"""`python -m tests.benchmarks`: measure caclient beside its peers and judge the goals."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.cases import CLIENTS, Case, chosen
from tests.benchmarks.runs import run_all
from tests.benchmarks.servers import running_servers

PACKAGE_OF = {"dropin": "caclient", "pyepics": "epics", "pyepics_ca": "epics"}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    made.add_argument("--quick", action="store_true", help="little work, one round: shows that all works, not how fast")
    made.add_argument("--full", action="store_true", help="also what needs 100,000 records")
    made.add_argument("--rounds", type=int, help="rounds over all cases (3; 1 if quick)")
    made.add_argument("--cases", type=_names, help="only these, separated by commas")
    made.add_argument("--clients", type=_names, default=CLIENTS, help="only these, separated by commas")
    made.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    made.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios (needs matplotlib)")
    return made


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _installed(client: str) -> bool:
    return client == "raw" or find_spec(PACKAGE_OF.get(client, client)) is not None


def _scalar_count(cases: tuple[Case, ...], quick: bool) -> int:
    return max([10, *((case.quick if quick else case.task).pvs for case in cases)])


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> None:
    options = parser().parse_args()
    cases = chosen(options.cases, options.full)
    clients = tuple(client for client in options.clients if _installed(client))
    rounds = options.rounds or (1 if options.quick else 3)
    with running_servers(_scalar_count(cases, options.quick)) as servers:
        outcomes = run_all(servers, cases, clients, rounds, options.quick, _tell)
    lines = report.lines_of((row for case in cases for row in case.rows), report.collect(outcomes))
    if options.json:
        chosen_options = {"quick": options.quick, "full": options.full, "rounds": rounds}
        options.json.write_text(json.dumps(report.as_json(lines, outcomes, chosen_options), indent=1))
    print(report.table(lines, clients))
    for failure in report.failures(outcomes):
        print("failed:", failure)
    if options.plot:
        from tests.benchmarks.plot import draw

        draw(lines, options.plot)


if __name__ == "__main__":
    main()
