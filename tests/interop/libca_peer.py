"""What pyepics on libca says: snippets run in a process of their own, results come back as JSON.

libca wants its environment before its first use and a process to itself, and nothing of it may leak into a test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

import numpy

_PRELUDE = """
import json, os, sys
import numpy
import epics
from epics import PV, ca, caget, caput

def plain(value):
    if isinstance(value, numpy.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, numpy.generic):
        return value.item()
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value

def connected(name, timeout=5.0, **options):
    pv = PV(name, **options)
    assert pv.wait_for_connection(timeout), name + " did not connect"
    return pv

result = None
"""

_CODA = """
os.write(int(sys.argv[1]), json.dumps(plain(result)).encode())
os.close(int(sys.argv[1]))
sys.stdout.flush()
os._exit(0)  # libca's own clean-up at exit is not what is looked at here
"""

_GET_ALL = """
pvs = [PV(name, form="ctrl") for name in {names!r}]
stamped = {{name: PV(name, form="time", auto_monitor=False) for name in {names!r}}}
result = {{}}
for pv in pvs:
    assert pv.wait_for_connection(5.0), pv.pvname
    value = pv.get(timeout=5.0)
    assert stamped[pv.pvname].wait_for_connection(5.0)
    stamped[pv.pvname].get(timeout=5.0)
    result[pv.pvname] = dict(
        value=value, char_value=pv.get(as_string=True), type=pv.type, count=pv.count, nelm=pv.nelm,
        severity=pv.severity, status=pv.status, timestamp=stamped[pv.pvname].timestamp,
        units=pv.units, precision=pv.precision, enum_strs=pv.enum_strs,
        read_access=pv.read_access, write_access=pv.write_access, host=pv.host,
        upper_disp_limit=pv.upper_disp_limit, lower_disp_limit=pv.lower_disp_limit,
        upper_alarm_limit=pv.upper_alarm_limit, lower_alarm_limit=pv.lower_alarm_limit,
        upper_warning_limit=pv.upper_warning_limit, lower_warning_limit=pv.lower_warning_limit,
        upper_ctrl_limit=pv.upper_ctrl_limit, lower_ctrl_limit=pv.lower_ctrl_limit,
    )
"""


class LibcaPeer:
    """pyepics, seeing only the servers that `environment` (EPICS_CA_*) names."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("EPICS_")} | environment

    def run(self, snippet: str, timeout: float = 30.0) -> Any:
        """Run `snippet`; return what it left in ``result``, arrays as numpy arrays of the same dtype.

        The snippet finds ``epics, PV, ca, caget, caput, numpy`` and ``connected(name)`` imported.
        """
        source = _PRELUDE + textwrap.dedent(snippet) + _CODA
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as answer:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", source, str(writing)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[writing],
                text=True,
            )
            os.close(writing)
            try:
                output, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
                raise TimeoutError(f"libca peer did not end in {timeout} s:\n{output}") from None
            if process.returncode:
                raise RuntimeError(f"libca peer ended with {process.returncode}:\n{output}")
            return json.loads(answer.read(), object_hook=_restored)

    def get_all(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """Value and every documented attribute of each PV, as pyepics returns them."""
        answer: dict[str, dict[str, Any]] = self.run(_GET_ALL.format(names=names))
        return answer


def _restored(item: dict[str, Any]) -> Any:
    if item.keys() == {"array", "dtype"}:
        return numpy.array(item["array"], dtype=item["dtype"])
    if item.keys() == {"bytes"}:
        return bytes.fromhex(item["bytes"])
    return item
