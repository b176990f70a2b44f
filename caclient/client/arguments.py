"""What calls take: after the star of a signature all goes by name, and who gives something else is told what to write.

Python would only count what was given by position, and name what it does not know. So such a call takes a surplus that
is of no type (``*more: Never, **others: Never``: type checkers refuse it), does not show it, and says what to do
instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from caclient.errors import WrongTypeError
from caclient.settings import shown

_Call = TypeVar("_Call", bound=Callable[..., Any])

_COUNTED: Final = {0: "nothing", 1: "one argument", 2: "two arguments"}
_OF_PYEPICS: Final = {
    **dict.fromkeys(("conn_timeout", "connection_timeout", "put_timeout"), "write timeout=, seconds for all of it"),
    **dict.fromkeys(("form", "verbose"), "leave it out"),
    "as_numpy": "leave it out: an array is a numpy array",
    "callback": "to be called when a put is done, take PV.begin_put(value).add_done_callback(...)",
    "callback_data": "give the callback what it needs with functools.partial",
    "count": "it is for PV.get(), caget() and caget_many()",
    "use_complete": "take PV.begin_put(value), whose done() tells",
    "with_ctrlvars": "take PV.read(), which tells units and limits as well",
}
"""What to do instead of giving what pyepics takes."""


def by_name(call: _Call) -> _Call:
    """Show no surplus in the signature of *call*."""
    signature = inspect.signature(call)
    hidden = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    shown = [each for each in signature.parameters.values() if each.kind not in hidden]
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


def unknown(call: str, function: Callable[..., Any], given: Iterable[str]) -> Exception:
    """What to raise for arguments that were *given* by names that *function* does not have."""
    name = next(iter(given))
    names = [each.name for each in inspect.signature(function).parameters.values() if each.kind is each.KEYWORD_ONLY]
    advice = _OF_PYEPICS.get(name)
    if advice is None:
        close = get_close_matches(name, names, 1)
        advice = f"did you mean {close[0]}=?" if close else f"it takes {', '.join(names)}"
    return WrongTypeError(f"{call}() takes no {name}=: {advice}")
