"""What calls take: after the star of a signature all goes by name, and who gives more by position is told how.

Python would only count what was given. So such a call takes a surplus that is of no type (``*surplus: Never``: type
checkers refuse it), does not show it, and says what to write instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

from caclient.errors import WrongTypeError
from caclient.settings import shown

_Call = TypeVar("_Call", bound=Callable[..., Any])

_COUNTED: Final = {0: "nothing", 1: "one argument", 2: "two arguments"}


def by_name(call: _Call) -> _Call:
    """Show no surplus in the signature of *call*."""
    signature = inspect.signature(call)
    shown = [each for each in signature.parameters.values() if each.kind is not each.VAR_POSITIONAL]
    call.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    return call


def surplus(
    call: str, taken: int, given: tuple[Any, ...], *flags: str, count: bool = False, hint: str = ""
) -> Exception:
    """What to raise for arguments that were *given* by position, beyond the number that is *taken*.

    :param flags: what a truth value could be meant for; *count*: a number could be how many elements, too.
    :param hint: what else may have been meant, if it is no number.
    """
    first = given[0]
    text = shown(first)
    if isinstance(first, bool) and flags:
        write = f"write {' or '.join(f'{name}={text}' for name in flags)}"
    elif isinstance(first, (int, float)):
        write = f"write timeout={text} for seconds" + (f", count={text} for elements" if count else "")
    else:
        write = hint or "the others go by name, as in timeout=5"
    return WrongTypeError(f"{call}() takes {_COUNTED[taken]} by position, and {text} is one more: {write}")
