"""A binary input record."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device


class bi(Device):  # noqa: N801  the record's own name
    """A binary input record."""

    attrs: Any = tuple("INP ZNAM ONAM RVAL VAL EGU HOPR LOPR PREC NAME DESC DTYP".split())

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(prefix.removesuffix("."), delim=".", attrs=self.attrs, **kwargs)
