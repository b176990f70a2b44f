"""``python -m caclient.pyepics script.py args...``: run a script that says ``import epics`` on caclient."""

from __future__ import annotations

import os
import runpy
import sys
from types import CodeType, ModuleType

from .importing import install

USAGE = "usage: python -m caclient.pyepics (script.py | -m module | -c code) [args...]\n"


def main(arguments: list[str]) -> int:
    """Run what the command line says, as Python itself would; the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        (sys.stdout if arguments else sys.stderr).write(USAGE)
        return 0 if arguments else 2
    install()
    if arguments[0] == "-m" and len(arguments) > 1:
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c" and len(arguments) > 1:
        sys.argv = ["-c", *arguments[2:]]
        _run(compile(arguments[1], "<string>", "exec"), None)
    else:
        sys.argv = arguments
        path = arguments[0]
        sys.path[0] = os.path.dirname(os.path.abspath(path))
        try:
            with open(path, "rb") as file:
                source = file.read()
        except OSError as error:
            sys.stderr.write(f"{sys.executable}: can't open file {os.path.abspath(path)!r}: {error}\n")
            return 2
        _run(compile(source, path, "exec"), path)
    return 0


def _run(code: CodeType, path: str | None) -> None:
    """Run code as the main module, which stays there for callbacks and for children."""
    module = ModuleType("__main__")
    if path is not None:
        module.__file__ = path
    module.__dict__.update(__builtins__=__builtins__, __spec__=None)
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
