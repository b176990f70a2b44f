"""The very scripts of pyepics, on ``caclient.pyepics``."""

from __future__ import annotations

import caclient.pyepics

caclient.pyepics.install()

from tests.benchmarks.clients.pyepics import *  # noqa: E402, F403  the same scripts
from tests.benchmarks.clients.pyepics import COLD_GET as _COLD_GET  # noqa: E402

IMPORT = "import caclient.pyepics"
COLD_GET = _COLD_GET.replace("import epics", "import caclient.pyepics as epics")
