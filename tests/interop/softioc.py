"""A real EPICS IOC (epicscorelibs, from PyPI) with the records of records.db, and our own demo IOC the same way."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from tests.interop.ioc_process import IocProcess

HERE = Path(__file__).parent
RECORDS = HERE / "records.db"
MANY_RECORDS = HERE / "many.db"
ACCESS = HERE / "access.acf"
QUIET_WALK = 134


class SoftIoc(IocProcess):
    """EPICS Base's own server. Names carry `prefix`; `iocsh` runs a shell command in it."""

    def __init__(
        self,
        prefix: str = "t:",
        *,
        records: tuple[Path, ...] = (RECORDS,),
        access: Path | None = ACCESS,
        ready_name: str = "ai",
        port: int | None = None,
        **environment: str,
    ) -> None:
        command = [sys.executable, str(HERE / "ioc_main.py"), "--macros", f"P={prefix}"]
        command += [part for path in records for part in ("--records", str(path))]
        command += ["--access", str(access)] if access else []
        super().__init__(command, ready_name=prefix + ready_name, port=port, **environment)
        self.prefix = prefix

    def reply_arguments(self) -> list[str]:
        return ["--reply", str(self._reply_write)]

    def iocsh(self, command: str, timeout: float = 10.0) -> str:
        """Run one IOC shell command and return what it printed."""
        assert self.process is not None, "not running"
        assert self.process.stdin is not None
        before = len(self.log)
        self.process.stdin.write(command + "\n")
        if not select.select([self._reply_read], [], [], timeout)[0]:
            raise TimeoutError(f"iocsh {command!r} did not end in {timeout} s:\n{self.log[before:]}")
        os.read(self._reply_read, 64)
        return self.log[before:]

    def put(self, name: str, value: object) -> None:
        """Write to a field from inside the IOC, unseen by any client; processes the record as a CA put would."""
        self.iocsh(f'dbpf "{self.prefix}{name}" "{value}"')


class RandomWalkIoc(IocProcess):
    """Our demo IOC, ``python -m caclient.ioc_examples.random_walk``, as a user would start it.

    By default it walks the same way each time, a way that raises no alarm in its first hundred steps.
    """

    def __init__(self, *, seed: int = QUIET_WALK, port: int | None = None, **environment: str) -> None:
        command = [sys.executable, "-m", "caclient.ioc_examples.random_walk", "--seed", str(seed)]
        super().__init__(command, ready_name="random_walk:x", port=port, **environment)
