"""A group of PVs with one prefix, as attributes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .ca import poll
from .pv import PV as EpicsPV, get_pv
from .utils import IOENCODING

__all__ = ["IOENCODING", "Device", "get_pv", "poll"]

_LATER = 5.0
"""Seconds that a PV may take to connect which is made when it is first looked at."""


class Device:
    """PVs of one prefix: ``device.NAME`` reads, ``device.NAME = value`` writes; what is not known yet is made."""

    _prefix: Any = None
    _delim = ""
    _pvs: Any = {}  # noqa: RUF012  subclasses and scripts look at it; each instance has its own
    _init = False
    _aliases: Any = {}  # noqa: RUF012
    _mutable = True
    _nonpvs: Any = ("_prefix", "_pvs", "_delim", "_init", "_aliases", "_mutable", "_nonpvs")

    def __init__(
        self,
        prefix: str = "",
        attrs: Any = None,
        nonpvs: Any = None,
        delim: str = "",
        timeout: float | None = None,
        mutable: bool = True,
        aliases: Any = None,
        with_poll: bool = True,
    ) -> None:
        mine = self.__dict__
        mine["_nonpvs"] = [*self._nonpvs, *(nonpvs or ())]
        mine["_delim"] = delim
        mine["_prefix"] = prefix + delim
        mine["_pvs"] = {}
        mine["_mutable"] = mutable
        mine["_aliases"] = {**self._aliases, **(aliases or {})}
        for attr in [*(attrs or ()), *self._aliases.values()]:
            self.PV(attr, connect=False, connection_timeout=timeout, timeout=timeout)
        if with_poll:
            poll()
        mine["_init"] = True

    def PV(self, attr: str, connect: bool = True, **kw: Any) -> EpicsPV:
        """The PV of an attribute, made if there is none."""
        found: EpicsPV | None = self._pvs.get(attr)
        if found is None:
            kw.pop("connection_timeout", None)
            found = self._pvs[attr] = get_pv(f"{self._prefix}{attr}", **kw)
        if connect and not found.connected:
            found.wait_for_connection()
        return found

    def add_pv(self, pvname: str, attr: str | None = None, **kw: Any) -> EpicsPV:
        """A PV of any name as an attribute."""
        attr = pvname if attr is None else attr
        self._pvs[attr] = get_pv(pvname, **kw)
        return self._pvs[attr]  # type: ignore[no-any-return]

    def put(self, attr: str, value: Any, wait: bool = False, use_complete: bool = False, timeout: float = 10) -> Any:
        """Write to an attribute."""
        return self.PV(attr).put(value, wait=wait, use_complete=use_complete, timeout=timeout)

    def get(self, attr: str, as_string: bool = False, count: int | None = None, timeout: float | None = None) -> Any:
        """The value of an attribute."""
        return self.PV(attr).get(as_string=as_string, count=count, timeout=timeout)

    def save_state(self) -> dict[str, Any]:
        """All values by attribute; text for arrays of characters."""
        out: dict[str, Any] = {}
        for attr in list(self._pvs):
            found = self.PV(attr)
            out[attr] = self.get(attr)
            if found.count > 1 and found.type == "char":
                out[attr] = self.get(attr, as_string=True)
        return out

    def get_all(self) -> dict[str, Any]:
        """All values by attribute."""
        return self.save_state()

    def restore_state(self, state: dict[str, Any]) -> None:
        """Write values by attribute: those that are known and can be written."""
        for attr, value in state.items():
            found = self._pvs.get(attr)
            if found is not None and "write" in found.access:
                found.put(value)

    def write_state(self, fname: str, state: dict[str, Any] | None = None) -> None:
        """Write values to a file: those that can be written and have one element."""
        state = self.save_state() if state is None else state
        head = f"#Device Saved State for {type(self).__name__},prefix='{self._prefix}',time={time.ctime()}"
        lines = [head]
        for attr in sorted(state):
            found = self._pvs.get(attr)
            if found is not None and "write" in found.access and found.count == 1:
                lines.append(f"{attr} {state[attr]}")
        with open(fname, "w", encoding=IOENCODING) as file:
            file.write("\n".join(lines) + "\n")

    def read_state(self, fname: str, restore: bool = False) -> dict[str, Any]:
        """Values out of such a file, as text; *restore* writes them."""
        with open(fname, encoding=IOENCODING) as file:
            lines = file.readlines()
        state: dict[str, Any] = {}
        for line in lines:
            if line.startswith("#"):
                continue
            attr, _, text = line.rstrip("\n").partition(" ")
            found = self._pvs.get(attr)
            if found is not None:
                state[attr] = _from_text(text, found.type)
        if restore:
            self.restore_state(state)
        return state

    def add_callback(self, attr: str, callback: Callable[..., Any], **kws: Any) -> Any:
        """Have *callback* called at each update of an attribute; the index."""
        self.get(attr)
        return self.PV(attr).add_callback(callback, **kws)

    def remove_callbacks(self, attr: str, index: Any = None) -> None:
        """Call a callback of an attribute no more."""
        self.PV(attr).remove_callback(index=index)

    def __getattr__(self, attr: str) -> Any:
        if attr in self._aliases:
            attr = self._aliases[attr]
        if attr in self._pvs:
            return self.get(attr)
        if self._init and self._mutable and not attr.startswith("__"):
            found = self.PV(attr, connect=True, timeout=_LATER)
            if found.connected:
                return found.get()
        raise AttributeError(f"{type(self).__name__} has no attribute {attr}")

    def __setattr__(self, attr: str, val: Any) -> None:
        member = getattr(type(self), attr, None)
        if attr in self._aliases:
            attr = self._aliases[attr]
        if attr in self._nonpvs:
            self.__dict__[attr] = val
        elif isinstance(member, property) and member.fset is not None:
            member.fset(self, val)
        elif attr in self._pvs:
            self.put(attr, val)
        elif self._init and self._mutable:
            try:
                self.PV(attr)
                self.put(attr, val)
            except (TypeError, ValueError):
                raise
        elif self._init:
            raise AttributeError(f"{type(self).__name__} has no attribute {attr}")

    def __dir__(self) -> list[str]:
        return sorted({*self._pvs, *self._aliases, *vars(type(self)), *self.__dict__, *object.__dir__(self)})

    def __repr__(self) -> str:
        prefix = self._prefix
        prefix = prefix.removesuffix(".")
        return f"<Device '{prefix}', {len(self._pvs)} attributes>"

    def pv_property(attr: str, as_string: bool = False, wait: bool = False, timeout: float = 10.0) -> Any:  # type: ignore[misc]  # noqa: N805
        """For a class body: a property that reads and writes an attribute's PV."""
        return property(
            lambda self: self.get(attr, as_string=as_string),
            lambda self, value: self.put(attr, value, wait=wait, timeout=timeout),
            None,
            None,
        )


def _from_text(text: str, kind: str) -> Any:
    """The value in a line; text for the types that carry a time stamp, as in pyepics."""
    if kind in ("double", "float"):
        return float(text)
    if kind in ("int", "long", "short", "enum"):
        return int(text)
    return text
