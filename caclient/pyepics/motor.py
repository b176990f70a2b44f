"""The EPICS motor record as an object."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from . import ca, device
from .pv import PV as EpicsPV, get_pv

__all__ = ["Motor", "MotorException", "MotorLimitException", "ca", "device"]

_CONFIRM = 0.25
_FIELDS = (
    "acceleration ACCL back_accel BACC backlash BDST back_speed BVEL card CARD dial_high_limit DHLM direction DIR "
    "dial_low_limit DLLM settle_time DLY done_moving DMOV dial_readback DRBV description DESC dial_drive DVAL "
    "units EGU encoder_step ERES freeze_offset FOFF move_fraction FRAC hi_severity HHSV hi_alarm HIGH hihi_alarm HIHI "
    "high_limit HLM high_limit_set HLS hw_limit HLSV home_forward HOMF home_reverse HOMR high_op_range HOPR "
    "high_severity HSV integral_gain ICOF jog_accel JAR jog_forward JOGF jog_reverse JOGR jog_speed JVEL "
    "last_dial_val LDVL low_limit LLM low_limit_set LLS lo_severity LLSV lolo_alarm LOLO low_op_range LOPR "
    "low_alarm LOW last_rel_val LRLV last_dial_drive LRVL last_SPMG LSPG low_severity LSV last_drive LVAL "
    "soft_limit LVIO in_progress MIP missed MISS moving MOVN resolution MRES motor_status MSTA offset OFF "
    "output_mode OMSL output OUT prop_gain PCOF precision PREC readback RBV retry_max RTRY retry_count RCNT "
    "retry_deadband RDBD dial_difference RDIF raw_encoder_pos REP raw_high_limit RHLS raw_low_limit RLLS "
    "relative_value RLV raw_motor_pos RMP raw_readback RRBV readback_res RRES raw_drive RVAL dial_speed RVEL "
    "s_speed S s_back_speed SBAK s_base_speed SBAS s_max_speed SMAX set SET stop_go SPMG s_revolutions SREV "
    "stop_command STOP t_direction TDIR tweak_forward TWF tweak_reverse TWR tweak_val TWV use_encoder UEIP "
    "u_revolutions UREV use_rdbl URIP drive VAL base_speed VBAS slew_speed VELO version VERS max_speed VMAX "
    "use_home ATHM deriv_gain DCOF use_torque CNEN device_type DTYP record_type RTYP status STAT"
).split()
_SHOWN = ("DESC", "VAL", "RBV", "PREC", "VELO", "STAT", "SET", "TWV", "LLM", "HLM", "SPMG")


class MotorLimitException(Exception):
    """A limit is in the way."""

    def __init__(self, msg: Any, *args: Any) -> None:
        super().__init__(*args)
        self.msg = msg

    def __str__(self) -> str:
        return str(self.msg)


class MotorException(Exception):
    """There is no such motor, or no such field."""

    def __init__(self, msg: Any, *args: Any) -> None:
        super().__init__(*args)
        self.msg = msg

    def __str__(self) -> str:
        return str(self.msg)


class Motor(device.Device):
    """A motor: fields by their names, or by friendly ones."""

    _extras: Any = {"disabled": "_able.VAL"}  # noqa: RUF012  scripts look at these tables
    _alias: Any = dict(zip(_FIELDS[::2], _FIELDS[1::2], strict=True))  # noqa: RUF012
    _init_list: Any = (
        *("VAL", "DESC", "RTYP", "RBV", "PREC", "TWV", "FOFF", "VELO", "STAT"),
        *("SET", "LLM", "HLM", "SPMG", "LVIO", "HLS", "LLS", "disabled"),
    )
    _nonpvs: Any = ("_prefix", "_pvs", "_delim", "_init", "_init_list", "_alias", "_extras")

    def __init__(self, name: str | None = None, timeout: float = 3.0) -> None:
        if name is None:
            raise MotorException("must supply motor name")
        name = name.removesuffix(".VAL").removesuffix(".")
        super().__init__(
            name, delim=".", attrs=[attr for attr in self._init_list if attr != "disabled"], timeout=timeout
        )
        kind = self.PV("RTYP", connect=False)
        if not kind.wait_for_connection(timeout) or kind.get(timeout=timeout) != "motor":
            raise MotorException(f"{name} is not an Epics Motor")
        for attr, suffix in self._extras.items():
            self.add_pv(f"{name}{suffix}", attr=attr, timeout=timeout)
        self.__dict__["_callbacks"] = {}

    def __repr__(self) -> str:
        return f"<epics.Motor: {self._prefix}: '{self.DESC}'>"

    def __str__(self) -> str:
        return repr(self)

    def _field(self, attr: str) -> str:
        return str(self._alias.get(attr, attr))

    def __getattr__(self, attr: str) -> Any:
        if attr.startswith("__"):
            raise AttributeError(f"EpicsMotor has no attribute {attr}")
        field = self._field(attr)
        if field in self._pvs:
            return self.get(field)
        if field in self._nonpvs or not self._init:
            raise AttributeError(attr)
        found = self.PV(field, connect=True, timeout=device._LATER)
        if found.connected:
            return self.get(field)
        raise MotorException(f"EpicsMotor has no attribute {attr}")

    def __setattr__(self, attr: str, val: Any) -> None:
        if attr in ("name", "_prefix"):
            self.__dict__[attr] = val
            return
        super().__setattr__(self._field(attr), val)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._alias, *self._extras})

    def PV(self, attr: str, connect: bool = True, **kw: Any) -> EpicsPV:
        """The PV of a field."""
        return super().PV(self._field(attr), connect=connect, **kw)

    def get(self, attr: str, as_string: bool = False, count: int | None = None, timeout: float | None = None) -> Any:
        """The value of a field."""
        return super().get(self._field(attr), as_string=as_string, count=count, timeout=timeout)

    def put(self, attr: str, value: Any, wait: bool = False, use_complete: bool = False, timeout: float = 10) -> Any:
        """Write a field."""
        return super().put(self._field(attr), value, wait=wait, use_complete=use_complete, timeout=timeout)

    def check_limits(self) -> None:
        """Raise if a limit is active."""
        for field, text in (
            ("LVIO", "Soft limit violation"),
            ("HLS", "High hard limit violation"),
            ("LLS", "Low  hard limit violation"),
        ):
            if self.get(field) != 0:
                raise MotorLimitException(text)

    def within_limits(self, val: float, dial: bool = False) -> bool:
        """Whether the soft limits allow a position."""
        low, high = ("DLLM", "DHLM") if dial else ("LLM", "HLM")
        return bool(self.get(low) <= val <= self.get(high))

    def move(
        self,
        val: Any = None,
        relative: bool = False,
        wait: bool = False,
        timeout: float = 300.0,
        dial: bool = False,
        step: bool = False,
        raw: bool = False,
        ignore_limits: bool = False,
        confirm_move: bool = False,
    ) -> int:
        """Move; how that went, as a number (see the documentation of pyepics)."""
        steps = step or raw
        drive = "DVAL" if dial else ("RVAL" if steps else "VAL")
        try:
            position = float(val)
        except TypeError:
            return -13
        if relative:
            position += self.get(drive)
        if not ignore_limits and not steps and not self.within_limits(position, dial=dial):
            return -12
        answer = self.put(drive, position, wait=wait, timeout=timeout)
        if answer is None:
            return -11
        if wait and answer == -1:
            return -8 if self.get("DMOV") == 0 else -7
        if answer != 1:
            return -5
        if wait:
            return self._after(-4, -3)
        if confirm_move:
            self._confirm()
        if self.get("MOVN") == 1:
            return 1
        return self._after(4, 3)

    def _after(self, soft: int, hard: int) -> int:
        if self.get("LVIO") == 1:
            return soft
        return hard if self.get("HLS") == 1 or self.get("LLS") == 1 else 0

    def _confirm(self) -> None:
        """Give the record a moment to say that it moves."""
        over = time.monotonic() + _CONFIRM
        while self.get("MOVN") == 0 and time.monotonic() < over:
            time.sleep(0.001)

    def get_position(self, dial: bool = False, readback: bool = False, step: bool = False, raw: bool = False) -> Any:
        """Where it is, or is to be."""
        field = "RBV" if readback else "VAL"
        if dial:
            field = "DRBV" if readback else "DVAL"
        elif step or raw:
            field = "RRBV" if readback else "RVAL"
        return self.get(field)

    def tweak(self, direction: str = "foreward", wait: bool = False, timeout: float = 300.0) -> int:
        """Move by the tweak value: 0, or -1 if that failed or a limit is active."""
        field = "TWR" if direction.startswith(("rev", "back")) else "TWF"
        answer = self.put(field, 1, wait=wait, timeout=timeout)
        if answer == -1:
            return -1
        try:
            self.check_limits()
        except MotorLimitException:
            return -1
        return 0

    def set_position(self, position: Any, dial: bool = False, step: bool = False, raw: bool = False) -> None:
        """Say where it is, without a move."""
        self.put("SET", 1, wait=True)
        self.put("DVAL" if dial else ("RVAL" if step or raw else "VAL"), position, wait=True)
        self.put("SET", 0, wait=True)

    def get_pv(self, attr: str) -> Any:
        """The PV of a field."""
        return self.PV(attr)

    def clear_callback(self, attr: str = "drive") -> None:
        """Remove what ``set_callback`` has set."""
        index = self._callbacks.get(attr)
        if index is not None:
            self.PV(attr).remove_callback(index=index)

    def set_callback(
        self, attr: str = "VAL", callback: Callable[..., Any] | None = None, kws: dict[str, Any] | None = None
    ) -> None:
        """Have *callback* called at each change of a field; it also gets ``motor_field``."""
        self.get(attr)
        index = self.PV(attr).add_callback(callback, **{**(kws or {}), "motor_field": attr})
        self._callbacks[attr] = index

    def refresh(self) -> None:
        """Give waiting callbacks the time to run."""
        ca.poll()

    def StopNow(self) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """Stop."""
        self.put("STOP", 1)

    def make_step_list(self, minstep: float = 0.0, maxstep: float | None = None, decades: int = 10) -> list[float]:
        """Steps of 1, 2, 5 that make sense for the precision and the range."""
        if maxstep is None:
            maxstep = 0.6 * abs(self.get("HLM") - self.get("LLM"))
        precision = self.get("PREC")
        if minstep == 0.0:
            minstep = 10 ** (-precision)
        steps: list[float] = []
        for decade in range(decades):
            for factor in (1, 2, 5):
                step = round(factor * 10.0 ** (decade - precision), 10)
                if minstep <= step <= maxstep:
                    steps.append(step)
        return steps

    def get_info(self) -> dict[str, Any]:
        """What ``show_info`` shows, as texts."""
        return {field: self.get(field, as_string=True) for field in _SHOWN}

    def show_info(self) -> None:
        """Print the fields that matter most."""
        lines = [repr(self), "--------------------------------------"]
        lines.extend(f"{field:16s} = {text}" for field, text in self.get_info().items())
        lines.append("--------------------------------------")
        ca.write("\n".join(lines))

    def show_all(self) -> None:
        """Print all fields."""
        lines = [f"# Motor {self._prefix}", "#  field               value                 PV name", "#" + "-" * 60]
        for name, field in sorted(self._alias.items()):
            text = self.get(field, as_string=True)
            lines.append(f" {name:20s} {text!s:20s} {self.PV(field).pvname}")
        ca.write("\n".join(lines))


_ = get_pv
