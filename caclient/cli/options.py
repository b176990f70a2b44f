"""What the options of ``get``, ``put``, ``monitor`` and ``info`` say, with all the habits of EPICS Base's tools.

A bad argument costs a line on standard error and is ignored; an unknown option ends the program. Both are said in the
order of the command line.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from caclient.dbr.types import ChannelType

from . import getopt
from .blocks import request_type
from .escapes import from_raw, to_raw
from .formats import MAX_DIGITS, Style
from .numbers import leading_integer, leading_unsigned, whole_float

MAX_PRIORITY = 99
VALUE, LOG, ALARM, PROPERTY = 1, 2, 4, 8
DEFAULT_WAIT = 1.0
TIMEOUT_VARIABLE = "EPICS_CLI_TIMEOUT"

_OURS = ("json", "help", "version")
_OURS_WITH_ARGUMENT = ("from-file",)

GET = getopt.Letters("taicnhsSV", "efgl#d0wpF", _OURS, _OURS_WITH_ARGUMENT)
PUT = getopt.Letters("cnlhatsVS", "#wpF", ("help", "version"), stop_early=True)
MONITOR = getopt.Letters("nhVsS", "mefgl#0wtpF", _OURS, _OURS_WITH_ARGUMENT)
INFO = getopt.Letters("nhV", "wsp", _OURS, _OURS_WITH_ARGUMENT)


class Form(Enum):
    """What is printed of a PV."""

    PLAIN = "plain"
    TERSE = "terse"
    ALL = "all"
    TYPED = "typed"


class Call(Enum):
    """What else may be asked for instead of doing anything."""

    USAGE = "usage"
    """The usage text on standard error, because it was asked for."""
    MISUSE = "misuse"
    """The same, because an option has no function."""
    HELP = "help"
    """Help with an example."""
    VERSIONS = "versions"
    """Base's form of it: an empty line before."""
    VERSION = "version"


class UsageError(Exception):
    """Nothing can be done; the text goes to standard error as it is."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Options:
    """What the command line said."""

    words: list[str] = field(default_factory=list)
    """What was no option: names, and for ``put`` the values."""
    style: Style = field(default_factory=Style)
    form: Form = Form.PLAIN
    wait: float = DEFAULT_WAIT
    priority: int = 0
    count: int = 0
    """Elements asked for; 0 is not said, a negative one all."""
    live_count: bool = False
    """Only the elements that there are."""
    data_type: ChannelType | None = None
    mask: int = VALUE | ALARM
    server_time: bool = True
    client_time: bool = False
    time_kind: str = ""
    completion: bool = False
    as_array: bool = False
    states_by_name: bool = False
    interest: int = 0
    json: bool = False
    from_files: list[str] = field(default_factory=list)
    call: Call | None = None


class Parser:
    """One reading of a command line: ``say`` is told what is wrong, as it is found."""

    def __init__(self, program: str, say: Callable[[str], None], environ: Mapping[str, str] | None = None) -> None:
        self.options = Options()
        self._program = program
        self._say = say
        self._environ = os.environ if environ is None else environ

    def get(self, arguments: Sequence[str]) -> Options:
        """The options of ``get``."""
        letters: dict[str, Callable[[str], None]] = {
            **self._value_letters(),
            "t": lambda _: self._form(Form.TERSE),
            "a": lambda _: self._form(Form.ALL),
            "d": self._data_type,
            "c": lambda _: self._set("live_count", True),
            "i": lambda _: self._call(Call.MISUSE),
            "0": lambda text: self._base(text, "0", typed=True),
        }
        return self._parse(arguments, GET, letters)

    def put(self, arguments: Sequence[str]) -> Options:
        """The options of ``put``; ``words`` are the name and the values."""
        letters: dict[str, Callable[[str], None]] = {
            **self._common_letters(),
            "t": lambda _: self._set("form", Form.TERSE),
            "l": lambda _: self._set("form", Form.ALL),
            "c": lambda _: self._set("completion", True),
            "a": lambda _: self._array(True),
            "S": lambda _: self._array(False),
            "n": lambda _: self._states(as_numbers=True),
            "s": lambda _: self._states(as_numbers=False),
            "#": self._count,
            "F": self._separator,
        }
        return self._parse(arguments, PUT, letters)

    def monitor(self, arguments: Sequence[str]) -> Options:
        """The options of ``monitor``."""
        letters: dict[str, Callable[[str], None]] = {
            **self._value_letters(),
            "m": self._mask,
            "t": self._times,
            "0": lambda text: self._base(text, "0"),
        }
        return self._parse(arguments, MONITOR, letters)

    def info(self, arguments: Sequence[str]) -> Options:
        """The options of ``info``."""
        letters: dict[str, Callable[[str], None]] = {
            **self._common_letters(),
            "n": lambda _: self._call(Call.MISUSE),
            "s": self._interest,
        }
        return self._parse(arguments, INFO, letters)

    # -- the walk ------------------------------------------------------------------------------------------------------

    def _parse(
        self, arguments: Sequence[str], letters: getopt.Letters, actions: Mapping[str, Callable[[str], None]]
    ) -> Options:
        self._environment()
        try:
            for option in getopt.options(arguments, letters, self.options.words):
                actions[option.name](option.argument)
                if self.options.call is not None:
                    break
        except getopt.BadOption as error:
            raise UsageError(f"{error} {self.hint}") from None
        return self.options

    @property
    def hint(self) -> str:
        """Where to find help, as it stands at the end of a complaint."""
        return f"('{self._program} -h' for help.)"

    def _common_letters(self) -> dict[str, Callable[[str], None]]:
        return {
            "h": lambda _: self._call(Call.USAGE),
            "V": lambda _: self._call(Call.VERSIONS),
            "help": lambda _: self._call(Call.HELP),
            "version": lambda _: self._call(Call.VERSION),
            "json": lambda _: self._set("json", True),
            "from-file": lambda text: self.options.from_files.append(text),
            "w": self._wait,
            "p": self._priority,
        }

    def _value_letters(self) -> dict[str, Callable[[str], None]]:
        """What ``get`` and ``monitor`` have in common."""
        style = self.options.style
        return {
            **self._common_letters(),
            "n": lambda _: setattr(style, "states_as_numbers", True),
            "s": lambda _: setattr(style, "floats_as_strings", True),
            "S": lambda _: setattr(style, "characters_as_text", True),
            "e": lambda text: self._digits(text, "e"),
            "f": lambda text: self._digits(text, "f"),
            "g": lambda text: self._digits(text, "g"),
            "l": lambda text: self._base(text, "l"),
            "#": self._count,
            "F": self._separator,
        }

    # -- one option each -----------------------------------------------------------------------------------------------

    def _set(self, name: str, value: object) -> None:
        setattr(self.options, name, value)

    def _call(self, call: Call) -> None:
        self.options.call = call

    def _environment(self) -> None:
        text = self._environ.get(TIMEOUT_VARIABLE)
        if text is None:
            return
        seconds = whole_float(text)
        if seconds is None:
            self._say(
                f"'{text}' is not a valid timeout value (from '{TIMEOUT_VARIABLE}' in the environment) - ignored. "
                "(use '-h' for help.)"
            )
        else:
            self.options.wait = seconds

    def _form(self, form: Form) -> None:
        if self.options.form is not Form.PLAIN:
            self._say(f"Options t,d,a are mutually exclusive. {self.hint}")
        self.options.form = form

    def _data_type(self, text: str) -> None:
        """A number or a name; anything else puts the plain form back."""
        self._form(Form.TYPED)
        number = leading_integer(text)
        data_type = request_type(text) if number is None else _readable(number)
        if data_type is None:
            self._say(f"Requested dbr type out of range or invalid - ignored. {self.hint}")
            self.options.form = Form.PLAIN
        else:
            self.options.data_type = data_type

    def _wait(self, text: str) -> None:
        seconds = whole_float(text)
        if seconds is None:
            using = _fixed(self.options.wait)
            self._say(f"'{text}' is not a valid timeout value - ignored, using '{using}'. {self.hint}")
        else:
            self.options.wait = seconds

    def _priority(self, text: str) -> None:
        priority = leading_unsigned(text)
        if priority is None:
            self._say(f"'{text}' is not a valid CA priority - ignored. {self.hint}")
        self.options.priority = min(priority or 0, MAX_PRIORITY)

    def _count(self, text: str) -> None:
        count = leading_integer(text)
        if count is None:
            self._say(f"'{text}' is not a valid array element count - ignored. {self.hint}")
        self.options.count = count or 0

    def _digits(self, text: str, letter: str) -> None:
        digits = leading_integer(text)
        if digits is None:
            self._say(f"Invalid precision argument '{text}' for option '-{letter}' - ignored.")
        elif 0 <= digits <= MAX_DIGITS:
            self.options.style.set_digits(letter, digits)
        else:
            self._say(f"Precision {digits} for option '-{letter}' out of range - ignored.")

    def _base(self, text: str, letter: str, typed: bool = False) -> None:
        """``x``, ``o`` or ``b``; for integers in ``get`` it replaces the type asked for, too."""
        base = text[:1]
        if base not in ("x", "o", "b"):
            self._say(f"Invalid argument '{text}' for option '-{letter}' - ignored.")
        elif letter == "l":
            self.options.style.float_base = base
        else:
            self.options.style.integer_base = base
            if typed:
                self.options.data_type = ChannelType.LONG

    def _separator(self, text: str) -> None:
        self.options.style.separator = from_raw(to_raw(text)[:1]) or "\0"

    def _array(self, wanted: bool) -> None:
        self.options.as_array = wanted
        self.options.style.characters_as_text = not wanted

    def _states(self, as_numbers: bool) -> None:
        self.options.style.states_as_numbers = as_numbers
        self.options.states_by_name = not as_numbers

    def _mask(self, text: str) -> None:
        mask = 0
        for letter in text:
            if letter not in _MASK:
                self._say(f"Invalid argument '{text}' for option '-m' - ignored.")
                mask = VALUE | ALARM
                break
            mask |= _MASK[letter]
        self.options.mask = mask

    def _times(self, text: str) -> None:
        options = self.options
        options.server_time, options.client_time = "s" in text, "c" in text
        for letter in text:
            if letter in "riI":
                options.time_kind = letter
            elif letter not in "scn":
                self._say(f"Invalid argument '{letter}' for option '-t' - ignored.")

    def _interest(self, text: str) -> None:
        interest = leading_integer(text)
        if interest is None:
            self._say(f"'{text}' is not a valid interest level - ignored. {self.hint}")
        self.options.interest = interest or 0


_MASK = {"v": VALUE, "a": ALARM, "l": LOG, "p": PROPERTY}


def _readable(number: int) -> ChannelType | None:
    """The type of a number, if there is one and it can be read."""
    if not 0 <= number <= ChannelType.CLASS_NAME or number in (ChannelType.PUT_ACKT, ChannelType.PUT_ACKS):
        return None
    return ChannelType(number)


def _fixed(seconds: float) -> str:
    """As C's ``%.1f``, which Python's is but for what is no number."""
    return f"{seconds:.1f}" if not math.isnan(seconds) else "nan"
