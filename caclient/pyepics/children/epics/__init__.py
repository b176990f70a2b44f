"""What ``import epics`` finds in a child that multiprocessing has started from nothing: it installs caclient's."""

from __future__ import annotations

import caclient.pyepics  # noqa: F401  the package that takes this one's place
from caclient.pyepics.importing import activate

activate()
