"""Searches of our own."""

from __future__ import annotations

import pytest

from caclient.cli.search import answers
from caclient.config import Config
from tests.cli.recorded_calls import soft_ioc
from tests.interop.softioc import SoftIoc


@pytest.mark.interop
def test_all_who_answer_are_found(ioc: SoftIoc) -> None:
    with soft_ioc() as other:
        environment = ioc.client_environment() | {"EPICS_CA_ADDR_LIST": f"{ioc.address} {other.address}"}
        both = {("127.0.0.1", ioc.tcp_port), ("127.0.0.1", other.tcp_port)}
        names = ["cli:ai0", "cli:missing", *(f"cli:ai0.{field}" for field in ("VAL", "EGU", "PREC"))] * 60
        found = answers(names, 1.0, Config.from_env(environment))
    assert [set(one) for one in found] == [both, set(), both, both, both] * 60


def test_nobody_there() -> None:
    config = Config.isolated(addr_list="127.0.0.1:9 192.0.2.1:9")
    assert answers(["a"], 0.1, config) == [[]]
