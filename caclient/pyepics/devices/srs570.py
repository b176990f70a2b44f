"""A current amplifier SR570."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.ca import write
from caclient.pyepics.device import Device

VALID_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500]
VALID_UNITS = ["pA/V", "nA/V", "uA/V", "mA/V"]


class SRS570(Device):
    """A current amplifier SR570; making one sets it up."""

    attrs: Any = tuple(
        (
            "sens_num sens_unit offset_num offset_unit offset_sign offset_on off_u_put bias_put gain_mode "
            "filter_type invert_on init.PROC"
        ).split()
    )

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, delim="", attrs=self.attrs)
        self.initialize()

    def initialize(self, bias: Any = 0, gain_mode: Any = 0, filter_type: Any = 0, invert: bool = False) -> None:
        """Set bias, gain mode, filter and sign."""
        self.put("gain_mode", gain_mode)
        self.put("filter_type", filter_type)
        self.put("invert_on", int(invert))
        self.put("bias_put", bias)

    def set_sensitivity(self, value: int, units: str, offset: float | None = None, scale_offset: bool = True) -> None:
        """Set the sensitivity, and an offset that goes with it."""
        if value not in VALID_STEPS or units not in VALID_UNITS:
            write("invalid input")
            return
        self.put("sens_num", VALID_STEPS.index(value))
        self.put("sens_unit", VALID_UNITS.index(units))
        if scale_offset:
            step = VALID_UNITS.index(units) * len(VALID_STEPS) + VALID_STEPS.index(value)
            scaled = max(0, step - 3)
            self.put("offset_unit", scaled // len(VALID_STEPS))
            self.put("offset_num", scaled % len(VALID_STEPS))
        if offset is not None:
            self.set_offset(offset)

    def set_offset(self, value: float) -> None:
        """Set the offset."""
        self.put("off_u_put", value)

    def increase_sensitivity(self) -> None:
        """One step more."""
        self._step(-1)

    def decrease_sensitivity(self) -> None:
        """One step less."""
        self._step(1)

    def _step(self, by: int) -> None:
        step = self.get("sens_unit") * len(VALID_STEPS) + self.get("sens_num") + by
        if 0 <= step < len(VALID_STEPS) * len(VALID_UNITS) and step <= (len(VALID_UNITS) - 1) * len(VALID_STEPS):
            unit, number = divmod(step, len(VALID_STEPS))
            self.set_sensitivity(VALID_STEPS[number], VALID_UNITS[unit])
