"""A soft IOC for the tests: records and access rules from files, IOC shell lines from standard input.

After each line the number of the line is written to the reply descriptor, once all output of the command is out.
The end of standard input ends the IOC, so it never outlives the process that started it.

Run as ``python ioc_main.py --records FILE... --macros P=x: [--access FILE] [--reply FD]``.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys

from epicscorelibs.ioc import dbCore, ioc, start_ioc


def main() -> None:
    """Load, run, obey the shell lines of standard input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", action="append", required=True)
    parser.add_argument("--macros", default="")
    parser.add_argument("--access")
    parser.add_argument("--reply", type=int)
    options = parser.parse_args()
    if options.access:
        shell_before_init("asSetFilename", options.access)
        shell_before_init("asSetSubstitutions", options.macros)
    start_ioc(dbs=[(records, options.macros) for records in options.records])
    obey(options.reply)


def shell_before_init(command: str, argument: str) -> None:
    """Call a C function of the database library that takes one string; the shell is not there yet."""
    getattr(dbCore, command)(argument.encode())


def obey(reply: int | None) -> None:
    """Run each line of standard input as an IOC shell command until it ends."""
    libc = ctypes.CDLL(None)
    for number, line in enumerate(sys.stdin, start=1):
        ioc(line.rstrip("\n"))
        libc.fflush(None)
        if reply is not None:
            os.write(reply, f"{number}\n".encode())


if __name__ == "__main__":
    main()
