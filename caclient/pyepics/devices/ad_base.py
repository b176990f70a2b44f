"""A camera of areaDetector."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device

from .readback import ensure_value


class AD_Camera(Device):  # noqa: N801  pyepics' name
    """A camera of areaDetector."""

    attrs: Any = tuple(
        (
            "Acquire AcquirePeriod AcquirePeriod_RBV AcquireTime AcquireTime_RBV ArrayCallbacks "
            "ArrayCallbacks_RBV ArrayCounter ArrayCounter_RBV ArrayRate_RBV ArraySizeX_RBV ArraySizeY_RBV "
            "ArraySize_RBV BinX BinX_RBV BinY BinY_RBV ColorMode ColorMode_RBV DataType DataType_RBV "
            "DetectorState_RBV Gain Gain_RBV ImageMode ImageMode_RBV MaxSizeX_RBV MaxSizeY_RBV MinX MinX_RBV MinY "
            "MinY_RBV NumImages NumImagesCounter_RBV NumImages_RBV SizeX SizeX_RBV SizeY SizeY_RBV "
            "TimeRemaining_RBV TriggerMode TriggerMode_RBV TriggerSoftware"
        ).split()
    )
    _nonpvs: Any = ("_prefix", "_pvs", "_delim", "_init", "_aliases", "_mutable", "_nonpvs")

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, delim="", mutable=False, attrs=self.attrs)

    def ensure_value(self, attr: str, value: Any, wait: bool = False) -> None:
        """Write unless the read-back shows it already."""
        ensure_value(self, attr, value, wait)
