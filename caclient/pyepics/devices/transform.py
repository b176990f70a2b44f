"""The transform record."""

from __future__ import annotations

from typing import Any

from caclient.pyepics.device import Device


class Transform(Device):
    """Sixteen rows of input, expression and output."""

    attr_fmts: Any = {  # noqa: RUF012  scripts look at it
        "Value": "%s",
        "Input": "INP%s",
        "Input_Valid": "I%sV",
        "Expression": "CLC%s",
        "Output": "OUT%s",
        "Output_Valid": "O%sV",
        "Comment": "CMT%s",
        "Expression_Valid": "C%sV",
        "Previous_Value": "L%s",
    }
    rows = "ABCDEFGHIJKLMNOP"

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        attrs = ["COPT", "PREC", "PINI", "DESC"]
        attrs.extend(form % row for form in self.attr_fmts.values() for row in self.rows)
        self.__dict__["attrs"] = attrs
        super().__init__(prefix.removesuffix("."), delim=".", attrs=attrs, nonpvs=["attrs"], **kwargs)

    def _row(self, row: Any) -> str:
        return self.rows[row] if isinstance(row, int) else str(row)

    def get_row(self, row: Any = "A") -> dict[str, Any]:
        """All of a row, by name."""
        return {name: self.get(form % self._row(row)) for name, form in self.attr_fmts.items()}

    def set_row(self, row: Any = "A", data: dict[str, Any] | None = None) -> None:
        """Write what is given of a row, by name."""
        for name, value in (data or {}).items():
            if name in self.attr_fmts:
                self.put(self.attr_fmts[name] % self._row(row), value)

    def set_calc(self, row: Any = "A", calc: str = "") -> None:
        """The expression of a row."""
        self.put(self.attr_fmts["Expression"] % self._row(row), calc)

    def set_comment(self, row: Any = "A", comment: str = "") -> None:
        """The comment of a row."""
        self.put(self.attr_fmts["Comment"] % self._row(row), comment)

    def set_input(self, row: Any = "A", input: str = "") -> None:
        """The input link of a row."""
        self.put(self.attr_fmts["Input"] % self._row(row), input)
