"""Why a PV does not answer, or that all is well: facts -> a cause, sentences, and what to do next.

The first of the rules that holds is the cause, the others are told beside it. Pure: no clock, no I/O, no channel.
"""

from __future__ import annotations

import html
import math
from typing import Any, Final

from caclient.client.causes import RULES, Cause, Rule, in_seconds, searched
from caclient.client.facts import Facts

_LAST: Final = RULES[-1]
_CONNECTED: Final = frozenset((Cause.HEALTHY, Cause.NO_WRITE_ACCESS, Cause.DUPLICATE, Cause.CALLBACK_BUSY))
"""Causes that do not keep a server from answering."""


class Diagnosis:
    """Why, at one moment: the cause, what there is to say about it, and what to do next. Immutable; it pickles.

    Nothing is worked out before somebody looks.
    """

    __slots__ = ("_facts", "_rules")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._rules: tuple[Rule, ...] | None = None

    def _holding(self) -> tuple[Rule, ...]:
        if self._rules is None:
            self._rules = tuple(rule for rule in RULES if rule.holds(self._facts)) or (_LAST,)
        return self._rules

    @property
    def pvname(self) -> str:
        """The name that it is about."""
        return self._facts.pvname

    @property
    def cause(self) -> Cause:
        """The first cause that holds."""
        return self._holding()[0].cause

    @property
    def also(self) -> tuple[Cause, ...]:
        """The others that hold, in order."""
        causes = dict.fromkeys(rule.cause for rule in self._holding())
        return tuple(cause for cause in causes if cause not in (self.cause, Cause.HEALTHY))

    @property
    def says(self) -> str:
        """The cause as a sentence."""
        return self._holding()[0].says(self._facts)

    @property
    def advice(self) -> str:
        """What to do next; ``""`` if nothing need be done."""
        return self._holding()[0].advice(self._facts)

    @property
    def facts(self) -> dict[str, Any]:
        """All that is known, by name; what is not known is left out."""
        facts = self._facts
        known: dict[str, Any] = {
            "pvname": facts.pvname,
            "state": facts.state,
            **{name: getattr(facts, name) for name in _TOLD if getattr(facts, name) not in (None, "", 0, False, ())},
            "destinations": [to._asdict() for to in facts.around.destinations],
            "identity": facts.who,
            "also": [str(cause) for cause in self.also],
        }
        if facts.around.config is not None:
            known["settings"] = facts.around.config.describe()
        return known

    def failure(self) -> str:
        """The text of an error: the verdict, how far the call got, and what to do next."""
        facts = self._facts
        verdict, says, advice = self._verdict()
        late = facts.phase in ("search", "connect", "create")
        state = " not connected" if late or facts.lost or facts.state == "unresponsive" else ""
        waited = "" if facts.elapsed is None else f" after {in_seconds(facts.elapsed)}"
        return f"{verdict}: '{facts.pvname}'{state}{waited}: {says}" + (f"; {advice}" if advice else "")

    def _verdict(self) -> tuple[str, str, str]:
        facts, cause = self._facts, self.cause
        if cause not in _CONNECTED:
            return str(cause).replace("-", " "), self.says, self.advice
        if facts.phase not in ("request", "processing"):
            return "too late", f"it has connected only now, to {facts.where}", "give a longer timeout"
        if facts.phase == "processing":
            says = f"the put was sent to {facts.where}, and the record has not finished processing"
            return "not completed", says, "the value may still arrive; give a longer timeout, or math.inf"
        age = f"connected for {in_seconds(facts.age)}, " if facts.age is not None else ""
        heard = f"{age}last heard {in_seconds(facts.heard)} ago"
        partly = f"; {facts.missing} bytes of a message are still to come" if facts.missing else ""
        unsent = f"; {facts.unsent} bytes could not be sent yet" if facts.unsent else ""
        late = f"; our own thread was late by {in_seconds(facts.around.late)}" if facts.around.late > 0.1 else ""
        says = f"the request was sent to {facts.where}, {heard}{partly}{unsent}{late}"
        return "no answer", says, "the record or its device may be slow: give a longer timeout"

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can say."""
        return {"cause": str(self.cause), "says": self.says, "advice": self.advice, "facts": _plain(self.facts)}

    def __str__(self) -> str:
        lines = [f"{self.pvname}: {self.cause}", f"  {self.says}"]
        lines += [f"  next: {self.advice}"] if self.advice else []
        lines += [f"  also: {', '.join(map(str, self.also))}"] if self.also else []
        return "\n".join(lines + [f"  {name}: {text}" for name, text in self._rows()])

    def _rows(self) -> list[tuple[str, str]]:
        facts = self._facts
        rows = [
            ("server", facts.address or facts.answered_by or ""),
            ("heard", "" if facts.heard is None else f"{in_seconds(facts.heard)} ago"),
            ("round trip", "" if facts.round_trip is None else f"{facts.round_trip * 1e3:.3f} ms"),
            ("searched", searched(facts) if facts.searches and facts.around.destinations else ""),
            ("type", f"{facts.native_type}[{facts.count}], {facts.access}" if facts.native_type else ""),
            ("updates", f"{facts.queued} wait, {facts.dropped} dropped, {facts.thinned} thinned"),
            ("paused", "the server was asked to send no updates for a while" if facts.paused else ""),
            (
                "was",
                " > ".join(what + ("" if math.isnan(ago) else f" for {in_seconds(ago)}") for ago, what in facts.moves),
            ),
        ]
        if facts.around.config is not None and facts.lost:
            given = [line for line in facts.around.config.describe() if "(default)" not in line]
            rows += [("setting", line) for line in given if "(EPICS_CAS_" not in line]  # which are for servers
        return [(name, text) for name, text in rows if text]

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.pvname!r}: {self.cause}: {self.says}>"

    def _repr_html_(self) -> str:
        rows = [("", self.says), ("next", self.advice), ("also", ", ".join(map(str, self.also))), *self._rows()]
        cells = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows if text
        )
        return f"<table><caption>{html.escape(self.pvname)}: {self.cause}</caption>{cells}</table>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Diagnosis, (self._facts,)


_TOLD: Final = (
    "elapsed",
    "phase",
    "closed",
    "searches",
    "answered_by",
    "record_at",
    "refusal",
    "not_created",
    "connected_until",
    "address",
    "age",
    "heard",
    "round_trip",
    "unanswered",
    "missing",
    "unsent",
    "native_type",
    "count",
    "access",
    "paused",
    "busy",
    "busy_for",
    "queued",
    "pending",
    "dropped",
    "thinned",
    "other",
    "note",
    "moves",
)
"""Facts that are told where they are known."""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
