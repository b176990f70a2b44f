"""The law as pictures: `python -m caclient.protocol.diagrams` writes the page of the reference that shows it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from caclient.protocol.command import Role
from caclient.protocol.states import LAWS, TOLERANCES, Law, State, table

_MOST_NAMES = 12
"""Names that an arrow shows; a loop with more than that says how many there are."""
_HEAD = """\
# State machines

Generated from `caclient/protocol/states.py` by `python -m caclient.protocol.diagrams`; a test holds both equal.

Every command, whoever sends it, is looked up in the machine of both peers. A command that either of them does not list
in its state is illegal: sending it raises `LocalProtocolError`, receiving it `RemoteProtocolError`. The moves that the
plain rules would forbid, and that real peers make, are listed below each picture with their reason.
"""


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([_HEAD, *(line for name, law in LAWS.items() for line in _section(name, law))])


def mermaid(law: Law, role: Role) -> str:
    """One peer's machine as a Mermaid state diagram; commands between the same two states share an arrow."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(law[role])).name}"]
    for state, arrows in _arrows(law, role):
        for target, commands in arrows.items():
            lines += [f"    {state.name} --> {target.name}: {_label(commands)}"]
        if not arrows:
            lines += [f"    {state.name} --> [*]"]
    return "\n".join(lines)


def _label(commands: list[str]) -> str:
    return "<br/>".join(sorted(commands)) if len(commands) <= _MOST_NAMES else f"{len(commands)} other commands"


def _arrows(law: Law, role: Role) -> Iterator[tuple[State, dict[State, list[str]]]]:
    for state, moves in table(law)[role].items():
        arrows: dict[State, list[str]] = {}
        for command, target in moves.items():
            arrows.setdefault(target, []).append(command.__name__)
        yield state, arrows


def _section(name: str, law: Law) -> Iterator[str]:
    yield f"## The {name}\n"
    for role in Role:
        yield f"As the {role.value} goes through it:\n\n```mermaid\n{mermaid(law, role)}\n```\n"
    yield from _tolerances(law)


def _tolerances(law: Law) -> Iterator[str]:
    rows: dict[tuple[str, str, str], list[str]] = {}
    for entry in TOLERANCES:
        if entry.law is law:
            key = (entry.role.value, entry.state.name, entry.reason)
            rows.setdefault(key, []).append(entry.command.__name__)
    yield "| by the | in state | tolerated | because |\n|---|---|---|---|"
    for (role, state, reason), commands in rows.items():
        yield f"| {role} | {state} | {', '.join(commands)} | {reason} |"
    yield ""


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(page())


if __name__ == "__main__":
    main()
