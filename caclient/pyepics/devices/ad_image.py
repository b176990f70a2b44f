"""An image plugin of areaDetector."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device

from .readback import ensure_value


class AD_ImagePlugin(Device):  # noqa: N801  pyepics' name
    """An image plugin of areaDetector."""

    attrs: Any = tuple(
        (
            "ArrayData UniqueId UniqueId_RBV NDimensions NDimensions_RBV ArraySize0 ArraySize0_RBV ArraySize1 "
            "ArraySize1_RBV ArraySize2 ArraySize2_RBV ColorMode ColorMode_RBV"
        ).split()
    )
    _nonpvs: Any = ("_prefix", "_pvs", "_delim", "_init", "_aliases", "_mutable", "_nonpvs")

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, delim="", mutable=False, attrs=self.attrs)

    def ensure_value(self, attr: str, value: Any, wait: bool = False) -> None:
        """Write unless the read-back shows it already."""
        ensure_value(self, attr, value, wait)
