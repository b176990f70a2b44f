"""The sscan record."""

from __future__ import annotations

import threading
from typing import Any

from caclient.pyepics.ca import poll
from caclient.pyepics.device import Device

NUM_POSITIONERS = 4
NUM_TRIGGERS = 4
NUM_DETECTORS = 70


class ScanException(Exception):
    """There is no such scan, or no room in it."""

    def __init__(self, msg: Any, *args: Any) -> None:
        super().__init__(*args)
        self.msg = msg

    def __str__(self) -> str:
        return str(self.msg)


class Scan(Device):
    """A scan record."""

    attrs: Any = ("VAL", "SMSG", "CMND", "NPTS", "EXSC", "NAME", "PDLY", "PAUS", "CPT", "DDLY")
    pos_attrs: Any = ("PV", "SP", "EP", "SI", "CP", "WD", "PA", "AR", "SM")
    trig_attrs: Any = ("PV", "NV")
    _alias: Any = {  # noqa: RUF012  scripts look at it
        "device": "P1PV",
        "start": "P1SP",
        "end": "P1EP",
        "step": "P1SI",
        "table": "P1PA",
        "absrel": "P1AR",
        "mode": "P1SM",
        "npts": "NPTS",
        "execute": "EXSC",
        "trigger": "T1PV",
        "pause": "PAUS",
        "current_point": "CPT",
    }

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.__dict__["waitSemaphore"] = threading.Semaphore(0)
        attrs = list(self.attrs)
        attrs.extend(f"P{index}{attr}" for index in range(1, NUM_POSITIONERS + 1) for attr in self.pos_attrs)
        attrs.extend(f"T{index}{attr}" for index in range(1, NUM_TRIGGERS + 1) for attr in self.trig_attrs)
        attrs.extend(f"D{index:02d}PV" for index in range(1, NUM_DETECTORS + 1))
        super().__init__(name, delim=".", attrs=attrs, aliases=self._alias, nonpvs=["waitSemaphore"], **kwargs)
        if self.PV("RTYP", timeout=self._first_timeout()).get() != "sscan":
            raise ScanException(f"{name} is not an Epics Scan")
        self.put("SMSG", "")

    @staticmethod
    def _first_timeout() -> float:
        return 2.0

    def run(self, wait: bool = False, timeout: float = 86400) -> None:
        """Begin; *wait* until it is over."""
        self.put("EXSC", 1, wait=wait, timeout=timeout)

    def reset(self) -> None:
        """Clear everything."""
        self.put("CMND", 6)
        poll()

    def after_scan(self, mode: Any) -> None:
        """What positioners do at the end."""
        self.put("PASM", mode, wait=True)

    def positioner_delay(self, pdelay: float) -> None:
        """Seconds to wait after a move."""
        self.put("PDLY", pdelay, wait=True)

    def detector_delay(self, pdelay: float) -> None:
        """Seconds to wait after detectors are done."""
        self.put("DDLY", pdelay, wait=True)

    def _free(self, form: str, count: int, what: str) -> int:
        for index in range(1, count + 1):
            if not self.get(form.format(index)):
                return index
        raise ScanException(f"{self._prefix} has no room for a {what}")

    def add_positioner(
        self,
        drive: str,
        readback: str | None = None,
        start: Any = None,
        stop: Any = None,
        step: Any = None,
        center: Any = None,
        width: Any = None,
        mode: Any = "linear",
        absolute: bool = True,
        array: Any = None,
    ) -> int:
        """Use the first positioner that is free; its number."""
        ipos = self._free("P{}PV", NUM_POSITIONERS, "positioner")
        self.set_positioner(
            ipos,
            drive=drive,
            readback=readback,
            start=start,
            stop=stop,
            step=step,
            center=center,
            width=width,
            mode=mode,
            absolute=absolute,
            array=array,
        )
        return ipos

    def set_positioner(
        self,
        ipos: int,
        drive: str | None = None,
        readback: str | None = None,
        start: Any = None,
        stop: Any = None,
        step: Any = None,
        center: Any = None,
        width: Any = None,
        mode: Any = None,
        absolute: bool | None = None,
        array: Any = None,
    ) -> None:
        """Write what is given of a positioner."""
        if not 1 <= ipos <= NUM_POSITIONERS:
            raise ScanException(f"there is no positioner {ipos}")
        modes = {"linear": 0, "table": 1, "on-the-fly": 2, "fly": 2}
        given = {
            f"P{ipos}PV": drive,
            f"R{ipos}PV": readback,
            f"P{ipos}SP": start,
            f"P{ipos}EP": stop,
            f"P{ipos}SI": step,
            f"P{ipos}CP": center,
            f"P{ipos}WD": width,
            f"P{ipos}SM": modes.get(str(mode).lower(), mode),
            f"P{ipos}AR": None if absolute is None else int(not absolute),
            f"P{ipos}PA": array,
        }
        for attr, value in given.items():
            if value is not None:
                self.put(attr, value, wait=True)

    def clear_positioner(self, ipos: int = 1) -> None:
        """Use a positioner no more."""
        self.put(f"P{ipos}PV", "", wait=True)

    def add_detector(self, detector: str) -> int:
        """Use the first detector that is free; its number."""
        idet = self._free("D{:02d}PV", NUM_DETECTORS, "detector")
        self.put(f"D{idet:02d}PV", detector, wait=True)
        return idet

    def clear_detector(self, idet: int = 1) -> None:
        """Use a detector no more."""
        self.put(f"D{idet:02d}PV", "", wait=True)

    def add_trigger(self, trigger: str, value: float = 1.0) -> int:
        """Use the first trigger that is free; its number."""
        itrig = self._free("T{}PV", NUM_TRIGGERS, "trigger")
        self.put(f"T{itrig}PV", trigger, wait=True)
        self.put(f"T{itrig}CD", value, wait=True)
        return itrig

    def clear_trigger(self, itrig: int = 1) -> None:
        """Use a trigger no more."""
        self.put(f"T{itrig}PV", "", wait=True)
