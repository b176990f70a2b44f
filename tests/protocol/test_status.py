"""Status codes: all that are defined, and those that nobody has defined."""

from __future__ import annotations

import pytest

from caclient.protocol.status import ECA, ECA_NORMAL, STATUS, CASeverity, status_of


def test_normal_is_shown_as_in_the_walk_through() -> None:
    assert repr(status_of(1)) == (
        "CAStatusCode(name='ECA_NORMAL', code=0, code_with_severity=1, severity=<CASeverity.SUCCESS: 1>, "
        "success=1, defunct=False, description='Normal successful completion')"
    )
    assert status_of(1) is ECA_NORMAL


def test_all_61_codes_follow_the_rule_for_their_number() -> None:
    assert sorted(code.code for code in STATUS.values()) == list(range(61))
    for number, code in STATUS.items():
        assert number == code.code_with_severity == code.code << 3 | code.severity
        assert code.success == number & 1


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("TOLARGE", 72),
        ("BADTYPE", 114),
        ("INTERNAL", 142),
        ("GETFAIL", 152),
        ("PUTFAIL", 160),
        ("DISCONN", 192),
        ("BADMONID", 242),
        ("DEFUNCT", 278),
        ("PUTCBINPROG", 362),
        ("NORDACCESS", 368),
        ("NOWTACCESS", 376),
        ("UNRESPTMO", 480),
    ],
)
def test_values_seen_on_the_wire(name: str, number: int) -> None:
    assert ECA[name].code_with_severity == number


def test_only_success_and_info_succeed() -> None:
    succeeding = {code.severity for code in STATUS.values() if code.success}
    assert succeeding == {CASeverity.SUCCESS, CASeverity.INFO}


def test_defunct_codes_are_marked() -> None:
    assert ECA["DEFUNCT"].defunct
    assert not ECA["TIMEOUT"].defunct


@pytest.mark.parametrize(("number", "severity"), [(0, CASeverity.WARNING), (0xFFFFFFFF, 7), (8005, 5)])
def test_unknown_number_is_passed_on(number: int, severity: int) -> None:
    code = status_of(number)
    assert code.name == f"ECA_UNKNOWN_{number}"
    assert (code.code_with_severity, code.severity, code.success) == (number, severity, number & 1)
