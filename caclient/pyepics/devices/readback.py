"""What devices with read-backs have in common."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device


def ensure_value(device: Device, attr: str, value: Any, wait: bool = False) -> None:
    """Write unless the text of the read-back ``attr_RBV`` shows the value already."""
    if device.get(f"{attr}_RBV", as_string=True) != value:
        device.put(attr, value, wait=wait)
