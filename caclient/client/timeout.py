"""What `timeout` means, for every call: seconds for the whole of it, connection included.

The default is the sentinel ``DEFAULT``: the PV's own timeout if it was given one, else its context's. ``math.inf`` is
no limit, 0 is "from memory, or fail at once". Anything else is refused before anything is done, in memory or not.
"""

from __future__ import annotations

import enum
import math
import time
from numbers import Real
from typing import Any, Final, TypeAlias

from caclient.errors import BadValueError, WrongTypeError
from caclient.settings import shown


class Default(enum.Enum):
    """The type of ``DEFAULT``."""

    DEFAULT = "DEFAULT"

    def __repr__(self) -> str:
        return "DEFAULT"

    __str__ = __repr__


DEFAULT: Final = Default.DEFAULT
"""The timeout that the PV was given, else its context's, else 5 s."""

Timeout: TypeAlias = "float | Default"

SECONDS: Final = 5.0
"""What a context's timeout is unless it is told otherwise."""
_ADVICE: Final = "give seconds, as in timeout=2.5; math.inf waits for ever, 0 not at all"


def seconds(timeout: Any, name: str = "timeout", needed: bool = False) -> float:
    """A timeout as a float of 0 or more, perhaps infinite; *needed*: there is no default.

    :raises BadValueError: if it is none: text, negative, NaN, None (which elsewhere means now this, now that).
    """
    if type(timeout) is float or type(timeout) is int:
        number = float(timeout)
    elif timeout is None:
        default = "" if needed else "leave it out for the default; "
        raise WrongTypeError(f"{name}=None: {default}{_ADVICE}")
    elif isinstance(timeout, bool) or not isinstance(timeout, Real):
        raise WrongTypeError(f"{name}={shown(timeout)}: {_ADVICE}")
    else:
        number = float(timeout)
    if not number >= 0.0:
        raise BadValueError(f"{name}={shown(timeout)}: {_ADVICE}")
    return number


def limit(timeout: Timeout, fallback: float) -> float:
    """The seconds that a call has: those it was given, else *fallback*."""
    return fallback if timeout is DEFAULT else seconds(timeout)


def deadline(timeout: Timeout, fallback: float) -> float:
    """The monotonic moment by which a call that begins now has to end."""
    return time.monotonic() + (fallback if timeout is DEFAULT else seconds(timeout))


def own(timeout: Timeout) -> Timeout:
    """A timeout that is kept for later, checked now."""
    return timeout if timeout is DEFAULT else seconds(timeout)


def remaining(moment: float) -> float:
    """Seconds until a monotonic moment, 0 if it has passed."""
    return math.inf if moment == math.inf else max(0.0, moment - time.monotonic())
