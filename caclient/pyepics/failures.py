"""Where pyepics answers a failure with None, -1 or False: raise instead, if that is wanted.

``caclient.pyepics.strict = True``, ``install(strict=True)`` or CACLIENT_STRICT=1 turn it on.
"""

from __future__ import annotations

import os
import sys
from typing import Any, TypeVar

from caclient.errors import CATimeoutError

T = TypeVar("T")


def from_environment() -> bool:
    """What CACLIENT_STRICT says."""
    return os.environ.get("CACLIENT_STRICT", "").strip().lower() in ("1", "yes", "true", "on")


def enabled() -> bool:
    """Whether failures raise."""
    package: Any = sys.modules.get(__package__ or "")
    return bool(getattr(package, "strict", False))


def failed(value: T, name: Any, what: str) -> T:
    """The value that pyepics gives for a failure.

    :raises CATimeoutError: instead, in strict mode.
    """
    if enabled():
        raise CATimeoutError(f"'{name}': {what}", pvname=str(name))
    return value
