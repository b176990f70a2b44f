"""What came of asking many: those that went well by name, in the order asked, and why the others did not."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, NoReturn, TypeVar

from caclient.dbr.reading import plain
from caclient.errors import CAError, ManyFailedError, WrongTypeError

T = TypeVar("T")

_SHOWN: Final = 10
"""Lines of a repr for what went well, and for what did not."""


class Results(Mapping[str, T], Generic[T]):
    """A mapping of what went well, in the order asked; ``failed`` says for each other name why.

    Its truth value raises, because "anything there?" and "did all go well?" are two questions: ask ``len`` or ``ok``.
    """

    __slots__ = ("_values", "failed")

    def __init__(self, values: Mapping[str, T] | None = None, failed: Mapping[str, CAError] | None = None) -> None:
        self._values: dict[str, T] = {} if values is None else dict(values)
        self.failed: dict[str, CAError] = {} if failed is None else dict(failed)

    def __getitem__(self, name: str) -> T:
        """What came of that name; if it failed, its error is raised."""
        try:
            return self._values[name]
        except KeyError:
            error = self.failed.get(name)
            if error is not None:
                raise KeyError(f"{name!r} failed: {error}") from error
            text = f"{name!r} is none of the {len(self)} names that went well: results go by name, as asked"
            raise KeyError(text) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return not self.failed

    def raise_for_failed(self) -> None:
        """Raise ``ManyFailedError`` if any failed."""
        if self.failed:
            raise ManyFailedError(summary(self.failed, len(self) + len(self.failed)), self, self.failed)

    def __bool__(self) -> NoReturn:
        raise WrongTypeError(
            "Results are neither true nor false: ask `.ok` whether all went well, `len()` how many did"
        )

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can say: ``{"results": {name: ...}, "failed": {name: text}}``."""
        values = {name: _facts(value) for name, value in self.items()}
        return {"results": values, "failed": {name: str(error) for name, error in self.failed.items()}}

    def _lines(self) -> list[tuple[str, str]]:
        """(name, text) for what is shown, failures first: they are what somebody has to look at."""
        failed = [(name, str(error)) for name, error in list(self.failed.items())[:_SHOWN]]
        well = [(name, str(value)) for name, value in list(self.items())[:_SHOWN]]
        return failed + well

    @property
    def _head(self) -> str:
        return f"{len(self)} ok, {len(self.failed)} failed"

    def _left_out(self) -> int:
        return max(0, len(self) - _SHOWN) + max(0, len(self.failed) - _SHOWN)

    def __repr__(self) -> str:
        lines = [f"  {name}: {text}" for name, text in self._lines()]
        left = [f"  ... and {self._left_out()} more"] if self._left_out() else []
        return "\n".join([f"<{type(self).__name__}: {self._head}>", *lines, *left])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>" for name, text in self._lines()
        )
        left = f"<tr><td colspan=2>... and {self._left_out()} more</td></tr>" if self._left_out() else ""
        return f"<table><caption>{html.escape(self._head)}</caption>{rows}{left}</table>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._values, self.failed)


def _facts(value: Any) -> Any:
    """A result as what JSON can say."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    value = plain(value)
    return value if value is None or isinstance(value, (bool, int, float, str, list)) else str(value)


def summary(failed: Mapping[str, Exception], total: int) -> str:
    """One text for many errors, naming the first few."""
    reasons = list(failed.values())
    shown = "; ".join(str(error) for error in reasons[:3])
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return f"{len(reasons)} of {total} failed: {shown}{more}"
