"""Programs that use the drop-in in a process of their own, beside the shared real IOC."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.softioc import SoftIoc

Program = Callable[..., str]


@pytest.fixture
def program(softioc: SoftIoc, tmp_path: Path) -> Program:
    """Run a script with ``python -m caclient.pyepics``; what it printed. It must end well."""

    def run(source: str, *arguments: str, **environment: str) -> str:
        path = tmp_path / "script.py"
        path.write_text(source)
        done = subprocess.run(
            [sys.executable, "-m", "caclient.pyepics", str(path), *arguments],
            env={**os.environ, **softioc.client_environment(), **environment},
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
