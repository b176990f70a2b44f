"""Every verb: what it is for, an example or two, and the options of those that read them as EPICS Base's tools do."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One option of a tool: how it is written, and what it does."""

    letter: str
    metavar: str
    text: str


class Verb(NamedTuple):
    """One verb. Those with ``words`` are EPICS Base's tools: ``options`` are for reading, not for parsing."""

    summary: str
    examples: tuple[str, ...]
    words: str = ""
    options: tuple[Row, ...] = ()


_GENERAL = (
    Row("h", "", "print how it is called"),
    Row("V", "", "print versions"),
    Row("w", "SECONDS", "how long to wait for each step: 1 by default, or EPICS_CLI_TIMEOUT; 0 is without end"),
    Row("p", "PRIORITY", "Channel Access priority, 0 to 99"),
)
_LISTS = (
    Row("-json", "", "print one JSON object a line"),
    Row("-from-file", "FILE", "names from a file, blanks or lines between them; - is standard input"),
)
_NUMBERS = (
    Row("e", "DIGITS", "floating-point numbers with an exponent"),
    Row("f", "DIGITS", "floating-point numbers with a fixed point"),
    Row("g", "DIGITS", "floating-point numbers with so many significant digits"),
    Row("s", "", "floating-point numbers as the server's text, with the record's precision"),
    Row("lx", "", "floating-point numbers rounded to hexadecimal integers; -lo octal, -lb binary"),
    Row("0x", "", "integers in hexadecimal; -0o octal, -0b binary"),
    Row("n", "", "states as numbers instead of names"),
    Row("S", "", "arrays of characters as text"),
    Row("#", "COUNT", "so many elements of an array"),
    Row("F", "CHARACTER", "what stands between the fields instead of a blank"),
)

TOOLS: dict[str, Verb] = {
    "get": Verb(
        "read and print PVs, like caget",
        ("caclient get m1.RBV m1.DMOV", "caclient get -a -f 3 m1.RBV", "caclient get --json --from-file motors.txt"),
        "NAME...",
        (
            *_GENERAL,
            Row("c", "", "only the elements that an array has at the moment"),
            Row("t", "", "values only, without names"),
            Row("a", "", "with time stamp and alarm"),
            Row("d", "TYPE", "ask for this DBR type, by number or name, and print all that it carries"),
            *_NUMBERS,
            *_LISTS,
        ),
    ),
    "put": Verb(
        "write a PV, like caput",
        ("caclient put m1 3.5", "caclient put -c -w 60 m1 3.5", "caclient put -a waveform 3 1 2 3"),
        "NAME VALUE...",
        (
            *_GENERAL,
            Row("c", "", "wait until the record has finished processing"),
            Row("t", "", "print the new value only"),
            Row("l", "", "print time stamps and alarms too"),
            Row("n", "", "values are numbers of states"),
            Row("s", "", "values are names of states"),
            Row("S", "", "the values are one text for an array of characters"),
            Row("a", "", "the values are elements of an array, after their number"),
            Row("F", "CHARACTER", "what stands between the fields instead of a blank"),
        ),
    ),
    "monitor": Verb(
        "print each event of PVs, like camonitor",
        ("caclient monitor m1.RBV", "caclient monitor -t sI -m va m1.RBV m2.RBV"),
        "NAME...",
        (
            *_GENERAL,
            Row("m", "MASK", "which events: v value, a alarm, l log, p property; va by default"),
            Row(
                "t",
                "LETTERS",
                "time stamps: s server, c client, n none; r since the first, i and I since the one before",
            ),
            *_NUMBERS,
            *_LISTS,
        ),
    ),
    "info": Verb(
        "tell where PVs are served and what they are, like cainfo",
        ("caclient info m1.RBV",),
        "NAME...",
        (*_GENERAL, Row("s", "LEVEL", "what the client knows of itself instead"), *_LISTS),
    ),
}

COMMANDS: dict[str, Verb] = {
    "why": Verb(
        "tell why a PV does not answer, or that all is well, and what to do",
        ("caclient why m1.RBV", "caclient why --json m1.RBV m2.RBV"),
    ),
    "find": Verb(
        "tell which servers have a PV, or which servers there are",
        ("caclient find m1.RBV", "caclient find"),
    ),
    "watch": Verb(
        "show PVs as a table that keeps itself up to date",
        ("caclient watch m1.RBV m2.RBV shutter", "caclient watch --from-file motors.txt"),
    ),
    "snapshot": Verb(
        "save the values of PVs to a file",
        ("caclient snapshot m1 m2 shutter -o before.json", "caclient snapshot --from-file motors.txt -o before.json"),
    ),
    "restore": Verb(
        "put the values of a snapshot back, where they differ",
        ("caclient restore --dry-run before.json", "caclient restore before.json"),
    ),
    "audit": Verb(
        "list the calls of pyepics in scripts that differ on caclient.pyepics",
        ("caclient audit scan.py", "caclient audit ~/scripts"),
    ),
    "demo": Verb(
        "start a demo IOC, then read, write and watch it, and see it go and come back",
        ("caclient demo",),
    ),
    "ioc": Verb(
        "run one of the example IOCs",
        ("caclient ioc random_walk", "caclient ioc random_walk --interface 0.0.0.0 --prefix demo:"),
    ),
    "repeater": Verb(
        "hand beacons on to all clients of this host",
        ("caclient repeater",),
    ),
    "completion": Verb(
        "print what a shell needs to complete this command",
        ('eval "$(caclient completion bash)"', "caclient completion fish > ~/.config/fish/completions/caclient.fish"),
    ),
}

ALL = TOOLS | COMMANDS
