"""pyepics' own tests, out of its source distribution, run on pyepics or on the drop-in beside IOCs with its records.

``python -m tests.pyepics.published pyepics|caclient FOLDER [pytest arguments]`` runs them by hand.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.interop.softioc import SoftIoc

VERSION = "3.5.10"
SHA256 = "f390cf9be40aba757b9528888114bc14d8db01086d0c93914720b1772460375b"
_RESULT = re.compile(r"^(\S+::\S+) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)")
_SETTLING = 4.0


class NotToBeHadError(Exception):
    """The source distribution cannot be downloaded here."""


def fetch(folder: Path) -> Path:
    """The unpacked source distribution, its hash checked."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"pyepics=={VERSION} --hash=sha256:{SHA256}\n")
    # Only pyepics itself as source: pip builds its metadata before it hands it over, and what builds must not be built.
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "pyepics"]
    done = subprocess.run(
        [*command, "--require-hashes", "-d", str(folder), "-r", str(wanted)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    archive = folder / f"pyepics-{VERSION}.tar.gz"
    if not archive.exists():
        raise NotToBeHadError(done.stderr.strip()[-300:])
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / f"pyepics-{VERSION}" / "tests"


def run(implementation: str, tests: Path, *arguments: str, timeout: float = 900) -> tuple[dict[str, str], str]:
    """How each test ended, by name, and what pytest printed at the end."""
    with ExitStack() as stack:
        records = tests / "Setup"
        main = stack.enter_context(SoftIoc("PyTest:", records=(records / "pydebug.db",), access=None, ready_name="ao1"))
        other = stack.enter_context(
            SoftIoc("PyTestClearCache:", records=(records / "pyclearcache.db",), access=None, ready_name="enabled")
        )
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EPICS_")},
            "EPICS_CA_ADDR_LIST": f"{main.address} {other.address}",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_REPEATER_PORT": str(main.repeater_port),
            "EPICS_CA_MAX_ARRAY_BYTES": "20100300",
            "PYTHONUNBUFFERED": "1",
            "PATH": os.pathsep.join(
                (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
            ),  # one starts "python"
        }
        simulator = subprocess.Popen(
            [sys.executable, str(records / "simulator.py")],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(_SETTLING)  # the simulator, which is not ours, has no way to say that it is ready
            start = [sys.executable] if implementation == "pyepics" else [sys.executable, "-m", "caclient.pyepics"]
            words = ""
            for path in sorted(tests.glob("test_*.py")):  # one process each: some end Channel Access for good
                if arguments and path.name not in arguments:
                    continue
                done = subprocess.run(
                    [
                        *start,
                        "-m",
                        "pytest",
                        "-v",
                        "-o",
                        "addopts=",
                        "-p",
                        "no:cacheprovider",
                        "--no-header",
                        "--tb=short",
                        path.name,
                    ],
                    cwd=tests,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=timeout,
                )
                words += done.stdout + done.stderr
        finally:
            simulator.kill()
            simulator.wait()
    found = {match[1]: match[2] for line in words.splitlines() if (match := _RESULT.match(line))}
    return found, words[-20000:]


if __name__ == "__main__":
    results, words = run(sys.argv[1], Path(sys.argv[2]).resolve(), *sys.argv[3:])
    sys.stdout.write(words)
    sys.stdout.write("\n".join(f"{name} {result}" for name, result in sorted(results.items())) + "\n")
