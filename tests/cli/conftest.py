"""The IOC on which the calls were recorded, and the command in processes that see it and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.commands import Commands
from tests.cli.recorded_calls import soft_ioc
from tests.interop.softioc import SoftIoc


@pytest.fixture(scope="module")
def ioc() -> Iterator[SoftIoc]:
    with soft_ioc() as ioc:
        yield ioc


@pytest.fixture(scope="module")
def commands(ioc: SoftIoc) -> Iterator[Commands]:
    with Commands(ioc.client_environment()) as commands:
        yield commands
