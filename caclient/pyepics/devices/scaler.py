"""The scaler record."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.ca import poll
from caclient.pyepics.device import Device


class Scaler(Device):
    """A scaler with its channels, and the calculations that go with it."""

    attrs: Any = ("CNT", "CONT", "TP", "T", "VAL")
    attr_kws: Any = {"calc_enable": "%s_calcEnable.VAL"}  # noqa: RUF012  scripts look at these tables
    chan_attrs: Any = ("NM%i", "S%i")
    calc_attrs: Any = {"calc%i": "%s_calc%i.VAL", "expr%i": "%s_calc%i.CALC"}  # noqa: RUF012
    _nonpvs: Any = ("_prefix", "_pvs", "_delim", "_nchan", "_chans", "_init", "_aliases", "_mutable", "_nonpvs")

    def __init__(self, prefix: str, nchan: int = 8) -> None:
        self.__dict__["_nchan"] = nchan
        self.__dict__["_chans"] = range(1, nchan + 1)
        prefix = prefix.removesuffix(".")
        attrs = [*self.attrs, *(form % channel for form in self.chan_attrs for channel in self._chans)]
        super().__init__(prefix, delim=".", attrs=attrs)
        for attr, form in self.attr_kws.items():
            self.add_pv(form % prefix, attr=attr)
        for channel in self._chans:
            for attr, form in self.calc_attrs.items():
                self.add_pv(form % (prefix, channel), attr=attr % channel)
        self.__dict__["_mutable"] = False

    def AutoCountMode(self) -> None:
        """Count again and again."""
        self.put("CONT", 1)

    def OneShotMode(self) -> None:
        """Count once when told to."""
        self.put("CONT", 0)

    def CountTime(self, ctime: float) -> None:
        """Seconds to count."""
        self.put("TP", ctime)

    def Count(self, ctime: float | None = None, wait: bool = False) -> None:
        """Count, for so many seconds if given."""
        if ctime is not None:
            self.CountTime(ctime)
        self.put("CNT", 1, wait=wait)
        poll()

    def EnableCalcs(self) -> None:
        """Have the calculations made."""
        self.put("calc_enable", 1)

    def setCalc(self, i: int, calc: str) -> None:
        """The expression of a calculation."""
        self.put(f"expr{i}", calc)

    def getNames(self) -> list[Any]:
        """Names of the channels."""
        return [self.get(f"NM{channel}") for channel in self._chans]

    def Read(self, use_calc: bool = False) -> list[Any]:
        """Counts of the channels, or their calculations."""
        form = "calc{}" if use_calc else "S{}"
        return [self.get(form.format(channel)) for channel in self._chans]
