"""Packages that are made for pyepics run on the drop-in, unmodified; skipped where they are not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.interop.softioc import SoftIoc

pytestmark = [pytest.mark.interop, pytest.mark.long, pytest.mark.timeout(180)]
SCRIPTS = Path(__file__).parent / "foreign"
NEEDED = {
    "ophyd_signals.py": ("ophyd", "bluesky"),
    "asynchronous.py": ("pyepics_asyncio",),
    "pydm_plugin.py": ("pydm", "PyQt5"),
}


@pytest.mark.parametrize("script", sorted(NEEDED))
def test_it_runs(make_softioc: type[SoftIoc], script: str) -> None:
    missing = [name for name in NEEDED[script] if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: pip install 'caclient[foreign]'")
    done = subprocess.run(
        [sys.executable, "-m", "caclient.pyepics", str(SCRIPTS / script)],
        env={**os.environ, **make_softioc().client_environment()},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.stdout.strip().splitlines()[-1:] == ["well"], done.stdout[-2000:] + done.stderr[-4000:]
