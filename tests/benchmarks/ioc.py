"""The benchmark's IOC process: the IOC of EPICS Base with our database.

`python -m tests.benchmarks.ioc FILE` writes `ready` when it serves, runs each line of its standard input as a
command of the IOC shell, and ends at the end of its input.
"""

from __future__ import annotations

import ctypes
import os
import sys

from epicscorelibs import ioc

from tests.benchmarks import names

DBF_DOUBLE = 10  # as dbAccess.h numbers the types, not as Channel Access does


def fill_waveform() -> None:
    """Put 0, 1, 2, ... into the waveform, from inside the IOC."""
    address = ctypes.create_string_buffer(1024)
    values = (ctypes.c_double * names.WAVEFORM_COUNT)(*range(names.WAVEFORM_COUNT))
    if ioc.dbCore.dbNameToAddr(names.WAVEFORM.encode(), address):
        raise RuntimeError(f"no record {names.WAVEFORM}")
    if ioc.dbCore.dbPutField(address, DBF_DOUBLE, values, ctypes.c_long(names.WAVEFORM_COUNT)):
        raise RuntimeError(f"cannot fill {names.WAVEFORM}")


def main() -> None:
    ioc.start_ioc(sys.argv[1])
    fill_waveform()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads what the shell says
    for line in sys.stdin:
        ioc.ioc(line.strip())
    os._exit(0)  # the circuits that are still open need no farewell


if __name__ == "__main__":
    main()
