"""An overlay plugin of areaDetector."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device

from .readback import ensure_value


class AD_OverlayPlugin(Device):  # noqa: N801  pyepics' name
    """An overlay plugin of areaDetector."""

    attrs: Any = tuple(
        (
            "Name Name_RBV Use Use_RBV PositionX PositionX_RBV PositionY PositionY_RBV PositionXLink "
            "PositionYLink SizeXLink SizeYLink SizeX SizeX_RBV SizeY SizeY_RBV Shape Shape_RBV DrawMode "
            "DrawMode_RBV Red Red_RBV Green Green_RBV Blue Blue_RBV"
        ).split()
    )
    _nonpvs: Any = ("_prefix", "_pvs", "_delim", "_init", "_aliases", "_mutable", "_nonpvs")

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, delim="", mutable=False, attrs=self.attrs)

    def ensure_value(self, attr: str, value: Any, wait: bool = False) -> None:
        """Write unless the read-back shows it already."""
        ensure_value(self, attr, value, wait)
