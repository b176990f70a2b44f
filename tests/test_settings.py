"""Settings at the door: what is accepted, and that what is not is told what to give."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from caclient import settings
from caclient.config import Config
from caclient.errors import BadValueError


@pytest.mark.parametrize(
    "setting, value, kept",
    [
        ("conn_timeout", 3, 3.0),
        ("conn_timeout", np.float32(0.5), 0.5),
        ("server_port", np.int32(5100), 5100),
        ("repeater_port", 0, 0),
        ("max_array_bytes", None, None),
        ("max_array_bytes", "16 MB", 16_000_000),
        ("max_array_bytes", 16_384, 16_384),
        ("mcast_ttl", 255, 255),
        ("auto_addr_list", False, False),
        ("user", None, None),
        ("user", "x" * 511, "x" * 511),
    ],
)
def test_accepted(setting, value, kept):
    found = getattr(Config(**{setting: value}), setting)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    "setting, value, told",
    [
        ("conn_timeout", "3", "conn_timeout='3': give a positive number of seconds, as in conn_timeout=5.0"),
        ("conn_timeout", -1, "conn_timeout=-1: give a positive number of seconds"),
        ("conn_timeout", 0, "conn_timeout=0: give a positive"),
        ("conn_timeout", True, "conn_timeout=True: give a positive"),
        ("conn_timeout", None, "conn_timeout=None: give a positive"),
        ("echo_timeout", math.nan, "echo_timeout=nan: give a positive"),
        ("echo_timeout", math.inf, "at most 1e+09"),
        ("max_search_period", Decimal(3), "give a positive number"),
        ("server_port", 99999, "server_port=99999: give a port number from 1 to 65535, as in server_port=5064"),
        ("server_port", "5064", "server_port='5064': give a port number"),
        ("server_port", 5064.0, "server_port=5064.0: give a port number"),
        ("server_port", True, "server_port=True: give a port number"),
        ("repeater_port", -1, "repeater_port=-1: give a port number"),
        ("mcast_ttl", 256, "give a whole number from 0 to 255"),
        ("auto_addr_list", "NO", "auto_addr_list='NO': give True or False"),
        ("auto_addr_list", 0, "auto_addr_list=0: give True or False"),
        ("read_only", "yes", "read_only='yes': give True or False"),
        ("max_array_bytes", "much", "max_array_bytes='much': give a positive number of bytes, or text, as in"),
        ("max_array_bytes", "0 MB", "give a positive number of bytes"),
        ("max_array_bytes", 0, "max_array_bytes=0: give a positive number of bytes"),
        ("max_array_bytes", 1.5, "max_array_bytes=1.5: give a positive number of bytes"),
        ("user", "", "user='': give a name of 1 to 511 bytes without NUL"),
        ("user", "é" * 300, "give a name of 1 to 511 bytes"),
        ("host", "a\0b", "give a name of 1 to 511 bytes without NUL"),
        ("host", 7, "host=7: give a name as text"),
    ],
)
def test_refused_with_what_to_give_instead(setting, value, told):
    with pytest.raises(BadValueError) as raised:
        Config(**{setting: value})
    assert told in str(raised.value)
    assert str(raised.value).startswith(setting)


@pytest.mark.parametrize(
    "text, count",
    [("256 MB", 256_000_000), ("1.5GiB", 3 << 29), ("64 kB", 64_000), (" 1 KiB ", 1024), ("7", 7), ("7 B", 7)],
)
def test_sizes(text, count):
    assert settings.size("queue_bytes", text) == count


def test_what_is_shown_of_a_wrong_value_is_short():
    assert len(settings.shown("x" * 10_000)) < 70


def test_names_are_cut_to_what_servers_accept():
    assert settings.cut_name("me") == "me"
    assert len(settings.cut_name("é" * 600).encode()) == 510
    assert settings.cut_name("x" * 600) == "x" * 511
