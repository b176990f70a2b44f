"""Save PVs to a file, and restore them, as synApps' autosave does."""

from __future__ import annotations

from . import save_restore
from .save_restore import AutoSaver, restore_pvs, save_pvs

__all__ = ["AutoSaver", "restore_pvs", "save_pvs", "save_restore"]
